"""Read any sound as chunks of mono float32 at 16 kHz: files, URLs and containers by FFmpeg, and raw PCM.

Nothing is ever whole in memory, so a file of many hours costs as little as a short one.
"""

import logging
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np

from rtspk.container import READ_SECONDS, Recording, opened
from rtspk.errors import AudioError
from rtspk.resample import Resampler
from rtspk.types import LOUDEST, SAMPLE_RATE, Chunk, FloatArray, samples_of

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

__all__ = [
    "Encoding",
    "chunked",
    "decoded",
    "duration_seconds",
    "loudest",
    "read_audio",
    "stream_audio",
    "stream_pcm",
    "write_wav",
]

Encoding = Literal["s16le", "f32le"]

HOLE_SECONDS: float = 0.1  # a shorter hole in the timestamps is jitter
LONGEST_HOLE_SECONDS: float = 60.0  # a longer one is another clock, such as a joined file's
READ_BYTES: int = 1 << 16
DAMAGE_LIMIT: int = 64  # container errors in a row without one packet between them
CANCELLED: float = 0.01  # where the mean is that much softer than a channel
MAGIC: dict[bytes, str] = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3"}
MISCOUNTED: int = 8  # channels from which on PyAV counts planes that are not there, or fails over them
PCM: dict[str, str] = {"s16le": "<i2", "f32le": "<f4"}
FORMATS: dict[str, str] = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
SCALES: dict[str, float] = {
    "u1": 2.0**-7,
    "i2": 2.0**-15,
    "i4": 2.0**-31,
    "i8": 2.0**-63,
    "f4": 1.0,
    "f8": 1.0,
}

_log = logging.getLogger(__name__)


def stream_audio(
    source: str | Path, *, chunk_seconds: float = 0.1, contained: bool = False
) -> Iterator[Chunk]:
    """Decode a file, URL or container as a stream; all chunks but the last are `chunk_seconds` long.

    Channels become their mean; video and data are left out. Packets that do not decode, and holes of
    up to a minute in the timestamps, become silence, as does what a video shows before its sound begins: so
    positions stay true to the source's time.
    `contained` refuses what may name other files to be read, such as a playlist: for bytes of strangers.
    """
    size = samples_of(chunk_seconds)
    if size < 1:
        raise AudioError(f"wanted chunks of at least one sample, got {chunk_seconds} s")
    with opened(source, contained=contained) as recording:
        yield from chunked(decoded(recording), size)


def chunked(blocks: Iterable[tuple[int, FloatArray]], size: int) -> Iterator[Chunk]:
    """Bring what was decoded, rates and samples [shape=(n,)], to chunks of `size` samples at 16 kHz."""
    return _packed(_resampled(blocks), size)


def decoded(recording: Recording) -> Iterator[tuple[int, FloatArray]]:
    """Give the rate and the samples : float32 [shape=(n,)] of each frame, silence where some are missing."""
    import av

    name = recording.name
    if recording.others:
        _log.warning("%s: %s", name, recording.others)
    is_pcm = recording.stream.codec_context.name.startswith("pcm_")
    mixing = _Mixing()
    clock = _Clock(recording.begin)
    seen, damaged = 0, 0
    for packet in _packets(recording):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damaged += 1
            continue
        for frame in frames:
            rate = frame.sample_rate
            block = mixing.mean(_values(frame))
            if is_pcm:
                _check_sound(block, name, seen, rate)
            elif not _is_sound(block):  # the decoder made it of damaged bytes
                damaged += 1
                block = np.zeros_like(block)
            if hole := round(clock.hole(frame.time, len(block) / rate) * rate):
                yield rate, np.zeros(hole, dtype=np.float32)
            seen += len(block)
            yield rate, block
    if not seen:
        raise AudioError(f"{name}: wanted sound, got no samples that decode")
    mixing.warn(name)
    if damaged:
        packets = "packet was" if damaged == 1 else "packets were"
        _log.warning("%s: %d damaged %s left out", name, damaged, packets)


def read_audio(source: str | Path) -> FloatArray:
    """Decode all of a source: float32 [shape=(n,)] at 16 kHz."""
    nothing = np.zeros(0, dtype=np.float32)
    return np.concatenate([nothing, *(chunk.samples for chunk in stream_audio(source, chunk_seconds=10.0))])


