"""Sound gets the long-term spectrum of other sound, in time and without a delay."""

import numpy as np
import pytest

from rtspk.train.equaliser import BANDS, equaliser, long_term_spectrum


def noise(seed=0, seconds=4):
    return np.random.default_rng(seed).normal(0, 0.05, 16_000 * seconds).astype(np.float32)


def shape(samples):
    """The spectrum in dB around its mean: what does not depend on the level."""
    level = 10 * np.log10(long_term_spectrum(samples))
    return level - level.mean()


def dull(samples):
    return np.convolve(samples, [1.0, 0.6])[: len(samples)].astype(np.float32)


def test_sound_behind_the_filter_has_the_wanted_spectrum():
    bright = np.convolve(noise(1), [1.0, -0.8])[:64_000].astype(np.float32)
    change = equaliser(long_term_spectrum(bright), long_term_spectrum(dull(noise())))
    heard = np.convolve(bright, change)[: len(bright)]
    assert np.abs(shape(bright) - shape(dull(noise()))).max() > 8.0
    assert np.abs(shape(heard) - shape(dull(noise()))).max() < 2.0


def test_the_filter_answers_at_once():
    change = equaliser(long_term_spectrum(noise()), long_term_spectrum(dull(noise())))
    energy = np.cumsum(np.square(change))
    assert energy[8] > 0.9 * energy[-1]  # half a millisecond


def test_a_spectrum_does_not_depend_on_the_level():
    assert shape(noise()) == pytest.approx(shape(4 * noise()), abs=1e-3)
    same = equaliser(long_term_spectrum(noise()), long_term_spectrum(3 * noise()))
    assert same[0] == pytest.approx(1.0, abs=1e-3)
    assert np.abs(same[1:]).max() < 1e-3


def test_what_a_recording_does_not_hold_is_raised_no_more_than_20_db():
    spectrum = np.fft.rfft(noise())
    spectrum[len(spectrum) // 4 :] = 0.0  # nothing above 2 kHz
    low = np.fft.irfft(spectrum).astype(np.float32)
    change = equaliser(long_term_spectrum(low), long_term_spectrum(noise()))
    gain = 20 * np.log10(np.abs(np.fft.rfft(change, 4096)) + 1e-9)
    assert gain.max() - np.median(gain[:900]) < 21.0


def test_sound_too_short_for_a_spectrum_has_none():
    assert long_term_spectrum(noise()[:511]).tolist() == [0.0] * BANDS
