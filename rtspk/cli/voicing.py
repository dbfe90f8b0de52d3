"""`rtspk voicing`: what tells voices from other sounds, for an embedder of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from rtspk.cli.options import AsJson, Device, ModelFolder, SegmenterFolder
from rtspk.cli.screen import note, plain, print_json, progress, say
from rtspk.errors import ConfigError

__all__ = ["voicing"]


def voicing(
    conversations: Annotated[
        Path, typer.Argument(metavar="DIR", help="Recordings, each with an RTTM (`rtspk simulate`).")
    ],
    sounds: Annotated[
        Path,
        typer.Option("--sounds", metavar="DIR", help="Recordings without a voice: noise, animals, music."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npy", help="The file to write.")],
    lost: Annotated[
        float, typer.Option("--lost", metavar="SHARE", help="Of the voices, at most, taken for sounds.")
    ] = 0.02,
    model: ModelFolder = None,
    segmenter: SegmenterFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Learn to tell voices from barks and music, so that these do not become speakers.

    Put the file beside the model, and `voicing = "FILE.npy"` into its card.toml.
    """
    from rtspk.bench.voices_and_sounds import learn_voicing
    from rtspk.cli.output import check_writable
    from rtspk.engine.pipeline import Engine
    from rtspk.files import write_atomically

    if not 0.0 < lost < 0.5:
        raise ConfigError(f"wanted --lost between 0 and 0.5, got {lost:g}")
    check_writable(out)
    with progress() as advance:
        engine = Engine.load(":memory:", model=model, segmenter=segmenter, device=device)
        report = learn_voicing(
            engine,
            conversations,
            sounds,
            lost=lost,
            progress=lambda done, of: advance("recordings", done, of),
        )
    write_atomically(out, report.to_bytes())
    if as_json:
        print_json({"voices": report.voices, "sounds": report.sounds, "passed": report.passed})
        return
    say(
        f"{report.voices} windows of voices and {report.sounds} of sounds, "
        f"{report.passed:.1%} of which pass for voices"
    )
    note(f'written to {plain(str(out))}; `voicing = "{plain(out.name)}"` in the model\'s card uses it')
