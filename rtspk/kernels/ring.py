"""A ring buffer of samples, addressed by their position in the stream."""

import numpy as np

from rtspk.errors import AudioError
from rtspk.types import FloatArray

__all__ = ["RingBuffer"]


class RingBuffer:
    """Keeps the latest `capacity` samples of a stream; position 0 is the first sample ever written.

    >>> ring = RingBuffer(capacity=4)
    >>> ring.write(np.arange(6, dtype=np.float32))
    >>> ring.start, ring.end, ring.read(3, 6).tolist()
    (2, 6, [3.0, 4.0, 5.0])
    """

    __slots__ = ("_end", "_values")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise AudioError(f"wanted a ring buffer of at least one sample, got capacity {capacity}")
        self._values: FloatArray = np.zeros(capacity, dtype=np.float32)
        self._end = 0

    @property
    def capacity(self) -> int:
        """How many samples are kept at most."""
        return len(self._values)

    @property
    def start(self) -> int:
        """Position of the oldest sample that is still here."""
        return max(0, self._end - len(self._values))

    @property
    def end(self) -> int:
        """Position behind the newest sample."""
        return self._end

    def write(self, samples: FloatArray) -> None:
        """Append samples, overwriting the oldest where there is no room.

        samples : float32 [shape=(n,)]
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise AudioError(
                f"wanted float32 samples of shape (n,), got {samples.dtype} of shape {samples.shape}"
            )
        capacity = len(self._values)
        end = self._end + len(samples)
        kept = samples[-capacity:]
        first = (end - len(kept)) % capacity
        head = min(len(kept), capacity - first)
        self._values[first : first + head] = kept[:head]
        self._values[: len(kept) - head] = kept[head:]
        self._end = end

    def read(self, start: int, end: int) -> FloatArray:
        """Copy the samples at positions [start, end).

        Returns: float32 [shape=(end - start,)]
        """
        if not self.start <= start <= end <= self._end:
            raise AudioError(f"wanted samples {start} to {end}, got a buffer of {self.start} to {self._end}")
        capacity = len(self._values)
        first = start % capacity
        out = np.empty(end - start, dtype=np.float32)
        head = min(len(out), capacity - first)
        out[:head] = self._values[first : first + head]
        out[head:] = self._values[: len(out) - head]
        return out
