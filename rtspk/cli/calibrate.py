"""`rtspk calibrate`: what a score means on one's own recordings."""

from pathlib import Path
from typing import Annotated

import typer

from rtspk.cli.options import AsJson, Device, GalleryFile, ModelFolder
from rtspk.cli.screen import answers, note, plain, progress, say
from rtspk.errors import ConfigError

__all__ = ["calibrate"]


def calibrate(
    file: Annotated[
        Path, typer.Argument(metavar="TRIALS", help="A trial a line: 0|1 PATH PATH, from the file's folder.")
    ],
    false_accept: Annotated[
        float, typer.Option("--false-accept", metavar="RATE", help="Two voices taken for one, at most.")
    ] = 0.01,
    keep: Annotated[
        bool,
        typer.Option("--keep/--dry-run", help="Keep it in the gallery, for all that is named from now on."),
    ] = True,
    with_quality: Annotated[
        bool,
        typer.Option("--quality", help="Let it count how clean a clip is; a stream counts as clean."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.toml", help="Write it as a model's naming.toml too.")
    ] = None,
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Fit probabilities to your own recordings; prints threshold, margin, FA and FR."""
    from rtspk.cli.output import check_writable

    if not 0.0 < false_accept < 1.0:
        raise ConfigError(f"wanted --false-accept between 0 and 1, got {false_accept:g}")
    if out is not None:
        check_writable(out)
    from rtspk.bench.calibrate import calibrate as fit
    from rtspk.engine.gallery import Gallery
    from rtspk.engine.gallery_file import default_gallery
    from rtspk.engine.pipeline import Engine
    from rtspk.files import write_atomically

    path = gallery or default_gallery()
    is_made = keep and not path.exists() and str(path) != ":memory:"  # when there is something to keep
    with progress() as advance:
        wanted = ":memory:" if is_made else gallery
        engine = Engine.load(wanted, model=model, device=device, create=False)
        report = fit(
            engine,
            file,
            false_accept,
            lambda done, of: advance("clips", done, of),
            with_quality=with_quality,
        )
    if as_json:
        say(report.to_json())
    else:
        report.table(answers())
    if out is not None:
        write_atomically(out, report.to_toml().encode())
    if keep:
        voices = engine.gallery
        if is_made:
            voices = Gallery.open(path, voices.model_id, voices.dimension)
        voices.calibrate(report.calibration)
        note("kept in the gallery")
    elif out is not None:
        note(f"written to {plain(str(out))}; nothing else was changed")
