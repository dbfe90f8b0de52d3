"""`rtspk tune`: the gates that suit given recordings, as a config file."""

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
)
from rtspk.cli.screen import note, plain, print_json, progress, say
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    from rtspk.bench.tuning import Tuned

__all__ = ["tune"]


def tune(
    reference: ReferenceFolder,
    audio: AudioFolder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The config to write: TOML.")],
    uem: UemFolder = None,
    latency: Latency = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Settings to try.")] = 60,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of what is tried.")] = 0,
    config: ConfigFile = None,
    model: ModelFolder = None,
    segmenter: SegmenterFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Search the gates that give the least diarization error on your own recordings.

    `rtspk listen --config FILE` uses them. A few long recordings of the same room and microphone are better
    than many short ones; measure on others than these. Ctrl-C ends the search with the best so far.
    """
    from rtspk.bench.tuning import config_text
    from rtspk.bench.tuning import tune as search
    from rtspk.cli.output import check_writable
    from rtspk.engine.pipeline import Engine
    from rtspk.engine.settings import session_config
    from rtspk.files import write_atomically

    start = session_config(config, latency=latency)
    if trials < 1:
        raise ConfigError(f"wanted at least one of --trials, got {trials}")
    if not 0 <= seed < 2**32:  # as NumPy's generators of old have it
        raise ConfigError(f"wanted a --seed of 0 to {2**32 - 1}, got {seed}")
    check_writable(out)
    with progress() as advance:
        engine = Engine.load(":memory:", model=model, segmenter=segmenter, device=device)
        found = search(
            engine,
            reference,
            audio,
            uem,
            start=start,
            trials=trials,
            seed=seed,
            progress=lambda done, of, best: advance("try", done, of, f"best {best:.1%}"),
        )
    write_atomically(out, config_text(found.config).encode())
    for said in found.before.notes:
        note(f"rtspk: {plain(said)}")
    before, after = found.before.total, found.after.total
    if as_json:
        print_json(
            {
                "config": str(out),
                "latency": start.latency,
                "trials": found.trials,
                "seed": seed,
                "before": {"der": before.first.to_json()["der"], "revised": before.revised.to_json()["der"]},
                "after": {"der": after.first.to_json()["der"], "revised": after.revised.to_json()["der"]},
            }
        )
    else:
        _say(found, out, start.latency, "whole files" if uem is None else "what the UEM says")
    if found.trials < trials:
        raise KeyboardInterrupt


def _say(found: "Tuned", out: Path, latency: float, region: str) -> None:
    """What the settings are worth on the recordings that they were found on."""
    before, after = found.before.total, found.after.total
    say(
        f"{plain(str(out))}: DER {before.first.error.rate:.1%} -> {after.first.error.rate:.1%} first said, "
        f"{before.revised.error.rate:.1%} -> {after.revised.error.rate:.1%} revised, on these recordings "
        f"(latency {latency:g} s, collar 0, overlap scored, {region}, own speech activity)"
    )
