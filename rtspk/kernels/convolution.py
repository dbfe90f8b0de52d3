"""Convolutions in eight bits over places with the largest of each three answers, and the norms between them.

Inputs are uint8: 3 for nought, 252 more for 1. Weights are int8 in -127..127; what comes out is float32.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import kernel
from rtspk.kernels.products import LANES, tile
from rtspk.types import FloatArray

__all__ = ["BLOCKS", "NOUGHT", "ONE", "POOLED", "SLOPE", "WIDE", "convolve", "moments", "narrowed"]

POOLED: int = 3  # answers of which the largest is kept
BLOCKS: int = 4  # of eight outputs each, of a tile
WIDE: int = LANES * BLOCKS
SLOPE = np.float32(0.01)  # of the rectifiers below zero
NOUGHT: int = 3  # what nought is stored as,
ONE = np.float32(252.0)  # and how much more 1 is: all of 0..255, since little is below nought
ROUNDED = np.float32(NOUGHT + 0.5)
LEAST, MOST = np.float32(0.0), np.float32(255.0)

_three_rows = tile(POOLED, BLOCKS)


@kernel("void(float32[:, ::1], float32[::1], float32[::1])")
def moments(x: FloatArray, mean: FloatArray, variance: FloatArray) -> None:
    """Mean and variance over places.

    x : float32 [shape=(T, C)]
    mean, variance : float32 [shape=(C,)], to write to
    """
    share = np.float32(1.0) / np.float32(len(x))
    for c in range(len(mean)):
        mean[c] = np.float32(0.0)
        variance[c] = np.float32(0.0)
    for t in range(len(x)):
        for c in range(len(mean)):
            mean[c] += x[t, c]
    for c in range(len(mean)):
        mean[c] *= share
    for t in range(len(x)):
        for c in range(len(mean)):
            apart = x[t, c] - mean[c]
            variance[c] += apart * apart
    for c in range(len(mean)):
        variance[c] *= share


@kernel("void(float32[:, ::1], float32[::1], float32[::1], uint8[:, ::1])")
def narrowed(x: FloatArray, scale: FloatArray, offset: FloatArray, out: NDArray[np.uint8]) -> None:
    """Rectified and in eight bits: x * scale + offset, of which at most 1 is expected.

    x : float32 [shape=(T, C)]
    scale, offset : float32 [shape=(C,)]
    out : uint8 [shape=(T, C)]
    """
    for t in range(len(x)):
        for c in range(len(scale)):
            value = x[t, c] * scale[c] + offset[c]
            value = max(value, SLOPE * value) * ONE + ROUNDED
            out[t, c] = np.uint8(np.int32(min(max(value, LEAST), MOST)))


@kernel(
    "void(uint8[:, ::1], int8[::1], int32[::1], float32[::1], float32[::1], float32[::1], float32[:, ::1])"
)
def convolve(
    x: NDArray[np.uint8],
    weights: NDArray[np.int8],
    starts: NDArray[np.int32],
    scales: FloatArray,
    nothing: FloatArray,
    room: FloatArray,
    out: FloatArray,
) -> None:
    """A convolution over places, of whose answers each three leave their largest.

    x : uint8 [shape=(3 * T + taps - 1 or more, C)]
    weights : int8 [shape=(N * taps * C,)], packed for `BLOCKS`; N a whole multiple of 32, taps * C of 4
    starts : int32 [shape=(N,)], the sums of an input of nought, less than nothing
    scales : float32 [shape=(N,)], what 1 of an output's sum stands for
    nothing : float32 [shape=(32,)], 0
    room : float32 [shape=(3 * 32 + 3,)], to write to
    out : float32 [shape=(T, N)]
    """
    places, outputs = out.shape
    width, inputs = x.shape[1], len(weights) // outputs
    largest, sizes = room[: POOLED * WIDE], room[POOLED * WIDE :]
    for row in range(POOLED):
        sizes[row] = np.float32(1.0)
    for place in range(places):
        for j in range(0, outputs, WIDE):
            _three_rows(
                np.uintp(x.ctypes.data + POOLED * place * width),
                width,
                inputs,
                np.uintp(weights.ctypes.data + j * inputs),
                np.uintp(starts.ctypes.data + 4 * j),
                np.uintp(scales.ctypes.data + 4 * j),
                np.uintp(sizes.ctypes.data),
                np.uintp(nothing.ctypes.data),
                0,
                np.uintp(largest.ctypes.data),
                WIDE,
            )
            for i in range(WIDE):
                out[place, j + i] = max(largest[i], largest[WIDE + i], largest[2 * WIDE + i])
