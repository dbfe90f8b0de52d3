"""Binary messages become sound: PCM or Opus, any rate and channel count, to mono float32 at 16 kHz."""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtspk.errors import AudioError
from rtspk.resample import Resampler
from rtspk.server.messages import AudioFormat
from rtspk.server.meter import packet_seconds, pcm_type
from rtspk.types import LOUDEST, FloatArray

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

__all__ = ["Decoder", "OpusDecoder", "PcmDecoder", "decoder_of"]

OPUS_RATE: int = 48_000  # what Opus decodes to, whatever it was made from


class Decoder(Protocol):
    """What makes sound of a stream's messages."""

    damaged: int  # packets that did not decode and became silence

    def decode(self, data: bytes) -> FloatArray:
        """The next sound: float32 [shape=(n,)] at 16 kHz."""

    def silence(self, seconds: float) -> FloatArray:
        """What stands for sound that was lost."""

    def finish(self) -> FloatArray:
        """What the filter still held."""


def decoder_of(format_: AudioFormat) -> Decoder:
    """Make the decoder of a format that there is a meter for."""
    return OpusDecoder(format_) if format_.encoding == "opus" else PcmDecoder(format_)


class PcmDecoder:
    """Interleaved samples."""

    def __init__(self, format_: AudioFormat) -> None:
        self.damaged = 0
        self._type = pcm_type(format_)
        self._scale = 2.0**-15 if format_.encoding == "s16le" else 1.0
        self._channels, self._rate = format_.channels, format_.rate
        self._resampler = Resampler(format_.rate)

    def decode(self, data: bytes) -> FloatArray:
        """The mean of the channels, at 16 kHz.

        Raises:
            AudioError: samples that no sound has, such as NaN.
        """
        values = np.frombuffer(data, self._type)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            if self._channels > 1:
                values = values.reshape(-1, self._channels).mean(axis=1, dtype=np.float64)
            sound = (values * self._scale).astype(np.float32)
        if len(sound) and not np.abs(sound).max() < LOUDEST:
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
        self.damaged = 0
        self._codec = _opus_codec(format_)
        self._resampler = Resampler(OPUS_RATE)

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
