"""Long short-term memory and dense layers in eight bits: one frame after the other, without a call for each.

Inputs are uint8 with 128 for nought, weights int8 in -127..127; what comes out is float32.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.hyperbolic import logistic, tanh
from rtspk.kernels.jit import Scalar, kernel
from rtspk.kernels.products import LANES, ZERO, tile
from rtspk.types import FloatArray

__all__ = ["ALONE", "NARROW", "ROWS", "STEPS", "TOGETHER", "WIDE", "dense", "recur"]

ALONE: int = 8  # blocks of eight outputs for one row at a time,
TOGETHER: int = 4  # and for four
ROWS = 4
WIDE, NARROW = LANES * ALONE, LANES * TOGETHER
STEPS = np.float32(127.0)  # a state of 1 is stored as so much more than nought
STEP = np.float32(1.0) / STEPS
ROUNDED = np.float32(ZERO + 0.5)

_one_row = tile(1, ALONE)
_four_rows = tile(ROWS, TOGETHER)


@kernel()
def _scaled(
    sums: NDArray[np.int32],
    noughts: NDArray[np.int32],
    scales: FloatArray,
    step: Scalar,
    bias: FloatArray,
    out: FloatArray,
) -> None:
    """What sums of whole numbers stand for, and a bias."""
    for i in range(len(out)):
        out[i] = np.float32(sums[i] - noughts[i]) * (scales[i] * step) + bias[i]


@kernel(
    "void(uint8[:, ::1], float32[::1], int8[::1], float32[::1], int32[::1], float32[::1], int32[::1],"
    " float32[:, ::1])"
)
def dense(
    x: NDArray[np.uint8],
    steps: FloatArray,
    weights: NDArray[np.int8],
    scales: FloatArray,
    noughts: NDArray[np.int32],
    bias: FloatArray,
    sums: NDArray[np.int32],
    out: FloatArray,
) -> None:
    """A matrix times each row, and a bias.

    x : uint8 [shape=(T, K)]; T and K whole multiples of 4
    steps : float32 [shape=(T,)], what 1 of each row stands for
    weights : int8 [shape=(N * K,)], packed for `TOGETHER`; N a whole multiple of 32
    scales : float32 [shape=(N,)], what 1 of an output's weights stands for
    noughts : int32 [shape=(N,)], the sums of an input of nought
    bias : float32 [shape=(N,)]
    sums : int32 [shape=(128,)], to write to
    out : float32 [shape=(T, N)]
    """
    inputs, outputs = x.shape[1], out.shape[1]
    for first in range(0, len(x), ROWS):
        for j in range(0, outputs, NARROW):
            _four_rows(
                np.uintp(x.ctypes.data + first * inputs),
                inputs,
                np.uintp(weights.ctypes.data + j * inputs),
                np.uintp(sums.ctypes.data),
                NARROW,
            )
            own = slice(j, j + NARROW)
            for row in range(ROWS):
                _scaled(
                    sums[row * NARROW : (row + 1) * NARROW],
                    noughts[own],
                    scales[own],
                    steps[first + row],
                    bias[own],
                    out[first + row, own],
                )


@kernel(
    "void(float32[:, ::1], int8[::1], float32[::1], int32[::1], boolean, float32[::1], float32[::1],"
    " uint8[::1], int32[::1], float32[::1], uint8[:, ::1])"
)
def recur(
    gates: FloatArray,
    weights: NDArray[np.int8],
    scales: FloatArray,
    noughts: NDArray[np.int32],
    backward: bool,
    hidden: FloatArray,
    cell: FloatArray,
    state: NDArray[np.uint8],
    sums: NDArray[np.int32],
    drive: FloatArray,
    out: NDArray[np.uint8],
) -> None:
    """Follow a recurrence of long short-term memory (S. Hochreiter and J. Schmidhuber, 1997) over frames.

    gates : float32 [shape=(T, 8 * H)], what the frames say, with the bias: input, output, forget and cell
        gates of the direction that goes forth, then of the other
    weights : int8 [shape=(4 * H * H,)], packed for `ALONE`; H a whole multiple of 16
    scales : float32 [shape=(4 * H,)], what 1 of an output's weights stands for
    noughts : int32 [shape=(4 * H,)], the sums of a state of nought
    backward : the other direction, from the last frame to the first
    hidden, cell : float32 [shape=(H,)], before; then behind
    state : uint8 [shape=(H,)], to write to
    sums : int32 [shape=(4 * H,)], to write to
    drive : float32 [shape=(4 * H,)], likewise
    out : uint8 [shape=(T, 2 * H)], hidden states of both directions, in steps of 1/127
    """
    frames, width = len(out), len(hidden)
    way = 1 if backward else 0
    heard, said = slice(4 * way * width, 4 * (way + 1) * width), slice(way * width, (way + 1) * width)
    opened, shown, kept, new = (
        drive[:width],
        drive[width : 2 * width],
        drive[2 * width : 3 * width],
        drive[3 * width :],
    )
    for i in range(width):
        state[i] = np.uint8(np.int32(hidden[i] * STEPS + ROUNDED))
    for number in range(frames):
        t = frames - 1 - number if backward else number
        for j in range(0, 4 * width, WIDE):
            _one_row(
                np.uintp(state.ctypes.data),
                width,
                np.uintp(weights.ctypes.data + j * width),
                np.uintp(sums.ctypes.data + 4 * j),
                WIDE,
            )
        _scaled(sums, noughts, scales, STEP, gates[t, heard], drive)
        for i in range(width):
            opened[i] = logistic(opened[i])
        for i in range(width):
            shown[i] = logistic(shown[i])
        for i in range(width):
            kept[i] = logistic(kept[i])
        for i in range(width):
            cell[i] = kept[i] * cell[i] + opened[i] * tanh(new[i])
        for i in range(width):
            hidden[i] = shown[i] * tanh(cell[i])
        for i in range(width):
            state[i] = np.uint8(np.int32(hidden[i] * STEPS + ROUNDED))
        out[t, said] = state
