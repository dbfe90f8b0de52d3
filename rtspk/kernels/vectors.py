"""Sums and products of a few hundred vectors, without BLAS: its threads would wake up for so little."""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import contiguous, kernel
from rtspk.types import FloatArray

__all__ = ["multiplied", "summed"]


def multiplied(vectors: FloatArray, others: FloatArray) -> FloatArray:
    """The product of each vector with each other one.

    Args:
        vectors: float32 [shape=(n, dimension)]
        others: float32 [shape=(m, dimension)]

    Returns:
        float32 [shape=(n, m)]
    """
    out = np.empty((len(vectors), len(others)), np.float32)
    _multiplied(contiguous(vectors), contiguous(others), out)
    return out


def summed(vectors: FloatArray, weights: FloatArray, places: NDArray[np.int64], count: int) -> FloatArray:
    """Weighted sums of groups of vectors.

    Args:
        vectors: float32 [shape=(n, dimension)]
        weights: float32 [shape=(n,)]
        places: int64 [shape=(n,)], the group of each, below `count`; negative ones are left out
        count: of groups

    Returns:
        float32 [shape=(count, dimension)]
    """
    out = np.zeros((count, vectors.shape[1]), np.float32)
    _summed(contiguous(vectors), weights, places, out)
    return out


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def _multiplied(vectors: FloatArray, others: FloatArray, out: FloatArray) -> None:
    for i in range(len(vectors)):
        one = vectors[i]
        for j in range(len(others)):
            other, total = others[j], np.float32(0.0)
            for k in range(len(one)):
                total += one[k] * other[k]
            out[i, j] = total


@kernel("void(float32[:, ::1], float32[::1], int64[::1], float32[:, ::1])")
def _summed(vectors: FloatArray, weights: FloatArray, places: NDArray[np.int64], out: FloatArray) -> None:
    for i in range(len(vectors)):
        if places[i] >= 0:
            row, total, weight = vectors[i], out[places[i]], weights[i]
            for k in range(len(row)):
                total[k] += weight * row[k]
