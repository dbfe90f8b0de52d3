"""`rtspk evaluate` and `rtspk bench`: how well, and how fast."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import AsJson, Device, Latency, ModelFolder
from rtspk.cli.screen import answers, progress, say
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    from rtspk.bench.report import Result

Suite = Callable[[int, int], "Iterable[Result]"]

__all__ = ["bench", "diarization", "trials"]

SUITES: tuple[str, ...] = ("kernels", "latency", "embedder")


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
    from rtspk.engine.pipeline import Engine

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
    reference: Annotated[
        Path, typer.Option("--reference", metavar="DIR", help="An RTTM for each audio file.")
    ],
    audio: Annotated[Path, typer.Option("--audio", metavar="DIR", help="Audio files of the same stems.")],
    uem: Annotated[
        Path | None, typer.Option("--uem", metavar="DIR", help="What is scored, a UEM for each.")
    ] = None,
    latency: Latency = 1.0,
    collar: Annotated[
        float, typer.Option("--collar", metavar="C", help="Seconds left out around each edge.")
    ] = 0.0,
    model: ModelFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Diarization error rate with its parts, over a folder of conversations; overlap counts."""
    from rtspk.bench.diarization import evaluate_diarization
    from rtspk.engine.pipeline import Engine
    from rtspk.engine.settings import SessionConfig

    SessionConfig(latency=latency)  # refuses what cannot be, before the work
    if collar < 0:
        raise ConfigError(f"wanted a --collar of 0 seconds or more, got {collar:g}")
    with progress() as advance:
        engine = Engine.load(":memory:", model=model, device=device)
        report = evaluate_diarization(
            engine, reference, audio, uem, latency, collar, lambda done, of: advance("recordings", done, of)
        )
    if as_json:
        say(report.to_json())
    else:
        report.table(answers())


def bench(
    suite: Annotated[str, typer.Argument(metavar="kernels|latency|embedder|all")] = "all",
    seed: Annotated[int, typer.Option("--seed", metavar="N")] = 0,
    runs: Annotated[int, typer.Option("--runs", metavar="N", help="Of each case; the median counts.")] = 7,
    model: ModelFolder = None,
    peer: Annotated[
        Path | None,
        typer.Option("--peer", metavar="DIR", help="Another model, timed beside ours by `bench embedder`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How fast: a table, or with --json one line a case."""
    if suite not in {*SUITES, "all"}:
        raise ConfigError(f"wanted a bench of {', '.join(SUITES)} or all, got {suite!r}")
    if runs < 1:
        raise ConfigError(f"wanted at least one run, got {runs}")
    from rtspk.bench.report import print_table

    results: list[Result] = []
    for name in SUITES if suite == "all" else (suite,):
        for result in _suite(name, model, peer)(seed, runs):
            results.append(result)
            if as_json:
                say(result.json_line())
    if not as_json:
        print_table(results, answers())


def _suite(name: str, model: Path | None, peer: Path | None) -> Suite:
    if name == "embedder":
        from rtspk.bench import embedder
        from rtspk.engine.registry import resolve_model

        return partial(embedder.run, model=resolve_model(model), peer=peer)
    if name == "kernels":
        from rtspk.bench import kernels

        return kernels.run
    from rtspk.bench import latency

    return latency.run
