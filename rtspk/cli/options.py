"""Options that several verbs share, each with one meaning everywhere."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Device", "GalleryFile", "Latency", "MaxSpeakers", "ModelFolder"]

GalleryFile = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        envvar="RTSPK_GALLERY",
        metavar="PATH",
        help="The file of enrolled voices; else the one in your data directory.",
    ),
]
ModelFolder = Annotated[
    Path | None,
    typer.Option(
        "--model",
        envvar="RTSPK_MODEL",
        metavar="DIR",
        help="Another embedder: a folder with its card.toml.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for programs.")]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help="A microphone, by number or part of its name (`rtspk devices`)."
    ),
]
Latency = Annotated[
    float, typer.Option("--latency", metavar="S", help="Seconds, 0.5 to 5; everything older is final.")
]
MaxSpeakers = Annotated[int, typer.Option("--max-speakers", metavar="N", help="Labels at most.")]
