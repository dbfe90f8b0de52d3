"""`rtspk doctor`: what works on this machine, and what to do about what does not.

It ends with 0 where the main job works: models that are whole, and a session that hears a voice.
"""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import rtspk
from rtspk.cli.gallery import where_is
from rtspk.cli.options import AsJson, GalleryFile, ModelFolder
from rtspk.cli.screen import answers, plain, print_json
from rtspk.errors import RtspkError

if TYPE_CHECKING:
    from rtspk.engine.pipeline import Engine

__all__ = ["Finding", "doctor"]

LIBRARIES: tuple[str, ...] = (
    "numpy",
    "numba",
    "onnxruntime",
    "faiss-cpu",
    "av",
    "soxr",
    "sounddevice",
    "typer",
    "rich",
)
SUMS: str = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; only a `fail` makes the doctor's exit status 1."""

    what: str
    state: Literal["ok", "note", "fail"]
    said: str


def doctor(
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Save what can be read of a damaged gallery, and make it private."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at what works here: versions, processor, GPU, microphone, models, gallery.

    The exit status is 0 where nothing fails, else 1; what is only worth knowing is a note.
    """
    findings = [
        *(_repaired(gallery, model) if repair else []),
        *_machine(),
        _torch(),
        _microphones(),
        *_models(model),
        *_engine(model),
        _gallery(gallery, model),
    ]
    works = all(finding.state != "fail" for finding in findings)
    if as_json:
        rows = [{"what": f.what, "state": f.state, "said": f.said} for f in findings]
        print_json({"works": works, "version": rtspk.__version__, "findings": rows})
    else:
        _print(findings, works=works)
    if not works:
        raise typer.Exit(1)


def _print(findings: list[Finding], *, works: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "note": "yellow", "fail": "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(Text(finding.state, colours[finding.state]), finding.what, Text(plain(finding.said)))
    console = answers()
    console.print(table)
    console.print(Text("rtspk works here" if works else "rtspk does not work here", "bold"))


def _machine() -> list[Finding]:
    from importlib import metadata

    from rtspk.bench.report import machine

    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    found: list[str] = []
    missing: list[str] = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    libraries = Finding("libraries", "ok", ", ".join(found))
    if missing:
        libraries = Finding(
            "libraries", "fail", f"missing: {', '.join(missing)}; pip install rtspk brings them"
        )
    return [
        Finding("versions", "ok", f"rtspk {rtspk.__version__}, {python}"),
        libraries,
        Finding("processor", "ok", machine()),
    ]


def _torch() -> Finding:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return Finding(
            "torch", "note", "not installed; training wants it, and a GPU: pip install rtspk[train]"
        )
    try:
        import torch

        gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("torch", "note", f"does not load: {' '.join(str(error).split())}")
    return Finding("torch", "ok", f"{torch.__version__}, {gpu}")


def _microphones() -> Finding:
    from rtspk.microphone import list_devices

    try:
        devices = list_devices()
    except RtspkError as error:
        return Finding("microphone", "note", str(error))
    if not devices:
        return Finding("microphone", "note", "PortAudio works, and there is no microphone")
    default = next((f"{d.name} by default" for d in devices if d.is_default), "none of them by default")
    return Finding("microphone", "ok", f"{len(devices)} of them, {default}")


def _models(model: Path | None) -> list[Finding]:
    """Model files against the sums beside them; a folder without sums is only looked at."""
    from rtspk.engine.embedder import BUNDLED
    from rtspk.engine.registry import resolve_model

    findings = []
    try:
        chosen = resolve_model(model)
    except RtspkError:  # what the engine says of it is another finding
        chosen = BUNDLED
    for folder in [BUNDLED] if BUNDLED in (chosen, chosen.parent) else [BUNDLED, chosen]:
        if not (folder / SUMS).is_file():
            names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.onnx"))
            said = f"{', '.join(names) or 'no models'} in {folder}, without {SUMS} to check them by"
            findings.append(Finding("model files", "note", said))
            continue
        wrong = _wrong_files(folder)
        if wrong:
            said = f"not as they were shipped: {', '.join(wrong)} in {folder}; install rtspk again"
            findings.append(Finding("model files", "fail", said))
        else:
            findings.append(Finding("model files", "ok", f"as they were shipped, in {folder}"))
    return findings


def _wrong_files(folder: Path) -> list[str]:
    wrong = []
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        wanted, _, name = line.partition(" ")
        path = folder / name.strip().lstrip("*")
        if name and (not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != wanted):
            wrong.append(path.name)
    return wrong


def _engine(model: Path | None) -> list[Finding]:
    """The main job in small: load the models and let a second of noise through a session."""
    from rtspk.engine.pipeline import Engine

    try:
        engine = Engine.load(":memory:", model=model)
        said = _spoken_to(engine)
    except RtspkError as error:
        return [Finding("engine", "fail", str(error))]
    except Exception as error:  # whatever a broken library raises is a finding
        return [Finding("engine", "fail", f"{type(error).__name__}: {' '.join(str(error).split())}")]
    return [Finding("engine", "ok", said)]


def _spoken_to(engine: "Engine") -> str:
    import numpy as np

    from rtspk.types import SAMPLE_RATE, Segment, Window

    card = engine.embedder.card
    with engine.session() as session:
        session.push(np.zeros(SAMPLE_RATE, np.float32))
        session.finish()
    features = np.random.default_rng(0).standard_normal((100, card.features.mels)).astype(np.float32)
    window = Window(Segment(0, SAMPLE_RATE), features, np.ones(100, np.float32), SAMPLE_RATE)
    engine.embedder.embed([window])
    return f"{card.id}, {card.dimension}-d, {card.licence}; a session runs"


def _gallery(gallery: Path | None, model: Path | None) -> Finding:
    """Whether the file is sound, private, and made by the model that is loaded."""
    from rtspk.engine.gallery_health import count_names, damage, is_private

    path = where_is(gallery)
    if not path.exists():
        state: Literal["note", "fail"] = "note" if gallery is None else "fail"
        return Finding("gallery", state, f"none yet at {path}; `rtspk enroll` makes it")
    wrong = damage(path) or _stranger(path, model)
    if wrong:
        return Finding("gallery", "fail", wrong)
    names = count_names(path)
    who = "1 name" if names == 1 else f"{names} names"
    if not is_private(path):
        said = f"{who} at {path}; others on this machine may read it: `rtspk doctor --repair`, or chmod 600"
        return Finding("gallery", "note", said)
    return Finding("gallery", "ok", f"{who} at {path}, sound and private")


def _repaired(gallery: Path | None, model: Path | None) -> list[Finding]:
    """Save what can be saved of a damaged gallery, and close one that others may read."""
    from rtspk.engine.gallery_health import damage, is_private, make_private

    path = where_is(gallery)
    if not path.is_file():
        return []
    findings = []
    if damage(path):
        findings.append(_saved(path, model))
    if not is_private(path):
        make_private(path)
        findings.append(Finding("repair", "ok", f"{path} is its owner's alone now"))
    return findings


def _saved(path: Path, model: Path | None) -> Finding:
    from rtspk.engine.embedder import read_card
    from rtspk.engine.gallery_repair import repair
    from rtspk.engine.registry import resolve_model

    try:
        card = read_card(resolve_model(model))
        done = repair(path, card.id, card.dimension)
    except (RtspkError, OSError) as error:
        return Finding("repair", "fail", str(error))
    lost = f"; {done.lost} damaged prints are lost" if done.lost else ""
    nameless = f"; {done.nameless} names are gone: rename `recovered ...`" if done.nameless else ""
    clips = f" and {done.clips} clips" if done.clips else ""
    gone = f"; {done.lost_clips} damaged clips are lost" if done.lost_clips else ""
    said = (
        f"{done.prints} prints{clips} of {done.names} names saved{lost}{gone}{nameless}; "
        f"the damaged file is {done.kept}"
    )
    return Finding("repair", "ok", said)


def _stranger(path: Path, model: Path | None) -> str:
    """Whose prints these are, if not the loaded model's; one without a card is another finding."""
    from rtspk.engine.embedder import read_card
    from rtspk.engine.gallery_health import made_by
    from rtspk.engine.registry import resolve_model

    try:
        card = read_card(resolve_model(model))
    except RtspkError:
        return ""
    maker = made_by(path)
    if maker == (card.id, card.dimension):
        return ""
    whose = maker[0] if maker else "an unknown model"
    return (
        f"wanted prints of {card.id} at {path}, got {whose}'s: load that model, or enroll into another file"
    )
