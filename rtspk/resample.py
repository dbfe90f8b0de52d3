"""Bring sound of any rate to 16 kHz as a stream: any chunking gives the same samples."""

from typing import TYPE_CHECKING

import numpy as np

from rtspk.errors import AudioError, SessionError
from rtspk.types import SAMPLE_RATE, FloatArray

if TYPE_CHECKING:
    import soxr

__all__ = ["HIGHEST_RATE", "LOWEST_RATE", "Resampler"]

LOWEST_RATE: int = 1_000  # Hz; below it there is no speech to hear
HIGHEST_RATE: int = 384_000  # Hz; the highest rate that sound cards offer


class Resampler:
    """A stream from `rate_in` Hz to 16 kHz through soxr's high quality filter.

    n samples in all give n * 16000 / rate_in out, to within a sample, with no delay left in them.
    Sound that is at 16 kHz already passes through untouched.
    """

    def __init__(self, rate_in: int) -> None:
        if not LOWEST_RATE <= rate_in <= HIGHEST_RATE:
            raise AudioError(f"wanted a rate of {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {rate_in}")
        self.rate_in = rate_in
        self._finished = False
        self._stream = None if rate_in == SAMPLE_RATE else _soxr_stream(rate_in)

    def push(self, samples: FloatArray) -> FloatArray:
        """Take the next samples in; return what is ready at 16 kHz, which may be nothing yet.

        samples : float32 [shape=(n,)] at `rate_in`
        returns : float32 [shape=(m,)] at 16 kHz
        """
        if self._finished:
            raise SessionError("wanted no more sound after finish, got another push")
        if samples.ndim != 1:
            raise AudioError(f"wanted one channel of shape (n,), got shape {samples.shape}")
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        return samples if self._stream is None else _float32(self._stream.resample_chunk(samples))

    def finish(self) -> FloatArray:
        """End the stream and return what the filter still held: float32 [shape=(m,)]; then nothing."""
        rest = np.zeros(0, dtype=np.float32)
        if self._stream is not None and not self._finished:
            rest = _float32(self._stream.resample_chunk(rest, last=True))
        self._finished = True
        return rest


def _soxr_stream(rate_in: int) -> "soxr.ResampleStream":
    import soxr

    return soxr.ResampleStream(rate_in, SAMPLE_RATE, 1, dtype="float32", quality="HQ")


def _float32(samples: FloatArray) -> FloatArray:
    """Give soxr's untyped answer its type."""
    return samples
