import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rtspk.errors import AudioError, SessionError
from rtspk.resample import HIGHEST_RATE, LOWEST_RATE, Resampler
from rtspk.types import FloatArray

RATES = [1000, 8000, 11025, 16001, 22050, 32000, 44100, 48000, 96000, 192000, 384000]


def noise(n: int, seed: int = 0) -> FloatArray:
    return (np.random.default_rng(seed).standard_normal(n) * 0.1).astype(np.float32)


def resampled(samples: FloatArray, rate: int, cuts: list[int]) -> FloatArray:
    resampler = Resampler(rate)
    pieces = [resampler.push(piece) for piece in np.split(samples, sorted(cuts))]
    return np.concatenate([*pieces, resampler.finish()])


@given(
    rate=st.sampled_from(RATES),
    n=st.integers(0, 5000),
    cuts=st.lists(st.integers(0, 5000), max_size=20),
)
@settings(deadline=None, max_examples=150)
def test_any_chunking_gives_the_same_samples(rate, n, cuts):
    samples = noise(n)
    whole = resampled(samples, rate, [])
    np.testing.assert_array_equal(resampled(samples, rate, [min(cut, n) for cut in cuts]), whole)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_one_sample_at_a_time_gives_what_the_whole_signal_gives(rate):
    samples = noise(3000)
    slow = resampled(samples, rate, list(range(1, 3000)))
    np.testing.assert_array_equal(slow, soxr.resample(samples, rate, 16000))


@given(rate=st.integers(LOWEST_RATE, HIGHEST_RATE), n=st.integers(0, 20000))
@settings(deadline=None, max_examples=100)
def test_the_length_is_that_of_the_sound(rate, n):
    assert abs(len(resampled(noise(n), rate, [n // 3])) - n * 16000 / rate) <= 1


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_tone_keeps_its_phase_and_height(rate):
    heard = resampled(np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32), rate, [])
    wanted = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(heard[1000:-1000], wanted[1000:-1000], atol=1e-4)


def test_what_lies_above_half_the_rate_is_removed():
    tone = np.sin(2 * np.pi * 10_000 * np.arange(48000) / 48000).astype(np.float32)
    assert np.abs(resampled(tone, 48000, [])[1000:-1000]).max() < 1e-4


def test_sound_at_16_khz_passes_through_untouched():
    samples = noise(1234)
    resampler = Resampler(16000)
    assert resampler.push(samples) is samples
    assert len(resampler.finish()) == 0


@pytest.mark.parametrize("rate", [16000, 44100])
def test_finish_is_idempotent_and_then_sound_is_refused(rate):
    resampler = Resampler(rate)
    resampler.push(noise(5000))
    resampler.finish()
    assert len(resampler.finish()) == 0
    with pytest.raises(SessionError, match="after finish"):
        resampler.push(noise(10))


@pytest.mark.parametrize("rate", [-1, 0, 999, 384_001])
def test_a_rate_that_no_sound_has_is_refused(rate):
    with pytest.raises(AudioError, match=f"1000 to 384000 Hz, got {rate}$"):
        Resampler(rate)


def test_two_channels_are_refused():
    with pytest.raises(AudioError, match=r"got shape \(10, 2\)"):
        Resampler(8000).push(noise(20).reshape(10, 2))


def test_a_view_with_gaps_is_read_like_its_copy():
    samples = noise(8000)
    np.testing.assert_array_equal(
        resampled(samples[::2], 44100, [7]), resampled(samples[::2].copy(), 44100, [])
    )
