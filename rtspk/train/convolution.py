"""Convolve sound of any length with a room's impulse response, block by block (overlap-add)."""

import numpy as np
from numpy.typing import NDArray

from rtspk.types import FloatArray

__all__ = ["BlockConvolution"]

SIZE: int = 1 << 15  # of a transform: it stays in a core's cache, and a response of half a second fits


class BlockConvolution:
    """One impulse response, ready for use.

    response : float32 [shape=(m,)]
    """

    def __init__(self, response: FloatArray) -> None:
        self.length = len(response)
        self._size = max(SIZE, 1 << (2 * self.length - 1).bit_length())
        self._spectrum: NDArray[np.complexfloating] = np.fft.rfft(response, self._size)

    def __call__(self, samples: FloatArray) -> FloatArray:
        """All of the convolution: float32 [shape=(n + m - 1,)] of samples : float32 [shape=(n,)]."""
        hop = self._size - self.length + 1
        out = np.zeros(len(samples) + self.length - 1, np.float32)
        for start in range(0, len(samples), hop):
            spectrum = np.fft.rfft(samples[start : start + hop], self._size)
            spectrum *= self._spectrum
            heard = out[start : start + self._size]
            heard += np.fft.irfft(spectrum, self._size)[: len(heard)].astype(np.float32)
        return out
