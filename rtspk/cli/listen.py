"""`rtspk listen`: who speaks, as they speak; and `rtspk devices`: what it can listen with."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import (
    AsJson,
    ConfigFile,
    Device,
    GalleryFile,
    Latency,
    MaxSpeakers,
    Microphone,
    ModelFolder,
    SegmenterFolder,
    given,
)
from rtspk.cli.screen import answers, plain, print_json, say, waiting
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    from rtspk.audio import Encoding
    from rtspk.cli.sources import Source

__all__ = ["devices", "listen"]

# Options of who does the work, and of raw sound.
ENGINE: tuple[str, ...] = ("gallery", "model", "segmenter", "device", "config")
RAW: tuple[str, ...] = ("encoding", "channels")


def listen(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE|-", help="A file or URL that FFmpeg reads; - is stdin."),
    ] = None,
    mic: Annotated[
        str | None,
        typer.Option("--mic", metavar="[DEVICE]", help="The microphone: the default one, or this."),
    ] = None,
    microphone: Microphone = None,
    rate: Annotated[
        int | None,
        typer.Option("--rate", metavar="HZ", help="stdin is raw sound of this rate; else FFmpeg reads it."),
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", metavar="s16le|f32le", help="Of raw sound on stdin.")
    ] = "s16le",
    channels: Annotated[int, typer.Option("--channels", metavar="N", help="Of raw sound on stdin.")] = 1,
    track: Annotated[
        int | None,
        typer.Option("--track", metavar="N", help="Of a file with several audio tracks, the first being 1."),
    ] = None,
    pace: Annotated[
        str,
        typer.Option(
            "--pace", metavar="fast|realtime", help="Of a file: as fast as it goes, or in its own time."
        ),
    ] = "fast",
    latency: Latency = None,
    max_speakers: MaxSpeakers = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="S2=NAME",
            help="Enrol whoever is S2 once the sound is over; may be repeated.",
        ),
    ] = None,
    config: ConfigFile = None,
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    segmenter: SegmenterFolder = None,
    device: Device = "auto",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="live|jsonl|rttm|srt|json",
            help="What is written; else live on a terminal, jsonl in a pipe, or what --output ends in.",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="ws://HOST:PORT", help="Let an `rtspk serve` do the work."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", envvar="RTSPK_TOKEN", metavar="TOKEN", help="For --server.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to a file; .jsonl, .rttm, .srt or .json at its end says the format.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw who spoke when: .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Say who is speaking in a file, on stdin, or before the microphone.

    A file on a terminal shows its speakers live; `rtspk listen talk.wav | jq` gets one event a line.
    With --output the events or the format go to the file, and a terminal still shows the live view.
    stdin without --rate holds what FFmpeg reads: `ffmpeg ... -f wav - | rtspk listen -`.
    Ctrl-C ends it in order: outputs are written. The exit status is 0, of a file or URL 130.
    """
    from rtspk.cli.labels import Labelled, labels_of
    from rtspk.cli.output import check_apart, check_picture, check_writable, format_of
    from rtspk.engine.settings import session_config

    if server is not None and (one := given(context, ENGINE)):
        raise ConfigError(f"wanted --{one} with `rtspk serve`, got it with --server")
    if rate is None and (one := given(context, RAW)):
        raise ConfigError(f"wanted --{one} only with raw sound on stdin and its --rate, got no rate")
    if server is not None and label:
        raise ConfigError("wanted --label without --server, got both")
    names = labels_of(label or [])
    settings = session_config(config, latency=latency, max_speakers=max_speakers)
    chosen = format_of(format_, output, is_terminal=sys.stdout.isatty())
    check_apart(source or "", output, picture)
    if output is not None:
        check_writable(output)
    if picture is not None:
        check_picture(picture)
    opened = _source(source, microphone or mic, rate, encoding, channels, track, pace)
    from rtspk.cli.stream import Outputs, Warnings, run

    shows_view = sys.stdout.isatty() and (
        chosen == "live" or (output is not None and format_ in {None, "live"})
    )
    outputs = Outputs(chosen, output, picture, shows_view)
    if server is not None:
        from rtspk.client import Client

        is_live = opened.is_live or pace == "realtime"
        with Client(
            server,
            token=token,
            latency=latency,
            max_speakers=max_speakers,
            pace="live" if is_live else "file",
        ) as client:
            warnings = Warnings(client)
            try:
                run(client, opened, outputs, warnings)
            finally:
                warnings.hear([], 0)  # what came with a failure
        return
    from rtspk.engine.pipeline import Engine

    with waiting("loading the models"):
        engine = Engine.load(gallery, model=model, segmenter=segmenter, device=device, create=bool(names))
    session = Labelled(engine.session(config=settings), names)
    run(session, opened, outputs)
    session.check()


def devices(as_json: AsJson = False) -> None:
    """List the microphones, with rate and channels."""
    from rtspk.microphone import list_devices

    found = list_devices()
    if as_json:
        rows = [
            {
                "index": d.index,
                "name": d.name,
                "host_api": d.host_api,
                "channels": d.channels,
                "rate": d.rate,
                "default": d.is_default,
            }
            for d in found
        ]
        print_json({"devices": rows})
        return
    if not found:
        say("no microphone")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "#", "name", "through", "channels", "rate"):
        table.add_column(column, justify="right" if column in {"#", "channels", "rate"} else "left")
    for d in found:
        mark = "*" if d.is_default else ""
        table.add_row(mark, str(d.index), plain(d.name), d.host_api, str(d.channels), f"{d.rate} Hz")
    answers().print(table)


def _source(
    source: str | None,
    mic: str | None,
    rate: int | None,
    encoding: str,
    channels: int,
    track: int | None,
    pace: str,
) -> "Source":
    """Open what is listened to; options that do not fit it are refused."""
    from rtspk.cli.sources import FileSource, MicrophoneSource, PipeSource, StreamSource, standard_input

    if pace not in {"fast", "realtime"}:
        raise ConfigError(f"wanted --pace as fast or realtime, got {pace!r}")
    if (source is None) == (mic is None):
        raise ConfigError(f"wanted a SOURCE, - or --mic, got {'none' if source is None else 'two of them'}")
    if source != "-" and rate is not None:
        raise ConfigError(f"wanted --rate only with raw sound on stdin (-), got it with {source or '--mic'}")
    if track is not None and (source is None or rate is not None):
        raise ConfigError(f"wanted --track of a file or URL, got it with {'--rate' if source else '--mic'}")
    if source is None:
        return MicrophoneSource(mic)
    if source == "-":
        stream, kind = standard_input(), _encoding(encoding)
        return StreamSource(track) if rate is None else PipeSource(stream, rate, kind, channels)
    return FileSource(source, 1.0 if pace == "realtime" else None, track)


def _encoding(wanted: str) -> "Encoding":
    match wanted:
        case "s16le":
            return "s16le"
        case "f32le":
            return "f32le"
    raise ConfigError(f"wanted --encoding as s16le or f32le, got {wanted!r}")
