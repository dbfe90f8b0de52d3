"""`rtspk evaluate` and `rtspk bench`: how well, and how fast."""

import math
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import (
    AsJson,
    AudioFolder,
    ConfigFile,
    Device,
    Latency,
    ModelFolder,
    ReferenceFolder,
    SegmenterFolder,
    UemFolder,
    given,
)
from rtspk.cli.screen import answers, note, plain, progress, say
from rtspk.errors import ConfigError, GalleryError

if TYPE_CHECKING:
    from rtspk.bench.report import Result

Suite = Callable[[int, int], "Iterable[Result]"]

__all__ = ["bench", "diarization", "identification", "trials"]

# The benches, and which options each takes beside those that all have.
SUITES: dict[str, tuple[str, ...]] = {
    "kernels": (),
    "latency": ("model",),
    "embedder": ("model", "peer"),
    "gallery": ("exemplars",),
    "throughput": (),
    "accuracy": ("model",),
}

GALLERY_AUDIO = "Clips of the people to enrol: a folder or a clip each, or what `simulate --enrol` wrote."
NAMED: int = 5  # people in a note


def trials(
    file: Annotated[
        Path, typer.Argument(metavar="TRIALS", help="A trial a line: 0|1 PATH PATH, from the file's folder.")
    ],
    model: ModelFolder = None,
    device: Device = "auto",
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw DET curves and scores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Equal error rate and minDCF of pairs of clips, at full length, 3, 2, 1.5 and 1 s."""
    from rtspk.bench.trials import evaluate_trials
    from rtspk.cli.output import check_picture
    from rtspk.engine.pipeline import Engine

    if picture is not None:
        check_picture(picture)
    with progress() as advance:
        engine = Engine.load(":memory:", model=model, device=device)
        report = evaluate_trials(engine, file, lambda done, of: advance("clips", done, of))
    if picture is not None:
        from rtspk.bench.trials_picture import draw_trials

        draw_trials(report, picture)
    if as_json:
        say(report.to_json())
    else:
        report.table(answers())


def diarization(
    reference: ReferenceFolder,
    audio: AudioFolder,
    uem: UemFolder = None,
    latency: Latency = None,
    grid: Annotated[
        str, typer.Option("--grid", metavar="S,S...", help="Several latencies one after another.")
    ] = "",
    collar: Annotated[
        float,
        typer.Option(
            "--collar",
            metavar="C",
            help="Seconds left out around each edge of the reference, half before and half after.",
        ),
    ] = 0.0,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="DIR", help="Draw each recording: the reference, the answer."),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(
            "--gallery",
            metavar="PATH",
            help="Enrolled voices: how soon do they get their names? It is only read.",
        ),
    ] = None,
    gallery_audio: Annotated[
        Path | None, typer.Option("--gallery-audio", metavar="DIR", help=GALLERY_AUDIO)
    ] = None,
    config: ConfigFile = None,
    model: ModelFolder = None,
    segmenter: SegmenterFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Diarization error rate with its parts, over a folder of conversations; overlap counts.

    With enrolled voices also how soon those who speak get their own names, which are those of the reference.
    """
    from rtspk.bench.diarization import evaluate_diarization, speakers_in
    from rtspk.bench.enrolled import enrol_all, enrolled_among, people_to_enrol
    from rtspk.engine.pipeline import Engine
    from rtspk.engine.settings import session_config

    latencies = _latencies(grid) if grid else [latency]
    settings = [session_config(config, latency=one) for one in latencies]  # refuses what cannot be
    if grid and latency is not None:
        raise ConfigError(f"wanted --grid or --latency, got {grid} and {latency:g}")
    if not 0 <= collar < math.inf:
        raise ConfigError(f"wanted a --collar of 0 seconds or more, got {collar:g}")
    if pictures is not None and pictures.exists() and not pictures.is_dir():
        raise ConfigError(f"wanted a folder for --pictures, got the file {pictures}")
    if gallery is not None and gallery_audio is not None:
        raise ConfigError(f"wanted --gallery or --gallery-audio, got {gallery} and {gallery_audio}")
    if gallery is not None and gallery.is_file() and not gallery.stat().st_size:  # it would be made one
        raise GalleryError(f"wanted a gallery at {gallery}, got an empty file: enroll a voice first")
    people = {} if gallery_audio is None else people_to_enrol(gallery_audio)
    speakers = speakers_in(reference, audio, uem)  # what is missing is missed before anybody is enrolled
    reports = []
    with progress() as advance:
        engine = Engine.load(
            gallery or ":memory:", model=model, segmenter=segmenter, device=device, create=False
        )
        names = people or [one.name for one in engine.gallery.speakers()]
        enrolled = enrolled_among(names, speakers)
        if not enrolled and (source := gallery or gallery_audio) is not None:
            note(
                f"rtspk: nobody in the references is enrolled, so no times to a name: they have "
                f"{_some(speakers)}; {plain(str(source))} has {_some(names)}"
            )
        if gallery_audio is not None and (refused := enrol_all(engine, people, gallery_audio, advance)):
            note(
                f"rtspk: not enrolled for want of speech in their clips, and so never named: {_some(refused)}"
            )
        for one in settings:
            folder = pictures / f"{one.latency:g}s" if pictures is not None and grid else pictures
            report = evaluate_diarization(
                engine,
                reference,
                audio,
                uem,
                one.latency,
                collar,
                lambda done, of: advance("recordings", done, of),
                enrolled=enrolled,
                config=one,
                pictures=folder,
            )
            reports.append(report)
    for mismatch in reports[0].notes:
        note(f"rtspk: {plain(mismatch)}")
    if as_json:
        said = [report.to_json() for report in reports]
        say('{"grid": [' + ", ".join(said) + "]}" if grid else said[0])
        return
    for report in reports:
        report.table(answers())


def _some(names: Collection[str]) -> str:
    """The first of some names, or "nobody".

    >>> _some({"Ben", "Anna"}), _some([])
    ('Anna, Ben', 'nobody')
    """
    first = sorted(names)[:NAMED]
    return plain(", ".join(first)) + ", ..." * (len(names) > NAMED) if first else "nobody"


def _latencies(grid: str) -> list[float]:
    """Numbers with commas between them.

    >>> _latencies("0.5, 1,5")
    [0.5, 1.0, 5.0]
    """
    try:
        return [float(one) for one in grid.split(",")]
    except ValueError as error:
        raise ConfigError(f"wanted --grid as seconds such as 0.5,1,5, got {grid!r}") from error


def identification(
    gallery_audio: Annotated[Path, typer.Option("--gallery-audio", metavar="DIR", help=GALLERY_AUDIO)],
    audio: Annotated[Path, typer.Option("--audio", metavar="DIR", help="Conversations.")],
    reference: Annotated[
        Path, typer.Option("--reference", metavar="DIR", help="An RTTM of the same stem for each.")
    ],
    latency: Latency = None,
    segment: Annotated[
        float, typer.Option("--segment", metavar="S", help="Seconds of speech that are looked up one by one.")
    ] = 3.0,
    model: ModelFolder = None,
    segmenter: SegmenterFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Who is it, among the enrolled, or nobody: rates at false alarms, and how soon a name comes."""
    from rtspk.bench.identification import evaluate_identification
    from rtspk.engine.pipeline import Engine
    from rtspk.engine.settings import session_config

    wanted = session_config(None, latency=latency).latency  # refuses what cannot be, before the work
    if not 0.5 <= segment <= 60.0:
        raise ConfigError(f"wanted a --segment of 0.5 to 60 seconds, got {segment:g}")
    with progress() as advance:
        engine = Engine.load(":memory:", model=model, segmenter=segmenter, device=device)
        report = evaluate_identification(
            engine, gallery_audio, audio, reference, advance, latency=wanted, segment=segment
        )
    if as_json:
        say(report.to_json())
    else:
        report.table(answers())


def bench(
    context: typer.Context,
    suite: Annotated[
        str, typer.Argument(metavar="kernels|latency|embedder|gallery|throughput|accuracy|all")
    ] = "all",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of what is made up.")] = 0,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", help="Of each case; the median counts. Throughput: one.")
    ] = 7,
    model: ModelFolder = None,
    peer: Annotated[
        Path | None,
        typer.Option("--peer", metavar="DIR", help="Another model, timed beside ours by `bench embedder`."),
    ] = None,
    exemplars: Annotated[
        int, typer.Option("--exemplars", metavar="N", help="Of the largest gallery of `bench gallery`.")
    ] = 1_000_000,
    as_json: AsJson = False,
) -> None:
    """How fast, and on the bundled conversation how well: a table, or with --json one line a case."""
    if suite not in {*SUITES, "all"}:
        raise ConfigError(f"wanted a bench of {', '.join(SUITES)} or all, got {suite!r}")
    known = {"model", "peer", "exemplars"}
    if suite != "all" and (one := given(context, sorted(known - set(SUITES[suite])))):
        takers = " or ".join(name for name, takes in SUITES.items() if one in takes)
        raise ConfigError(f"wanted --{one} with a bench of {takers}, got it with {suite}")
    if runs < 1:
        raise ConfigError(f"wanted at least one run, got {runs}")
    if seed < 0:
        raise ConfigError(f"wanted a --seed of 0 or more, got {seed}")
    from rtspk.bench.report import print_table

    results: list[Result] = []
    with progress(shown=not as_json) as advance:
        for name in SUITES if suite == "all" else (suite,):
            advance(name, 0, 0)
            for done, result in enumerate(_suite(name, model, peer, exemplars)(seed, runs), start=1):
                results.append(result)
                advance(name, done, 0, result.case)
                if as_json:
                    say(result.json_line())
    if not as_json:
        print_table(results, answers())


def _suite(name: str, model: Path | None, peer: Path | None, exemplars: int) -> Suite:
    if name == "gallery":
        from rtspk.bench import gallery

        return partial(gallery.run, largest=exemplars)
    if name == "throughput":
        from rtspk.bench import throughput

        return lambda seed, _runs: throughput.run(seed, 1)  # one run holds thousands of delays
    if name == "embedder":
        from rtspk.bench import embedder
        from rtspk.engine.registry import resolve_model

        return partial(embedder.run, model=resolve_model(model), peer=peer)
    if name == "kernels":
        from rtspk.bench import kernels

        return kernels.run
    if name == "accuracy":
        from rtspk.bench import accuracy
        from rtspk.engine.pipeline import Engine

        return lambda seed, runs: accuracy.run(seed, runs, Engine.load(":memory:", model=model))
    from rtspk.bench import latency

    return partial(latency.run, model=model)
