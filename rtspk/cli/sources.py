"""Where sound comes from: a file or URL, stdin, a microphone; each a context with chunks."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self
from urllib.parse import unquote, urlsplit

from rtspk.errors import ConfigError
from rtspk.types import Chunk, seconds_of

if TYPE_CHECKING:
    from rtspk.audio import Encoding

__all__ = [
    "CutShort",
    "FileSource",
    "MicrophoneSource",
    "PipeSource",
    "Source",
    "StreamSource",
    "ended_by_signals",
    "standard_input",
]

PACED_SECONDS: float = 0.1  # sound in one chunk where it is played in time
FAST_SECONDS: float = 0.5  # and where it is not: fewer, larger steps


class Source(Protocol):
    """What `listen` needs of a source."""

    name: str  # for people
    stem: str  # file id in RTTM
    is_live: bool  # Ctrl-C is its proper end
    duration: float | None  # seconds, where it is known beforehand

    @property
    def lost(self) -> str:
        """What was lost on the way, in words; empty where nothing was."""

    def __enter__(self) -> Self:
        """Open."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""

    def __iter__(self) -> Iterator[Chunk]:
        """Give the sound."""

    def stop(self) -> None:
        """End the sound behind what was heard."""


class FileSource:
    """A file or URL, as fast as it decodes or at `speed` times its own time."""

    is_live = False
    lost = ""

    def __init__(self, where: str, speed: float | None = None, track: int | None = None) -> None:
        from rtspk.cli.reader import Reader
        from rtspk.container import local_path

        here = local_path(where)
        path = unquote(urlsplit(where).path) if here is None else str(here)
        tail = path.rstrip("/").rpartition("/")[2]
        tail = os.fsencode(tail).decode("utf-8", "replace")  # a name may be no text
        self.name = tail or where
        self.stem = tail.rpartition(".")[0] or tail or "stream"
        self._speed = speed
        self._reader = Reader(where, FAST_SECONDS if speed is None else PACED_SECONDS, track)
        self.duration = self._reader.duration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[Chunk]:
        """Give the sound, each chunk when the last of it would have been heard."""
        begun = time.monotonic()
        for chunk in self._reader:
            if self._speed is not None:
                early = begun + seconds_of(chunk.end) / self._speed - time.monotonic()
                time.sleep(max(0.0, early))
            yield chunk

    def stop(self) -> None:
        """End behind what was heard."""
        self._reader.stop()


class StreamSource(FileSource):
    """A container on standard input, such as FFmpeg writes into a pipe."""

    is_live = True

    def __init__(self, track: int | None = None) -> None:
        from rtspk.cli.reader import Reader
        from rtspk.container import STANDARD_INPUT

        self.name = self.stem = "stdin"
        self.duration = self._speed = None
        self._reader = Reader(STANDARD_INPUT, PACED_SECONDS, track)


class PipeSource:
    """Raw interleaved PCM from a stream such as stdin."""

    is_live = True
    lost = ""
    duration: float | None = None
    name = stem = "stdin"

    def __init__(self, stream: BinaryIO, rate: int, encoding: "Encoding", channels: int) -> None:
        if rate < 1:
            raise ConfigError(f"wanted a rate in Hz above 0, got {rate}")
        self._stream, self._rate, self._encoding, self._channels = stream, rate, encoding, channels
        self._stopped = self._waiting = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True

    def __iter__(self) -> Iterator[Chunk]:
        """Give what arrives, when it arrives."""
        from rtspk.audio import stream_pcm

        chunks = stream_pcm(self._stream, self._rate, encoding=self._encoding, channels=self._channels)
        while not self._stopped:
            try:
                self._waiting = True
                chunk = next(chunks, None)
            except KeyboardInterrupt:
                return
            finally:
                self._waiting = False
            if chunk is None:
                return
            yield chunk

    def stop(self) -> None:
        """End; a read that waits for more is broken off, which only an exception can do."""
        self._stopped = True
        if self._waiting:
            raise KeyboardInterrupt


class MicrophoneSource:
    """The sound card, until it is stopped."""

    is_live = True
    duration: float | None = None

    def __init__(self, device: str | None) -> None:
        from rtspk.microphone import Microphone

        self._microphone = Microphone(device or None)
        self.name, self.stem = self._microphone.device.name, "microphone"

    @property
    def lost(self) -> str:
        """What the sound card or a slow machine lost."""
        seconds, holes = seconds_of(self._microphone.lost_samples), self._microphone.overruns
        return (
            f"{seconds:.2f} s of sound lost in {holes} {'hole' if holes == 1 else 'holes'}" if holes else ""
        )

    def __enter__(self) -> Self:
        self._microphone.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._microphone.close()

    def __iter__(self) -> Iterator[Chunk]:
        """Give the sound until it is stopped."""
        return iter(self._microphone)

    def stop(self) -> None:
        """End behind what was heard."""
        self._microphone.stop()


class CutShort(KeyboardInterrupt):
    """A file was ended before its end."""


@contextmanager
def ended_by_signals(source: Source) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a source in order; a second one breaks off at once.

    Raises:
        CutShort: behind the sound, where it was not live.
    """
    asked = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        source.stop()

    kept = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    if asked and not source.is_live:
        raise CutShort


def standard_input() -> BinaryIO:
    """The bytes of stdin; a terminal has none for us."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError("wanted sound on stdin, got a terminal: pipe it in, such as `arecord -t raw | ...`")
    return sys.stdin.buffer
