"""Open what holds sound by FFmpeg: files, URLs and containers; one plain error for each way to fail."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtspk.errors import AudioError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

__all__ = ["open_container", "opened", "shown_name"]

_OPEN_SECONDS: float = 15.0  # how long a URL may take to answer
_READ_SECONDS: float = 30.0  # how long a URL may send nothing
_CONTAINED: tuple[str, ...] = (  # FFmpeg's names of formats whose sound is all in the file itself
    *("aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "eac3", "flac", "flv", "matroska"),
    *("mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "ogg", "tta", "voc", "w64", "wav", "webm", "wv"),
)


def open_container(source: str | Path, *, contained: bool = False) -> "InputContainer":
    """Open a file or URL with FFmpeg, whatever encoding its tags are in.

    Args:
        source: the file or URL
        contained: of a file, refuse what may name others to be read, such as a playlist

    Raises:
        av.error.FFmpegError: it cannot be opened.
    """
    import av

    is_url = _is_url(source)
    options: dict[str, Any] = {"timeout": (_OPEN_SECONDS, _READ_SECONDS)} if is_url else {}
    if int(av.__version__.partition(".")[0]) < 19:  # from there on it is always lenient
        options["metadata_errors"] = "replace"
    if contained:
        options["options"] = {"format_whitelist": ",".join(_CONTAINED), "protocol_whitelist": "file"}
    # Without a protocol, a colon in a name reads as one.
    container: InputContainer = av.open(str(source) if is_url else f"file:{source}", **options)
    return container


def shown_name(source: str | Path) -> str:
    """Return the source as messages show it, without a password."""
    return re.sub(r"//[^/@]*@", "//", str(source))


def _is_url(source: str | Path) -> bool:
    return isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source) is not None


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


@contextmanager
def opened(source: str | Path, *, contained: bool = False) -> "Iterator[tuple[InputContainer, AudioStream]]":
    """Open a source and find its audio, with one plain error for each way in which that fails."""
    import av

    name = shown_name(source)
    if not _is_url(source):
        _check_file(Path(source))
    try:
        container = open_container(source, contained=contained)
    except av.error.PermissionError as error:
        raise AudioError(f"{name}: wanted a file that may be read, got permission denied") from error
    except av.error.ProtocolNotFoundError as error:
        protocol = str(source).partition(":")[0]
        raise AudioError(f"{name}: wanted a URL that FFmpeg opens, got protocol {protocol!r}") from error
    except av.error.InvalidDataError as error:
        raise AudioError(f"{name}: wanted sound that FFmpeg reads, got data of no known format") from error
    except av.error.FFmpegError as error:
        is_other = contained and isinstance(error, av.error.ArgumentError)
        got = "a playlist, or a format that is not taken here" if is_other else error.strerror
        raise AudioError(f"{name}: wanted to open it, got {got}") from error
    with container:
        yield container, _audio_stream(container, name)


def _audio_stream(container: "InputContainer", name: str) -> "AudioStream":
    if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise AudioError(f"{name}: wanted an audio stream, got only {' and '.join(kinds) or 'a header'}")
    best = container.streams.best("audio")
    stream = next((each for each in container.streams.audio if each is best), container.streams.audio[0])
    if stream.codec_context is None:
        raise AudioError(f"{name}: wanted an audio codec that FFmpeg decodes, got an unknown one")
    return stream
