"""Dense layers in eight bits: rows in whole numbers, and a matrix times each.

Inputs are uint8 with 128 for nought, weights int8 in -127..127; what comes out is float32.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import Scalar, kernel
from rtspk.kernels.processor import has_wide_registers
from rtspk.kernels.products import LANES, ZERO, tile
from rtspk.types import FloatArray

__all__ = [
    "LAYER",
    "LEAST",
    "ROUNDED",
    "ROWS",
    "STEPS",
    "TILE",
    "TOGETHER",
    "Layer",
    "applied",
    "dense",
    "largest",
    "rounded",
]

ROWS = 4  # at a time
TOGETHER: int = 4  # blocks of eight outputs for them
TILE: int = LANES * TOGETHER  # outputs of a tile
STEPS = np.float32(127.0)  # the largest number of a row is stored as so much more than nought
ROUNDED = np.float32(ZERO + 0.5)
LEAST = np.float32(1e-12)  # a row of nought has steps too
Layer = tuple[NDArray[np.int8], FloatArray, NDArray[np.int32], FloatArray]  # weights, scales, starts, bias
UNSIGNED = np.int32(0x7FFFFFFF)  # all bits of a float32 but its sign
LAYER = "Tuple((int8[::1], float32[::1], int32[::1], float32[::1]))"  # the same, in signatures

# Where there are registers for more sums, two panels of weights at once: what is read is read for both.
PANELS: int = 2 if has_wide_registers() else 1
WIDE: int = PANELS * TILE

_wide = tile(ROWS, TOGETHER, PANELS)
_narrow = tile(ROWS, TOGETHER)


@kernel()
def largest(numbers: FloatArray, least: Scalar) -> np.float32:
    """The largest of numbers without their signs, and of `least`, for other kernels.

    numbers : float32 [shape=(n,)]; what is no number is larger than all
    """
    # Without a sign numbers are in the order of their bits.
    bits, most = numbers.view(np.int32), np.float32(least).view(np.int32)
    for k in range(len(bits)):
        most = max(most, np.int32(bits[k] & UNSIGNED))
    return np.int32(most).view(np.float32)


@kernel("void(float32[:, ::1], float32, uint8[:, ::1], float32[::1])")
def rounded(rows: FloatArray, least: Scalar, x: NDArray[np.uint8], sizes: FloatArray) -> None:
    """Rows in whole numbers, each in 127 steps of its own up to the largest that it has.

    rows : float32 [shape=(T, K)]
    least : what the largest is taken for where it is smaller
    x : uint8 [shape=(T or more, K or more)], to write to; what is behind the rows stays
    sizes : float32 [shape=(T or more,)], what 1 of each row stands for, to write to
    """
    for t in range(len(rows)):
        most = largest(rows[t], least)
        sizes[t] = most / STEPS
        share = STEPS / most
        for k in range(rows.shape[1]):
            x[t, k] = np.uint8(np.int32(rows[t, k] * share + ROUNDED))


@kernel(
    "void(uint8[:, ::1], float32[::1], int8[::1], float32[::1], int32[::1], float32[::1], float32[:, ::1])"
)
def dense(
    x: NDArray[np.uint8],
    sizes: FloatArray,
    weights: NDArray[np.int8],
    scales: FloatArray,
    starts: NDArray[np.int32],
    bias: FloatArray,
    out: FloatArray,
) -> None:
    """A matrix times each row, and a bias.

    x : uint8 [shape=(T, K)]; T and K whole multiples of 4
    sizes : float32 [shape=(T,)], what 1 of each row stands for
    weights : int8 [shape=(N * K,)], packed for `TOGETHER`; N a whole multiple of 32
    scales : float32 [shape=(N,)], what 1 of an output's weights stands for
    starts : int32 [shape=(N,)], the sums of an input of nought, less than nothing
    bias : float32 [shape=(N,)]
    out : float32 [shape=(T, N)]
    """
    inputs, outputs = x.shape[1], out.shape[1]
    for first in range(0, len(x), ROWS):
        heard = np.uintp(x.ctypes.data + first * inputs), inputs, inputs
        size = np.uintp(sizes.ctypes.data + 4 * first)
        j = 0
        while j < outputs:
            own = (
                np.uintp(weights.ctypes.data + j * inputs),
                np.uintp(starts.ctypes.data + 4 * j),
                np.uintp(scales.ctypes.data + 4 * j),
                size,
                np.uintp(bias.ctypes.data + 4 * j),
                0,
            )
            to = np.uintp(out.ctypes.data + 4 * (first * outputs + j)), outputs
            if j + WIDE <= outputs:
                _wide(*heard, *own, *to)
                j += WIDE
            else:
                _narrow(*heard, *own, *to)
                j += TILE


@kernel()
def applied(
    rows: FloatArray,
    layer: Layer,
    steps: NDArray[np.uint8],
    sizes: FloatArray,
    out: FloatArray,
) -> None:
    """A dense layer for rows, for other kernels.

    rows : float32 [shape=(T, K)]; T and K whole multiples of 4
    layer : weights, scales, starts and bias, as in `dense`
    steps : uint8 [shape=(T * K or more,)], to write to
    sizes : float32 [shape=(T or more,)], to write to
    out : float32 [shape=(T, N)]
    """
    weights, scales, starts, bias = layer
    x = steps[: rows.size].reshape(rows.shape)
    rounded(rows, LEAST, x, sizes)
    dense(x, sizes, weights, scales, starts, bias, out)
