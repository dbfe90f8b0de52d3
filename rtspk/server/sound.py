"""Binary messages become sound: PCM or Opus, any rate and channel count, to mono float32 at 16 kHz."""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtspk.errors import AudioError
from rtspk.resample import Resampler
from rtspk.server.messages import AudioFormat
from rtspk.types import FloatArray

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

__all__ = ["Decoder", "OpusDecoder", "PcmDecoder", "decoder_of"]

LOUDEST: float = 1e6  # full scale is 1; no sound is beyond this
OPUS_RATE: int = 48_000  # what Opus decodes to, whatever it was made from
OPUS_RATES: tuple[int, ...] = (8_000, 12_000, 16_000, 24_000, 48_000)
OPUS_LARGEST: int = 61_440  # bytes of a packet: 48 frames of 1275 (RFC 6716, section 3.2) and their lengths
OPUS_LONGEST: float = 0.12  # s in one packet (RFC 6716, section 3.2.5)


class Decoder(Protocol):
    """What a stream needs of its format.

    A *unit* is what `received` counts on the wire: one sample of every channel, or one Opus packet.
    """

    damaged: int  # packets that did not decode and became silence
    width: int  # bytes of a unit of PCM; 0 where a message is one unit

    def measure(self, data: bytes) -> tuple[int, float]:
        """Units and seconds in whole units; raises AudioError for what cannot be sound."""

    def decode(self, data: bytes) -> FloatArray:
        """The next sound: float32 [shape=(n,)] at 16 kHz."""

    def silence(self, seconds: float) -> FloatArray:
        """What stands for sound that was lost."""

    def finish(self) -> FloatArray:
        """What the filter still held."""


def decoder_of(format_: AudioFormat) -> Decoder:
    """Make the decoder of a format.

    Raises:
        AudioError: a combination that there is none for; the line says what is accepted.
    """
    if format_.encoding != "opus":
        return PcmDecoder(format_)
    if format_.rate not in OPUS_RATES or format_.channels > 2:
        raise AudioError(
            f"wanted opus at {', '.join(map(str, OPUS_RATES))} Hz with 1 or 2 channels, "
            f"got {format_.rate} Hz with {format_.channels}"
        )
    return OpusDecoder(format_)


class PcmDecoder:
    """Interleaved samples."""

    def __init__(self, format_: AudioFormat) -> None:
        self.damaged = 0
        self._type = np.dtype("<i2" if format_.encoding == "s16le" else "<f4")
        self._scale = 2.0**-15 if format_.encoding == "s16le" else 1.0
        self._channels, self._rate = format_.channels, format_.rate
        self.width = self._type.itemsize * format_.channels
        self._resampler = Resampler(format_.rate)

    def measure(self, data: bytes) -> tuple[int, float]:
        """Samples of each channel."""
        units = len(data) // self.width
        return units, units / self._rate

    def decode(self, data: bytes) -> FloatArray:
        """The mean of the channels, at 16 kHz.

        Raises:
            AudioError: samples that no sound has, such as NaN.
        """
        values = np.frombuffer(data, self._type).reshape(-1, self._channels)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            sound = (values.mean(axis=1, dtype=np.float64) * self._scale).astype(np.float32)
        if len(sound) and not np.abs(sound).max() <= LOUDEST:
            raise AudioError("wanted samples about -1 to 1, got one that is far beyond or not a number")
        return self._resampler.push(sound)

    def silence(self, seconds: float) -> FloatArray:
        """Zeros for what was lost."""
        return self._resampler.push(np.zeros(round(seconds * self._rate), np.float32))

    def finish(self) -> FloatArray:
        """What the filter still held."""
        return self._resampler.finish()


class OpusDecoder:
    """One packet a message; one that does not decode becomes silence of its length."""

    def __init__(self, format_: AudioFormat) -> None:
        self.damaged = self.width = 0
        self._codec = _opus_codec(format_)
        self._resampler = Resampler(OPUS_RATE)

    def measure(self, data: bytes) -> tuple[int, float]:
        """One packet; its first byte says how long it is."""
        if len(data) > OPUS_LARGEST:
            raise AudioError(f"wanted an Opus packet of at most {OPUS_LARGEST} bytes, got {len(data)}")
        return 1, packet_seconds(data)

    def decode(self, data: bytes) -> FloatArray:
        """The packet's sound at 16 kHz."""
        import av

        try:
            frames = self._codec.decode(av.Packet(data))
        except av.error.FFmpegError:
            frames = []
        sound = [frame.to_ndarray().mean(axis=0, dtype=np.float32) for frame in frames]  # (channels, n)
        if not sound:
            self.damaged += 1
            return self.silence(packet_seconds(data))
        return self._resampler.push(np.concatenate(sound))

    def silence(self, seconds: float) -> FloatArray:
        """Zeros for what was lost."""
        return self._resampler.push(np.zeros(round(seconds * OPUS_RATE), np.float32))

    def finish(self) -> FloatArray:
        """What the filter still held."""
        return self._resampler.finish()


def packet_seconds(packet: bytes) -> float:
    """How long an Opus packet lasts, by its first bytes (RFC 6716, sections 3.1 and 3.2).

    >>> packet_seconds(bytes([0x78]))
    0.02

    Raises:
        AudioError: no Opus packet has such a beginning.
    """
    if not packet:
        raise AudioError("wanted an Opus packet, got an empty message")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (0.01, 0.02, 0.04, 0.06)[config & 3]
    elif config < 16:
        frame = (0.01, 0.02)[config & 1]
    else:
        frame = (0.0025, 0.005, 0.01, 0.02)[config & 3]
    if code == 3 and len(packet) < 2:
        raise AudioError("wanted an Opus packet, got half of one")
    frames = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    seconds = frame * frames
    if not 0 < seconds <= OPUS_LONGEST + 1e-9:
        raise AudioError(f"wanted an Opus packet of up to 120 ms, got one of {seconds * 1000:.0f} ms")
    return seconds


def _opus_codec(format_: AudioFormat) -> "AudioCodecContext":
    from av import CodecContext
    from av.audio.codeccontext import AudioCodecContext

    codec = CodecContext.create("opus", "r")
    assert isinstance(codec, AudioCodecContext)
    # Identification header (RFC 7845, section 5.1): version, channels, no pre-skip, rate, no gain, mapping 0.
    codec.extradata = (
        b"OpusHead"
        + bytes([1, format_.channels])
        + (0).to_bytes(2, "little")
        + format_.rate.to_bytes(4, "little")
        + bytes([0, 0, 0])
    )
    return codec
