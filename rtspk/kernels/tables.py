"""Square tables of all pairs of what a stream remembers: how alike they are, and what comes and goes."""

import math

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.groups import NEVER
from rtspk.kernels.jit import Scalar, kernel
from rtspk.types import FloatArray

__all__ = ["held_together", "let_go", "nearest_two"]

SHORTEST = np.float32(1e-18)  # square of a vector's length


def held_together(
    products: FloatArray,
    hints: FloatArray,
    common: float,
    labels: NDArray[np.int64],
    settled: NDArray[np.int64],
    keep: float,
) -> FloatArray:
    """How alike windows are, where what was decided before holds on to itself.

    Args:
        products: float32 [shape=(n, n)], mean cosines of all pairs
        hints: float32 [shape=(n, n)], what else speaks for a pair being one voice's
        common: of a cosine, what any two have; it is left out
        labels: int64 [shape=(n,)], whose each is; negative where nobody knows
        settled: int64 [shape=(n,)], likewise, of those that must not be with another settled one
        keep: how much closer a pair of one label counts, and less close one of two

    Returns:
        float32 [shape=(n, n)], contiguous; `NEVER` for two that must not be together
    """
    out = np.empty_like(products)
    _held_together(
        products,
        hints,
        common,
        1.0 / (1.0 - common),
        labels.astype(np.int32),
        settled.astype(np.int32),
        keep,
        out,
    )
    return out


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32, float32, int32[::1], int32[::1], float32,"
    " float32[:, ::1])"
)
def _held_together(
    products: FloatArray,
    hints: FloatArray,
    common: Scalar,
    scale: Scalar,
    labels: NDArray[np.int32],
    settled: NDArray[np.int32],
    keep: Scalar,
    out: FloatArray,
) -> None:
    for i in range(len(labels)):
        label, place = labels[i], settled[i]
        hold = keep if label >= 0 else np.float32(0.0)
        for j in range(len(labels)):
            held = hold if labels[j] == label else -hold
            held = held if labels[j] >= 0 else np.float32(0.0)
            alike = (products[i, j] - common) * scale + hints[i, j] + held
            parted = (place >= 0) & (settled[j] >= 0) & (settled[j] != place)
            out[i, j] = NEVER if parted else alike


@kernel("void(float32[:, ::1], int64)")
def let_go(table: FloatArray, gone: int) -> None:
    """Take a row and its column out of a table, in place: what is behind them moves up, the last are free.

    table : float32 [shape=(n, n)]
    """
    last = len(table) - 1
    for i in range(last):
        source, out = table[i if i < gone else i + 1], table[i]
        if i >= gone:
            for j in range(gone):
                out[j] = source[j]
        behind, freed = source[gone + 1 :], out[gone:last]
        for j in range(len(freed)):
            freed[j] = behind[j]


def nearest_two(products: FloatArray, own: NDArray[np.int64]) -> tuple[int, int]:
    """Of some windows the two whose vectors have the greatest cosine.

    Args:
        products: float32 [shape=(n, n)], of all pairs of vectors, and each with itself
        own: int64 [shape=(m,)], at least two of the n, in order
    """
    pair = np.empty(2, np.int64)
    _nearest_two(products, own, np.empty(len(own), np.float32), pair)
    return int(pair[0]), int(pair[1])


@kernel("void(float32[:, ::1], int64[::1], float32[::1], int64[::1])")
def _nearest_two(
    products: FloatArray, own: NDArray[np.int64], inverse: FloatArray, pair: NDArray[np.int64]
) -> None:
    """`inverse` is room for one over the length of each vector."""
    for i in range(len(own)):
        inverse[i] = 1.0 / math.sqrt(max(products[own[i], own[i]], SHORTEST))
    best = NEVER
    for i in range(len(own)):
        row = products[own[i]]
        for j in range(i + 1, len(own)):
            cosine = row[own[j]] * inverse[i] * inverse[j]
            if cosine > best:
                best = cosine
                pair[0], pair[1] = own[i], own[j]
