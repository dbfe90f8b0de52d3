"""Bring one recording's long-term spectrum to another's, as if one microphone had heard both.

Recordings of different people differ by their microphones too. Who learns from mixtures of them learns to
tell microphones apart, and then hears two people in one room as one.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["BANDS", "equaliser", "long_term_spectrum"]

BANDS: int = 12  # even on the mel scale: wide enough to leave a voice its formants
SIZE: int = 512  # samples of a block
LENGTH: int = 256  # samples of a filter, 16 ms
MOST_DB: float = 20.0  # that a band is raised or lowered
FLOOR: float = 1e-6  # of a band, against all: what a recording does not hold is not raised


def long_term_spectrum(samples: FloatArray) -> NDArray[np.float64]:
    """The mean power in each band, float64 [shape=(12,)] of samples : float32 [shape=(n,)].

    Sound that is shorter than a block of 32 ms has none: zeros.
    """
    if len(samples) < SIZE:
        return np.zeros(BANDS)
    blocks = samples[: len(samples) // SIZE * SIZE].reshape(-1, SIZE)
    power = np.square(np.abs(np.fft.rfft(blocks * np.hanning(SIZE).astype(np.float32), axis=1))).mean(0)
    return _bands() @ power


def equaliser(own: NDArray[np.float64], wanted: NDArray[np.float64]) -> FloatArray:
    """A filter that gives sound of one long-term spectrum the shape of another; it delays nothing.

    Args:
        own: float64 [shape=(12,)], the power of each band, as `long_term_spectrum` gives it
        wanted: the same

    Returns:
        float32 [shape=(256,)], a minimum-phase impulse response
    """
    have, want = (power / (power.sum() + 1e-20) + FLOOR for power in (own, wanted))
    change = 10.0 * np.log10(want / have)
    change = np.clip(change - np.median(change), -MOST_DB, MOST_DB)
    level = np.interp(_places(), np.arange(BANDS) + 0.5, change) * (np.log(10.0) / 20.0)
    # The minimum phase of a magnitude: its real cepstrum, folded onto positive times.
    cepstrum = np.fft.irfft(level, SIZE)
    cepstrum[1 : SIZE // 2] *= 2.0
    cepstrum[SIZE // 2 + 1 :] = 0.0
    response = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), SIZE)[:LENGTH]
    return response.astype(np.float32)


def _places() -> NDArray[np.float64]:
    """The bins' places among the bands, 0 to 12: float64 [shape=(257,)]."""
    mel = np.log1p(np.linspace(0.0, SAMPLE_RATE / 2, SIZE // 2 + 1) / 700.0)
    return mel / mel[-1] * BANDS


def _bands() -> NDArray[np.float64]:
    """Which share of each bin belongs to each band, float64 [shape=(12, 257)]."""
    return np.clip(1.0 - np.abs(_places()[None, :] - (np.arange(BANDS)[:, None] + 0.5)), 0.0, 1.0)