def duration_seconds(source: str | Path) -> float | None:
    """How long a source says that it is, in seconds; None where it does not know."""
    with opened(source) as recording:
        return recording.duration


def stream_pcm(
    stream: BinaryIO, rate: int, *, encoding: Encoding = "s16le", channels: int = 1
) -> Iterator[Chunk]:
    """Read raw interleaved PCM, such as standard input, and yield what has arrived as soon as it has.

    Reads may end anywhere: bytes of one sample are kept together. Half a sample at the very end is
    left out. Samples that are NaN, infinite or beyond any sound raise AudioError with their time.
    """
    if encoding not in PCM:
        raise AudioError(f"wanted PCM as one of {', '.join(PCM)}, got {encoding!r}")
    if channels < 1:
        raise AudioError(f"wanted at least one channel, got {channels}")
    resampler = Resampler(rate)
    read = getattr(stream, "read1", stream.read)  # read1 does not wait for a full buffer
    width = np.dtype(PCM[encoding]).itemsize * channels
    mixing = _Mixing()
    rest, seen, position = b"", 0, 0
    while data := read(READ_BYTES):
        if not (seen or rest):
            _check_raw(data)
        data = rest + data
        whole = len(data) - len(data) % width
        rest = data[whole:]
        values = np.frombuffer(data[:whole], dtype=PCM[encoding]).reshape(-1, channels).T
        block = mixing.mean(values)  # (n,)
        _check_sound(block, "the PCM stream", seen, rate)
        seen += len(block)
        ready = resampler.push(block)
        if len(ready):
            yield Chunk(ready, position)
            position += len(ready)
    if not seen:
        raise AudioError("the PCM stream: wanted sound, got no samples")
    mixing.warn("the PCM stream")
    ready = resampler.finish()
    if len(ready):
        yield Chunk(ready, position)


def loudest(samples: FloatArray, length: int) -> FloatArray:
    """The `length` samples [shape=(n,)] in a row that hold the most energy; all where there are not more."""
    if len(samples) <= length:
        return samples
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[start : start + length]


def write_wav(path: str | Path, samples: FloatArray, rate: int = SAMPLE_RATE) -> None:
    """Write one channel as 16-bit WAV; what is beyond full scale is clipped. samples : [shape=(n,)]."""
    if samples.ndim != 1:
        raise AudioError(f"wanted one channel of shape (n,), got shape {samples.shape}")
    values = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.tobytes())


def _packets(recording: Recording) -> "Iterator[av.Packet[AudioStream]]":
    """Give the stream's packets, going on behind damage for as long as any come."""
    import av

    failures = 0
    while failures < DAMAGE_LIMIT:
        try:
            for packet in recording.container.demux(recording.stream):
                failures = 0
                yield packet
        except (av.error.InvalidDataError, av.error.BlockingIOError, av.error.MemoryError):
            failures += 1  # sizes read from damaged bytes show as lack of data or memory
        except av.error.ExitError as error:
            said = f"nothing more within {READ_SECONDS:g} s"
            raise AudioError(f"{recording.name}: wanted to read to its end, got {said}") from error
        except av.error.FFmpegError as error:
            raise AudioError(f"{recording.name}: wanted to read to its end, got {error.strerror}") from error
        else:
            return
    _log.warning("%s: the container is damaged, and what follows cannot be read", recording.name)


def _values(frame: "av.AudioFrame") -> "NDArray[np.generic]":
    """View a frame's samples as [shape=(channels, n)], whether its channels are apart or interleaved."""
    dtype = np.dtype(FORMATS[frame.format.packed.name])
    channels, n = frame.layout.nb_channels, frame.samples
    if frame.format.is_planar and channels < MISCOUNTED:
        return np.stack([np.frombuffer(memoryview(plane), dtype, n) for plane in frame.planes])
    if frame.format.is_planar:
        from av import AudioResampler

        (frame,) = AudioResampler(frame.format.packed, frame.layout, frame.sample_rate).resample(frame)
    return np.frombuffer(memoryview(frame.planes[0]), dtype, n * channels).reshape(n, channels).T


