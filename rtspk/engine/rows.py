"""The last seconds of a stream as rows of 10 ms of features; and samples in such rows."""

from dataclasses import dataclass

import numpy as np

from rtspk.kernels.mel import MelConfig, StreamingLogMel
from rtspk.types import FloatArray

__all__ = ["RAW_ROW", "Rows", "raw_rows"]

RAW_ROW: int = 160  # samples


@dataclass(slots=True)
class Rows:
    """Rows as they come; what is older than the buffer is forgotten.

    kept : float32 [shape=(rows, width)], the newest at the end
    """

    log_mel: StreamingLogMel
    kept: FloatArray
    end: int = 0  # rows made so far

    @classmethod
    def empty(cls, features: MelConfig, count: int) -> "Rows":
        """Before the first sample, with room for `count` rows."""
        return cls(StreamingLogMel(features), np.zeros((count, features.mels), np.float32))

    def push(self, samples: FloatArray) -> None:
        """Take the next samples, float32 [shape=(n,)]."""
        new = self.log_mel.push(samples).values
        self.end += len(new)
        if len(new) >= len(self.kept):
            self.kept = new[-len(self.kept) :].copy()
        else:
            self.kept = np.concatenate([self.kept[len(new) :], new])

    @property
    def oldest(self) -> int:
        """The first row that is still known."""
        return max(0, self.end - len(self.kept))

    def between(self, first: int, last: int) -> FloatArray:
        """Rows [first, last), float32 [shape=(last - first, width)]; those that are not known are zero."""
        out = np.zeros((last - first, self.kept.shape[1]), np.float32)
        low, high = max(first, self.oldest), min(last, self.end)
        if high > low:
            base = self.end - len(self.kept)
            out[low - first : high - first] = self.kept[low - base : high - base]
        return out


def raw_rows(samples: FloatArray) -> FloatArray:
    """Samples in whole rows of 10 ms, float32 [shape=(rows, 160)]; what is left at the end is not in it."""
    whole = len(samples) - len(samples) % RAW_ROW
    return samples[:whole].reshape(-1, RAW_ROW)
