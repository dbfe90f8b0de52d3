"""Options that several verbs share, each with one meaning everywhere."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "AudioFolder",
    "ConfigFile",
    "Device",
    "GalleryFile",
    "Latency",
    "MaxSpeakers",
    "Microphone",
    "ModelFolder",
    "ReferenceFolder",
    "SegmenterFolder",
    "UemFolder",
    "given",
]

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
        metavar="MODEL",
        help="Another embedder: a folder with its card.toml, or an id of `rtspk models list`.",
    ),
]
SegmenterFolder = Annotated[
    str | None,
    typer.Option(
        "--segmenter",
        envvar="RTSPK_SEGMENTER",
        metavar="light|FOLDER",
        help="Another segmenter: a folder with its card.toml, or the light one that comes with rtspk.",
    ),
]
ReferenceFolder = Annotated[
    Path, typer.Option("--reference", metavar="DIR", help="An RTTM for each audio file, or one for all.")
]
AudioFolder = Annotated[Path, typer.Option("--audio", metavar="DIR", help="Audio files of the same stems.")]
UemFolder = Annotated[
    Path | None,
    typer.Option("--uem", metavar="DIR", help="What is scored: a UEM for each, or one for all."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for programs.")]
Device = Annotated[
    str,
    typer.Option("--device", envvar="RTSPK_DEVICE", metavar="auto|cpu|cuda", help="Where the embedder runs."),
]
Microphone = Annotated[
    str | None,
    typer.Option("--microphone", metavar="NAME", help="By number or part of its name (`rtspk devices`)."),
]
Latency = Annotated[
    float | None,
    typer.Option(
        "--latency",
        metavar="S",
        help="How old sound may be before its label is final: 0.5 to 5 seconds; else 1.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings as TOML, such as `rtspk tune` writes."),
]
MaxSpeakers = Annotated[
    int | None,
    typer.Option("--max-speakers", metavar="N", help="How many speakers are told apart at most; else 100."),
]


def given(context: typer.Context, names: Iterable[str]) -> str | None:
    """The first of some options that stands on the command line, and not in the environment alone."""
    for name in names:
        origin = context.get_parameter_source(name)
        if origin is not None and origin.name == "COMMANDLINE":
            return name
    return None
