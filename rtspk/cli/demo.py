"""`rtspk demo`: a bundled conversation with two enrolled voices and a stranger, labelled as it plays."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rtspk.cli.options import Device, Latency, ModelFolder
from rtspk.cli.screen import note, plain, waiting
from rtspk.data import DEMO
from rtspk.errors import ConfigError

__all__ = ["demo"]

QUICK: float = 4.0  # times real time: fast enough not to bore, slow enough to follow


def demo(
    output_dir: Annotated[
        Path, typer.Option("--output-dir", metavar="DIR", help="Where demo.rttm and demo.png go.")
    ] = Path(),
    pace: Annotated[
        str | None,
        typer.Option(
            "--pace",
            metavar="fast|realtime|N",
            help="N times real time; else 4 on a terminal, fast in a pipe.",
        ),
    ] = None,
    latency: Latency = None,
    model: ModelFolder = None,
    device: Device = "auto",
) -> None:
    """Show the main job with nothing to prepare: a conversation, labelled by name as it plays.

    Two of its speakers are enrolled first, from other recordings of theirs; the third is a stranger.
    """
    from rtspk.data.material import Material
    from rtspk.engine.settings import session_config

    config = session_config(None, latency=latency)
    speed = _speed(pace)
    if not output_dir.is_dir():
        raise ConfigError(f"wanted a folder for the outputs, got {output_dir}")
    material = Material.read()
    from rtspk.cli.output import AtEnd, check_picture, check_writable, rendered
    from rtspk.cli.sources import CutShort, FileSource
    from rtspk.cli.stream import Outputs, run
    from rtspk.engine.pipeline import Engine
    from rtspk.files import write_atomically

    rttm, picture = output_dir / "demo.rttm", output_dir / "demo.png"
    check_writable(rttm)
    check_picture(picture)
    with waiting("enrolling two voices"):
        engine = Engine.load(":memory:", model=model, device=device)
        for name, clip in material.voices.items():
            engine.enroll(name, DEMO / clip)
    note(f"enrolled for this demo: {', '.join(material.voices)}; in the conversation is a stranger too")
    is_terminal = sys.stdout.isatty()
    source = FileSource(str(DEMO / material.conversation), speed)
    outputs = Outputs("live" if is_terminal else "jsonl", None, picture, is_terminal)
    kept, ended = AtEnd(), None
    try:
        run(engine.session(config=config), source, outputs, kept)
    except CutShort as error:
        if kept.transcript.samples is None:  # nothing was heard, and there is no picture
            raise
        ended = error
    write_atomically(rttm, rendered("rttm", kept.transcript, "demo").encode())
    note(f"wrote {plain(str(rttm))} and {plain(str(picture))}")
    if ended is not None:
        raise ended
    note("next: rtspk enroll NAME CLIP; rtspk listen --mic")


def _speed(pace: str | None) -> float | None:
    """How many times real time; None is as fast as it goes."""
    if pace is None:
        return QUICK if sys.stdout.isatty() else None
    if pace == "fast":
        return None
    try:
        speed = 1.0 if pace == "realtime" else float(pace)
    except ValueError:
        speed = 0.0
    if not 0.1 <= speed <= 1000.0:
        raise ConfigError(f"wanted --pace as fast, realtime, or 0.1 to 1000 times real time, got {pace!r}")
    return speed
