"""Codecs change how speech sounds, and neither its time nor its length."""

import numpy as np
import pytest

from rtspk.train.augment import telephone
from rtspk.train.codecs import CODECS, band_limited, random_codec, through


def voice(length: int = 24_000) -> np.ndarray:
    """Pulses at the rate of a voice, through a vowel's resonances, with syllables."""
    rng = np.random.default_rng(0)
    time = np.arange(length) / 16_000
    pulses = (np.diff(np.floor(120 * time + 2 * np.sin(3 * time)), prepend=0) > 0).astype(float)
    ring = np.arange(400) / 16_000
    vowel = sum(np.exp(-300 * ring) * np.sin(2 * np.pi * f * ring) for f in (600, 1_700, 2_600))
    sound = np.convolve(pulses, vowel)[:length] * (1.2 + np.sin(2 * np.pi * 4 * time))
    return (0.1 * sound + rng.normal(0, 0.003, length)).astype(np.float32)


def lag(heard: np.ndarray, said: np.ndarray) -> int:
    """By how many samples what is heard comes late."""
    size = 1 << 17
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    at = int(np.argmax(product))
    return at if at < size // 2 else at - size


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_length_and_time_to_a_millisecond(name):
    codec = CODECS[name]
    said = voice()
    for bit_rate in codec.bit_rates or (0,):
        heard = through(said, codec, bit_rate)
        assert heard.shape == said.shape
        assert heard.dtype == np.float32
        assert abs(lag(heard, said)) <= 16
        assert 0.5 < np.corrcoef(heard, said)[0, 1] < 0.99999


def test_the_last_sound_is_heard_too():
    said = voice()
    for codec in CODECS.values():
        heard = through(said, codec, codec.bit_rates[-1] if codec.bit_rates else 0)
        assert np.square(heard[-1_600:]).mean() > 0.5 * np.square(said[-1_600:]).mean()


def test_mu_law_of_ffmpeg_is_the_formula_of_g711():
    said = voice()
    heard, formula = through(said, CODECS["mu-law"]), telephone(said)
    assert np.square(heard - formula).mean() < 1e-3 * np.square(formula).mean()


def test_more_bits_are_nearer_to_what_was_said():
    said, codec = voice(), CODECS["mp3"]
    few, many = (np.square(through(said, codec, rate) - said).mean() for rate in (16_000, 64_000))
    assert many < few


def test_a_band_keeps_its_frequencies_alone():
    hiss = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(band_limited(hiss, 300.0, 3_400.0)))  # one bin is one hertz
    original = np.abs(np.fft.rfft(hiss))
    assert spectrum[300:3_400] == pytest.approx(original[300:3_400], rel=1e-3)
    assert spectrum[:250].max() < 1e-3
    assert spectrum[3_950:].max() < 1e-3


def test_a_random_codec_is_a_function_of_its_seed():
    said = voice(8_000)
    again = [random_codec(said, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(*again)
    heard = [random_codec(said, np.random.default_rng(seed)) for seed in range(8)]
    assert len({one.tobytes() for one in heard}) > 4


def test_a_crop_of_a_few_samples_passes():
    assert through(voice(50), CODECS["opus"], 16_000).shape == (50,)
