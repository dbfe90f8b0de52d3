"""What a sound file says of itself: its length, rate and codec, read without decoding it."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtspk.container import open_container
from rtspk.errors import AudioError
from rtspk.types import samples_of

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

__all__ = ["Header", "read_header", "read_headers"]

GUESSED: frozenset[str] = frozenset({"mp3", "aac"})  # containers whose header may only guess the length


@dataclass(frozen=True, slots=True)
class Header:
    """A sound file without its sound."""

    samples: int  # length at 16 kHz, whatever the file's own rate
    rate: int  # Hz, the file's own
    channels: int
    codec: str


def read_header(path: Path) -> Header:
    """Read a file's header; where that may guess the length or does not know it, packets are counted.

    Raises:
        AudioError: there is no such file, or it holds no sound that FFmpeg knows.
    """
    import av

    if not path.is_file():
        raise AudioError(f"{path}: wanted an audio file, got no such file")
    try:
        with open_container(path) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise AudioError(f"{path}: wanted an audio stream, got none")
            codec = stream.codec_context
            return Header(
                samples_of(_seconds(container, stream)), codec.sample_rate, codec.channels, codec.name
            )
    except av.error.FFmpegError as error:
        raise AudioError(f"{path}: wanted sound that FFmpeg reads, got {error.strerror}") from error


def read_headers(
    paths: Iterable[Path], progress: Callable[[int, int], None]
) -> dict[Path, Header | AudioError]:
    """Read many headers at once; what cannot be read answers with its error instead.

    Args:
        paths: sound files, each read once
        progress: called with files done and files in all
    """
    files = sorted(set(paths))
    found: dict[Path, Header | AudioError] = {}
    with ThreadPoolExecutor(max_workers=4 * (os.cpu_count() or 1)) as pool:  # mostly they wait for the disk
        for path, header in zip(files, pool.map(_header_or_error, files), strict=True):
            found[path] = header
            progress(len(found), len(files))
    return found


def _header_or_error(path: Path) -> Header | AudioError:
    try:
        return read_header(path)
    except AudioError as error:
        return error


def _seconds(container: "InputContainer", stream: "AudioStream") -> float:
    guessed = not GUESSED.isdisjoint(container.format.name.split(","))
    if not guessed and stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    if not guessed and container.duration is not None:
        return container.duration / 1_000_000  # from microseconds
    ticks = sum(packet.duration or 0 for packet in container.demux(stream))
    return float(ticks * (stream.time_base or 0))
