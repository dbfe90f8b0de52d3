"""Hear a microphone through PortAudio: an iterator of chunks whose positions stay true to time.

What is lost on the way is counted and filled with zeros, so chunks follow one another without a hole.
"""

import atexit
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from rtspk.errors import DeviceError, SessionError
from rtspk.resample import Resampler
from rtspk.types import LOUDEST, SAMPLE_RATE, Chunk, FloatArray

if TYPE_CHECKING:
    import sounddevice

__all__ = ["Device", "Microphone", "list_devices"]

BLOCK_SECONDS: float = 0.05  # shorter blocks make PulseAudio's ALSA plug-in stall as it starts
DEVICE_LATENCY_SECONDS: float = 0.1
SILENT_SECONDS: float = 2.0  # a device that says nothing for so long is gone
FIRST_SECONDS: float = 5.0  # wireless microphones take a while to wake up
CLOSE_SECONDS: float = 1.0  # closing takes milliseconds where it works
POLL_SECONDS: float = 0.1  # how soon Ctrl-C and `stop` are seen
BACKLOG_SECONDS: float = 10.0


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone as PortAudio lists it."""

    index: int
    name: str
    host_api: str
    channels: int
    rate: int  # Hz, its own
    is_default: bool


class _Times(Protocol):
    inputBufferAdcTime: float  # noqa: N815 (PortAudio's name)


class _Flags(Protocol):
    input_overflow: bool


def list_devices() -> list[Device]:
    """List what can record, in PortAudio's order; an empty list where there is nothing."""
    with _quiet_stderr():
        portaudio = _portaudio()
        try:
            listed = list(portaudio.query_devices())
            hosts = [str(host["name"]) for host in portaudio.query_hostapis()]
            default = int(portaudio.default.device[0])
        except portaudio.PortAudioError as error:
            raise DeviceError(f"wanted the list of microphones, got {_line(error)}") from error
    return [
        Device(
            index=index,
            name=str(each["name"]),
            host_api=hosts[each["hostapi"]],
            channels=int(each["max_input_channels"]),
            rate=round(each["default_samplerate"]),
            is_default=index == default,
        )
        for index, each in enumerate(listed)
        if each["max_input_channels"] > 0
    ]


class Microphone:
    """A microphone, open from `with` to its end; iterate over it for chunks at 16 kHz.

    `device` is a number or a part of a name, None for the default one. At most `backlog_seconds` wait
    for a slow reader; what comes beyond is lost. Each hole raises `overruns` by one, and zeros stand
    in the stream where its `lost_samples` were.
    """

    def __init__(self, device: str | int | None = None, *, backlog_seconds: float = BACKLOG_SECONDS) -> None:
        self.device = _choose(list_devices(), device)
        self.overruns = 0
        self._lost = 0  # frames at the device's rate
        self._hole = 0  # lost frames that the queue does not know of yet
        self._blocks: queue.Queue[tuple[int, bytes]] = queue.Queue(
            max(1, round(backlog_seconds / BLOCK_SECONDS))
        )
        self._stopping = threading.Event()
        self._ended = threading.Event()  # PortAudio says that the stream is over
        self._heard_until: float | None = None  # PortAudio's clock at the end of the last block
        self._stream: sounddevice.RawInputStream | None = None
        self._chunks: Iterator[Chunk] = iter(())
        self._rate, self._channels = SAMPLE_RATE, 1

    @property
    def rate(self) -> int:
        """The rate in Hz at which the device is open; chunks are at 16 kHz all the same."""
        return self._rate

    @property
    def lost_samples(self) -> int:
        """How many samples at 16 kHz were lost and filled with zeros."""
        return round(self._lost * SAMPLE_RATE / self._rate)

    def __enter__(self) -> Self:
        if self._stopping.is_set():
            raise SessionError("wanted a new microphone, got one that was closed")
        with _quiet_stderr():
            portaudio = _portaudio()
            self._rate, self._channels = _settings(portaudio, self.device)
            try:
                self._stream = portaudio.RawInputStream(
                    samplerate=self._rate,
                    channels=self._channels,
                    device=self.device.index,
                    dtype="float32",
                    blocksize=round(BLOCK_SECONDS * self._rate),
                    latency=DEVICE_LATENCY_SECONDS,
                    callback=self._receive,
                    finished_callback=self._ended.set,
                )
                self._stream.start()
            except portaudio.PortAudioError as error:
                self.close()
                raise DeviceError(f"wanted to open {_named(self.device)}, got {_line(error)}") from error
        self._chunks = self._listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Chunk]:
        """Give chunks until `stop`; raise DeviceError when the device goes away."""
        if self._stream is None:
            raise SessionError("wanted an open microphone, got one outside its `with`")
        return self._chunks

    def stop(self) -> None:
        """End the iterator behind what was heard up to now; from any thread, any number of times."""
        self._stopping.set()

    def close(self) -> None:
        """Stop and give the device back."""
        self.stop()
        stream, self._stream = self._stream, None
        if stream is None:
            return
        # A frozen sound server answers nobody, and PortAudio waits for it without end: we do not.
        closer = threading.Thread(target=_close, args=(stream,), daemon=True)
        with _quiet_stderr():
            closer.start()
            closer.join(CLOSE_SECONDS)
        if closer.is_alive():
            atexit.unregister(_portaudio()._exit_handler)  # noqa: SLF001 (it would wait as well)

    def _receive(self, data: memoryview, frames: int, times: _Times, flags: _Flags) -> None:
        """Take a block on PortAudio's own thread: copy it and leave."""
        if self._stopping.is_set():
            return
        start = times.inputBufferAdcTime
        if flags.input_overflow:
            missed = 0.0 if self._heard_until is None else max(0.0, start - self._heard_until)
            self._lose(round(missed * self._rate))
        self._heard_until = start + frames / self._rate
        try:
            self._blocks.put_nowait((self._hole, bytes(data)))
            self._hole = 0
        except queue.Full:
            self._lose(frames)

    def _lose(self, frames: int) -> None:
        if self._hole == 0:
            self.overruns += 1
        self._hole += frames
        self._lost += frames

    def _listen(self) -> Iterator[Chunk]:
        resampler = Resampler(self._rate)
        position = 0
        for block in self._heard_blocks():
            samples = resampler.push(block)
            if len(samples):
                yield Chunk(samples, position)
                position += len(samples)
        samples = resampler.finish()
        if len(samples):
            yield Chunk(samples, position)
        if not self._stopping.is_set():
            raise DeviceError(
                f"wanted sound from {_named(self.device)}, got none: it stopped or was unplugged"
            )

    def _heard_blocks(self) -> Iterator[FloatArray]:
        """Give blocks at the device's rate, zeros for what was lost, until `stop` or the device's end."""
        waited, patience = 0.0, FIRST_SECONDS  # time waited, not time gone by: a process may be suspended
        while True:
            is_last = self._stopping.is_set() or self._ended.is_set()  # what is queued now is all there is
            try:
                hole, data = self._blocks.get(timeout=0.0 if is_last else POLL_SECONDS)
            except queue.Empty:
                waited += POLL_SECONDS
                if is_last or waited > patience:
                    return
                continue
            waited, patience = 0.0, SILENT_SECONDS
            while hole > 0:
                piece = min(hole, self._rate)
                yield np.zeros(piece, dtype=np.float32)
                hole -= piece
            block = np.frombuffer(data, dtype=np.float32)
            block = np.where(np.abs(block) < LOUDEST, block, np.float32(0))  # else the driver has failed
            yield block.reshape(-1, self._channels).mean(axis=1, dtype=np.float32)  # (n,)


