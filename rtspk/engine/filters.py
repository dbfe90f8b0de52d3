"""How loud the filters of a segmenter on samples are: what it hears first (SincNet, arXiv:1808.00158)."""

from pathlib import Path

import numpy as np

from rtspk.engine.eight_bits import Tables, read_tables
from rtspk.kernels.filters import FOLDED, HOP, LENGTH, MOST, POOLED, ROOM, loudness
from rtspk.kernels.jit import aligned
from rtspk.types import FloatArray

__all__ = ["Filters", "halves", "places_of"]

NEAR: float = 1e-3  # of a filter's largest number, what rounding to half precision may change


class Filters:
    """Read-only.

    tables : `even` and `odd`, float16 [shape=(filters, 126)], filters from their middles on: before it the
        even ones have the same, and the odd ones the other sign; `lift`, float32 [shape=()], the offset of
        the samples' norm by its scale
    """

    def __init__(self, tables: Tables) -> None:
        even, odd = (tables[name] for name in ("even", "odd"))
        for half in (even, odd):
            if half.ndim != 2 or half.shape[1] != FOLDED or len(half) > MOST:
                raise ValueError(half.shape)
        self._even, self._odd = _table(even), _table(odd)
        self._count, self.channels = len(even), len(even) + len(odd)
        self._lift = np.float32(tables["lift"].item())

    @classmethod
    def read(cls, path: Path) -> "Filters":
        """Raises ModelError where the file is none of such tables."""
        return read_tables(path, cls)

    def __call__(self, samples: FloatArray, mean: float, deviation: float) -> FloatArray:
        """The largest of each three answers, without its sign; not scaled yet.

        Args:
            samples: float32 [shape=(n,)]
            mean: of the sound
            deviation: of the sound

        Returns:
            float32 [shape=(places, channels)], a place each 30 samples
        """
        heard = (samples - np.float32(mean)) + np.float32(deviation) * self._lift
        out = np.empty((places_of(len(samples)), self.channels), np.float32)
        room = aligned(np.empty(ROOM, np.float32))
        back = np.ascontiguousarray(heard[::-1])
        loudness(heard, back, self._even, self._odd, self._count, room, out)
        return out


def places_of(samples: int) -> int:
    """How many places so many samples make whole."""
    return max(0, ((samples - LENGTH) // HOP + 1) // POOLED)


def halves(filters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The even filters and the odd ones behind them, from their middles on.

    Args:
        filters: float32 [shape=(filters, 251)]

    Returns:
        float32 [shape=(even, 126)], float32 [shape=(odd, 126)]

    Raises:
        ValueError: one is neither, or an even one stands behind an odd one, or there are too many.
    """
    if filters.shape[1] != LENGTH:
        raise ValueError(filters.shape)
    largest, back = NEAR * np.abs(filters).max(1), filters[:, ::-1]
    even, odd = (np.abs(filters - sign * back).max(1) <= largest for sign in (1, -1))
    count = int(even.sum())
    if not (even[:count].all() and odd[count:].all()) or max(count, len(filters) - count) > MOST:
        raise ValueError(count)
    own = filters[:, LENGTH // 2 :]
    return own[:count], own[count:]


def _table(half: FloatArray) -> FloatArray:
    """Filters as the kernel takes them: what stands in their middle is folded on itself, and counts twice."""
    table = np.zeros((FOLDED, MOST), np.float32)
    table[:, : len(half)] = half.T
    table[0] /= 2
    return aligned(table)
