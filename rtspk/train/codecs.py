"""Send speech through what it meets on its way: Opus, MP3, the telephone's G.711, and narrow bands."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from rtspk.errors import AudioError
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["CODECS", "Codec", "band_limited", "random_codec", "through"]

EDGE: float = 0.15  # width of a band's edges, as a share of their frequency


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder and a decoder of FFmpeg, and at which rates they are used."""

    encoder: str
    decoder: str
    rate: int  # Hz
    sample_format: str  # of FFmpeg
    bit_rates: tuple[int, ...] = ()  # bit/s to draw from; empty where there is only one
    is_narrow: bool = False  # its sound has come through a telephone's band


CODECS: dict[str, Codec] = {
    "opus": Codec("libopus", "libopus", 16_000, "s16", (6_000, 8_000, 12_000, 16_000, 24_000, 32_000)),
    "mp3": Codec("libmp3lame", "mp3float", 16_000, "s16p", (16_000, 24_000, 32_000, 48_000, 64_000)),
    "mu-law": Codec("pcm_mulaw", "pcm_mulaw", 8_000, "s16", is_narrow=True),  # ITU-T G.711
    "a-law": Codec("pcm_alaw", "pcm_alaw", 8_000, "s16", is_narrow=True),
}


def random_codec(samples: FloatArray, rng: Generator) -> FloatArray:
    """Code and decode with a codec, a bit rate and, for the telephone's, a band drawn at random."""
    codec = list(CODECS.values())[rng.integers(len(CODECS))]
    if codec.is_narrow:
        # Telephone sets differ about the nominal 300 to 3400 Hz.
        samples = band_limited(samples, rng.uniform(100.0, 400.0), rng.uniform(3_000.0, 3_700.0))
    bit_rate = codec.bit_rates[rng.integers(len(codec.bit_rates))] if codec.bit_rates else 0
    return through(samples, codec, bit_rate)


def through(samples: FloatArray, codec: Codec, bit_rate: int = 0) -> FloatArray:
    """Encode and decode in memory; length and times stay as they were.

    Args:
        samples: float32 [shape=(n,)] at 16 kHz; beyond full scale it clips, as coders do
        codec: one of `CODECS`
        bit_rate: bit/s, for a codec that has several

    Raises:
        AudioError: this build of FFmpeg lacks the codec.
    """
    import av

    sound = samples if codec.rate == SAMPLE_RATE else soxr.resample(samples, SAMPLE_RATE, codec.rate)
    values = np.clip(np.rint(sound * np.float32(32768.0)), -32768, 32767).astype(np.int16)
    try:
        heard, rate = _coded(values, codec, bit_rate)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise AudioError(f"wanted the codec {codec.encoder} of FFmpeg, got {error}") from error
    if rate != SAMPLE_RATE:
        heard = soxr.resample(heard, rate, SAMPLE_RATE)
    out = np.zeros(len(samples), np.float32)
    out[: len(heard)] = heard[: len(samples)]
    return out


def band_limited(samples: FloatArray, low: float, high: float) -> FloatArray:
    """Keep the frequencies between `low` and `high` Hz; the edges are soft, and no sound moves in time.

    samples : float32 [shape=(n,)]
    """
    frequency = np.fft.rfftfreq(len(samples), 1.0 / SAMPLE_RATE)
    rising = np.clip((frequency - low * (1.0 - EDGE)) / (low * EDGE + 1e-9), 0.0, 1.0)
    falling = np.clip((high * (1.0 + EDGE) - frequency) / (high * EDGE), 0.0, 1.0)
    return np.fft.irfft(np.fft.rfft(samples) * rising * falling, len(samples)).astype(np.float32)


def _coded(values: NDArray[np.int16], codec: Codec, bit_rate: int) -> tuple[FloatArray, int]:
    """Samples out of the decoder, and their rate; FFmpeg drops what the coder put before the sound."""
    import av

    encoder = av.CodecContext.create(codec.encoder, "w")
    decoder = av.CodecContext.create(codec.decoder, "r")
    assert isinstance(encoder, av.AudioCodecContext)
    assert isinstance(decoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = codec.rate, "mono", codec.sample_format
    encoder.time_base = Fraction(1, codec.rate)
    if bit_rate:
        encoder.bit_rate = bit_rate
    encoder.open()
    size = encoder.frame_size or len(values)  # PCM takes any
    packets = []
    for start in range(0, len(values), size):
        frame = av.AudioFrame.from_ndarray(values[None, start : start + size], codec.sample_format, "mono")
        frame.sample_rate, frame.pts = codec.rate, start
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder.sample_rate, decoder.layout = codec.rate, "mono"
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    scale = 32768.0 if sound.dtype == np.int16 else 1.0
    return (sound / scale).astype(np.float32), frames[0].sample_rate