def _portaudio() -> ModuleType:
    """Load PortAudio, which looks for devices as it starts."""
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(
            "wanted the PortAudio library for the microphone, got none: "
            "install libportaudio2 (Debian, Ubuntu) or portaudio (macOS: brew install portaudio)"
        ) from error
    except Exception as error:  # PortAudio's own error cannot be imported from what failed to import
        raise DeviceError(f"wanted PortAudio to start, got {_line(error)}") from error
    module: ModuleType = sounddevice
    return module


def _choose(devices: list[Device], wanted: str | int | None) -> Device:
    """Find the one device of this number or name."""
    if not devices:
        raise DeviceError("wanted a microphone, got a machine without one")
    if wanted is None:
        found = [each for each in devices if each.is_default]
    elif isinstance(wanted, int) or wanted.isdecimal():
        found = [each for each in devices if each.index == int(wanted)]
    else:
        name = wanted.casefold()
        found = [each for each in devices if each.name.casefold() == name]
        found = found or [each for each in devices if name in each.name.casefold()]
    if len(found) == 1:
        return found[0]
    asked = "a default microphone" if wanted is None else f"one microphone for {wanted!r}"
    there = ", ".join(f"{each.index} {each.name!r} ({each.host_api})" for each in found or devices)
    raise DeviceError(
        f"wanted {asked}, got {len(found) or 'none'}; there {'match' if found else 'are'}: {there}"
    )


def _settings(portaudio: ModuleType, device: Device) -> tuple[int, int]:
    """Find the rate and channels to open with: 16 kHz and one if the device can, else its own."""
    problem: Exception | None = None
    for rate, channels in ((SAMPLE_RATE, 1), (device.rate, 1), (device.rate, device.channels)):
        try:
            portaudio.check_input_settings(
                device=device.index, channels=channels, dtype="float32", samplerate=rate
            )
        except portaudio.PortAudioError as error:
            problem = error
        else:
            return rate, channels
    raise DeviceError(f"wanted to open {_named(device)}, got {_line(problem)}") from problem


def _close(stream: "sounddevice.RawInputStream") -> None:
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)


def _named(device: Device) -> str:
    return f"microphone {device.index} {device.name!r}"


def _line(error: Exception | None) -> str:
    """Make one line of an error's text."""
    return " ".join(str(error).split())


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send what C libraries print to nowhere for a moment: ALSA and JACK grumble as devices open."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error to keep quiet
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
