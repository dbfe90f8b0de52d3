"""The ends of a network over pictures: numbers to what they are stored as, and back.

A picture is uint8 or int16 [shape=(rows, places, C)] with a border of a row and a place before it.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import Scalar, kernel
from rtspk.types import FloatArray

__all__ = ["read_bytes", "read_words", "store_bytes", "store_words"]

LARGEST = np.float32(255.0)

Picture = NDArray[np.uint8] | NDArray[np.int16]


def _store(rows: FloatArray, level: Scalar, nought: int, out: Picture) -> None:
    """Write the nearest whole numbers of levels, `nought` more, in 0..255; what is no number is the least.

    rows : float32 [shape=(T, W)]
    level : what 1 of a picture stands for
    out : of one channel, to whose inside is written
    """
    least, most = np.float32(-nought), LARGEST - np.float32(nought)
    for t in range(len(rows)):
        for w in range(rows.shape[1]):
            value = np.rint(rows[t, w] / np.float32(level))
            value = value if value > least else least  # noqa: FURB136 - so that what is no number is
            out[t + 1, w + 1, 0] = np.int32(min(value, most)) + nought


def _read(x: Picture, zero: int, level: Scalar, out: FloatArray) -> None:
    """Write the numbers that a picture stands for: of each row all places of a channel, then of the next.

    x : [shape=(rows, places, C)]
    zero : what nought is stored as
    level : what 1 stands for
    out : float32 [shape=(T, C * W)]
    """
    channels = x.shape[2]
    width = out.shape[1] // channels
    for t in range(len(out)):
        for c in range(channels):
            for w in range(width):
                out[t, c * width + w] = np.float32(np.int32(x[t + 1, w + 1, c]) - zero) * np.float32(level)


store_bytes = kernel("void(float32[:, ::1], float32, int64, uint8[:, :, ::1])", exact=True)(_store)
store_words = kernel("void(float32[:, ::1], float32, int64, int16[:, :, ::1])", exact=True)(_store)
read_bytes = kernel("void(uint8[:, :, ::1], int64, float32, float32[:, ::1])", exact=True)(_read)
read_words = kernel("void(int16[:, :, ::1], int64, float32, float32[:, ::1])", exact=True)(_read)
