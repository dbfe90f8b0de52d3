"""Open what FFmpeg opens (a file, a URL, standard input) and find the sound in it.

A source is a path, `file:` and a path, a URL, or `STANDARD_INPUT`. It is opened once: a pipe loses nothing.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtspk.errors import AudioError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

__all__ = ["READ_SECONDS", "STANDARD_INPUT", "Recording", "local_path", "open_container", "opened"]

STANDARD_INPUT: str = "pipe:0"  # as FFmpeg calls it
OPEN_SECONDS: float = 15.0  # how long a URL may take to answer
READ_SECONDS: float = 30.0  # how long a URL may send nothing
CONTAINED: tuple[str, ...] = (  # FFmpeg's names of formats whose sound is all in the file itself
    *("aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "eac3", "flac", "flv", "matroska"),
    *("mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "ogg", "tta", "voc", "w64", "wav", "webm", "wv"),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """A container that is open, of whose sound nothing was read yet."""

    container: "InputContainer"
    stream: "AudioStream"
    name: str  # as messages show it, without a password
    others: str = ""  # what there is to say of audio tracks that nobody chose among

    @property
    def duration(self) -> float | None:
        """How long it says that it is, in seconds; None where it does not know."""
        if self.stream.duration is not None and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        length = self.container.duration
        return None if length is None else length / 1_000_000  # from microseconds

    @property
    def begin(self) -> float | None:
        """The time at which the first of its pictures or sounds stands, in seconds; None if not known."""
        start = self.container.start_time
        return None if start is None else start / 1_000_000  # from microseconds


@contextmanager
def opened(source: str | Path, *, contained: bool = False, track: int | None = None) -> Iterator[Recording]:
    """Open a source and find its audio, with one plain error for each way in which that fails.

    `contained` refuses what may name other files to be read, such as a playlist. `track` is one of several
    audio tracks, from 1; None takes the one that FFmpeg thinks best.
    """
    import av

    name = "stdin" if source == STANDARD_INPUT else re.sub(r"//[^/@]*@", "//", str(source))
    path = local_path(source)
    if path is not None:
        _check_file(path)
    try:
        container = open_container(source, contained=contained)
    except av.error.PermissionError as error:
        raise AudioError(f"{name}: wanted a file that may be read, got permission denied") from error
    except av.error.ProtocolNotFoundError as error:
        protocol = str(source).partition(":")[0]
        raise AudioError(f"{name}: wanted a URL that FFmpeg opens, got protocol {protocol!r}") from error
    except av.error.InvalidDataError as error:
        raw = " (raw sound wants --rate HZ)" if source == STANDARD_INPUT else ""
        raise AudioError(
            f"{name}: wanted sound that FFmpeg reads, got data of no known format{raw}"
        ) from error
    except av.error.ExitError as error:
        raise AudioError(f"{name}: wanted to open it, got no answer within {OPEN_SECONDS:g} s") from error
    except av.error.FFmpegError as error:
        is_other = contained and isinstance(error, av.error.ArgumentError)
        got = "a playlist, or a format that is not taken here" if is_other else error.strerror
        raise AudioError(f"{name}: wanted to open it, got {got}") from error
    with container:
        stream, tracks = _audio_stream(container, name, track), container.streams.audio
        others = ""
        if track is None and len(tracks) > 1:
            heard = tracks.index(stream) + 1
            others = f"audio track {heard} of {len(tracks)} is heard (`rtspk listen --track N` hears another)"
        yield Recording(container, stream, name, others)


def open_container(source: str | Path, *, contained: bool = False) -> "InputContainer":
    """Open a source with FFmpeg, whatever encoding its tags are in.

    Raises:
        av.error.FFmpegError: it cannot be opened.
    """
    import av

    path = local_path(source)
    is_url = path is None and source != STANDARD_INPUT
    options: dict[str, Any] = {"timeout": (OPEN_SECONDS, READ_SECONDS)} if is_url else {}
    if int(av.__version__.partition(".")[0]) < 19:  # from there on it is always lenient
        options["metadata_errors"] = "replace"
    if contained:
        options["options"] = {"format_whitelist": ",".join(CONTAINED), "protocol_whitelist": "file"}
    # Without a protocol, a colon in a name reads as one.
    container: InputContainer = av.open(str(source) if path is None else f"file:{path}", **options)
    return container


def local_path(source: str | Path) -> Path | None:
    """Where a source lies on this machine; None for a URL and for standard input.

    >>> str(local_path("file:talk.wav")), local_path("https://example.org/talk.wav")
    ('talk.wav', None)
    """
    if isinstance(source, Path):
        return source
    if source.startswith("file:") and not os.path.exists(source):  # noqa: PTH110 - names may be too long
        return Path(source.removeprefix("file:"))
    is_url = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source) is not None
    return None if is_url or source == STANDARD_INPUT else Path(source)


def _check_file(path: Path) -> None:
    """Name the plain mistakes before FFmpeg calls them all invalid data."""
    try:
        is_folder, is_empty = path.is_dir(), path.is_file() and path.stat().st_size == 0
        is_there = path.exists()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioError(
            f"{path!s}: wanted an audio file, got a name that cannot be opened: {error}"
        ) from error
    if not is_there:
        raise AudioError(f"{path}: wanted an audio file, got no such file")
    if is_folder:
        raise AudioError(f"{path}: wanted an audio file, got a directory")
    if is_empty:
        raise AudioError(f"{path}: wanted an audio file, got an empty file")


def _audio_stream(container: "InputContainer", name: str, track: int | None) -> "AudioStream":
    if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise AudioError(f"{name}: wanted an audio stream, got only {' and '.join(kinds) or 'a header'}")
    tracks = container.streams.audio
    if track is None:
        best = container.streams.best("audio")
        stream = next((each for each in tracks if each is best), tracks[0])
    elif 1 <= track <= len(tracks):
        stream = tracks[track - 1]
    else:
        raise AudioError(f"{name}: wanted an audio track of 1 to {len(tracks)}, got {track}")
    if stream.codec_context is None:
        raise AudioError(f"{name}: wanted an audio codec that FFmpeg decodes, got an unknown one")
    return stream