def _mono(values: "NDArray[np.generic]") -> FloatArray:
    """Turn integer or float samples [shape=(channels, n)] into their mean: float32 [shape=(n,)]."""
    kind = values.dtype.str[1:]
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what is not finite
        mean: NDArray[np.float64] = values.mean(axis=0, dtype=np.float64)
        if kind == "u1":
            mean -= 128.0  # unsigned samples rest in the middle
        return (mean * SCALES[kind]).astype(np.float32)


class _Clock:
    """Finds holes between frames, by the container's own time."""

    def __init__(self, begin: float | None) -> None:
        self._begin = begin  # seconds: of the container, where it says so
        self._next: float | None = None  # where the next frame should begin

    def hole(self, time: float | None, length: float) -> float:
        """Take a frame that begins at a time and is so long; the silence before it. All in seconds."""
        hole = 0.0
        if time is not None:
            wanted = self._begin if self._next is None else self._next
            hole = 0.0 if wanted is None else time - wanted
            if self._next is None or hole > HOLE_SECONDS or hole < -LONGEST_HOLE_SECONDS:
                self._next = time
        if self._next is not None:
            self._next += length
        return hole if HOLE_SECONDS < hole <= LONGEST_HOLE_SECONDS else 0.0


class _Mixing:
    """Makes one channel of all, and notices that they cancel each other."""

    def __init__(self) -> None:
        self._first = self._mean = 0.0  # the loudest sample of the first channel, and of the mean

    def mean(self, values: "NDArray[np.generic]") -> FloatArray:
        """The mean of channels [shape=(channels, n)]: float32 [shape=(n,)]."""
        block = _mono(values)
        if len(values) > 1 and len(block):
            self._first = max(self._first, float(np.abs(_mono(values[:1])).max()))
            self._mean = max(self._mean, float(np.abs(block).max()))
        return block

    def warn(self, name: str) -> None:
        """Say of a source that has ended, if its channels did."""
        if self._mean < CANCELLED * self._first:
            _log.warning("%s: the channels cancel each other, so that their mean is silent", name)


def _check_raw(data: bytes) -> None:
    """Refuse what begins like a file: its bytes would be heard as noise."""
    for begin, kind in MAGIC.items():
        if data.startswith(begin):
            raise AudioError(f"the PCM stream: wanted raw samples, got {kind}, which is read without a rate")


def _is_sound(block: FloatArray) -> bool:
    """Whether every sample is a number that sound can have; NaN compares as false."""
    return not len(block) or bool(np.abs(block).max() < LOUDEST)


def _check_sound(block: FloatArray, name: str, before: int, rate: int) -> None:
    """Refuse what is no sound, and say where; `before` samples at `rate` came ahead of the block."""
    if not _is_sound(block):
        first = int(np.argmin(np.abs(block) < LOUDEST))
        at = (before + first) / rate
        raise AudioError(f"{name}: wanted samples about -1 to 1, got {block[first]:.3g} at {at:.3f} s")


def _resampled(blocks: Iterable[tuple[int, FloatArray]]) -> Iterator[FloatArray]:
    """Bring blocks to 16 kHz; a source that changes its rate midway starts a new filter there."""
    resampler: Resampler | None = None
    for rate, block in blocks:
        if resampler is None or rate != resampler.rate_in:
            if resampler is not None:
                yield resampler.finish()
            resampler = Resampler(rate)
        yield resampler.push(block)
    if resampler is not None:
        yield resampler.finish()


def _packed(blocks: Iterable[FloatArray], size: int) -> Iterator[Chunk]:
    """Join and cut blocks of any length into chunks of `size` samples; the last may be shorter."""
    waiting: list[FloatArray] = []
    held, position = 0, 0
    for block in blocks:
        waiting.append(block)
        held += len(block)
        if held < size:
            continue
        joined = np.concatenate(waiting)
        for cut in range(0, held - size + 1, size):
            yield Chunk(joined[cut : cut + size], position)
            position += size
        held %= size
        waiting = [joined[len(joined) - held :]]
    if held:
        yield Chunk(np.concatenate(waiting), position)
