"""Long short-term memory in eight bits: one frame after the other, without a call for each."""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.dense import ROUNDED, ROWS, STEPS, dense
from rtspk.kernels.hyperbolic import fraction
from rtspk.kernels.jit import kernel
from rtspk.kernels.products import LANES, tile
from rtspk.types import FloatArray

__all__ = ["ALONE", "BLOCK", "WIDE", "Room", "Way", "follow", "follow_both", "recur"]

ALONE: int = 8  # blocks of eight outputs for one row at a time
BLOCK: int = 96  # frames whose gates are known at once: few enough to stay in the second cache
WIDE = LANES * ALONE
HALF = np.float32(0.5)
Way = tuple[
    NDArray[np.int8],
    FloatArray,
    NDArray[np.int32],
    FloatArray,
    NDArray[np.int8],
    FloatArray,
    NDArray[np.int32],
]
Room = tuple[FloatArray, NDArray[np.uint8], FloatArray, FloatArray]
# The same, in signatures.
WAY = "Tuple((int8[::1], float32[::1], int32[::1], float32[::1], int8[::1], float32[::1], int32[::1]))"
ROOM = "Tuple((float32[:, ::1], uint8[::1], float32[::1], float32[:, ::1]))"

_one_row = tile(1, ALONE)


@kernel(
    "void(float32[:, ::1], int8[::1], float32[::1], int32[::1], boolean, float32[::1], float32[::1],"
    " uint8[::1], float32[::1], uint8[:, ::1], float32[::1])"
)
def recur(
    gates: FloatArray,
    weights: NDArray[np.int8],
    scales: FloatArray,
    starts: NDArray[np.int32],
    backward: bool,
    hidden: FloatArray,
    cell: FloatArray,
    state: NDArray[np.uint8],
    drive: FloatArray,
    out: NDArray[np.uint8],
    sizes: FloatArray,
) -> None:
    """Follow a recurrence of long short-term memory (S. Hochreiter and J. Schmidhuber, 1997) over frames.

    gates : float32 [shape=(T, 4 * H)], what the frames say, with the bias: input, output, forget and cell
        gates
    weights : int8 [shape=(4 * H * H,)], packed for `ALONE`; H a whole multiple of 16
    scales : float32 [shape=(4 * H,)], what 1 of an output's weights stands for
    starts : int32 [shape=(4 * H,)], the sums of a state of nought, less than nothing
    backward : the other direction, from the last frame to the first
    hidden, cell : float32 [shape=(H,)], before; then behind
    state : uint8 [shape=(H,)], to write to
    drive : float32 [shape=(4 * H,)], likewise
    out : uint8 [shape=(T, 2 * H)], hidden states of both directions, in steps of 1/127
    sizes : float32 [shape=(1 or more,)], of which the first is such a step
    """
    frames, width = len(out), len(hidden)
    way = 1 if backward else 0
    said = slice(way * width, (way + 1) * width)
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
        for turn in range(0, 4 * width, WIDE):
            # To and fro: what was read last is still in the first cache.
            j = 4 * width - WIDE - turn if number & 1 else turn
            _one_row(
                np.uintp(state.ctypes.data),
                width,
                width,
                np.uintp(weights.ctypes.data + j * width),
                np.uintp(starts.ctypes.data + 4 * j),
                np.uintp(scales.ctypes.data + 4 * j),
                np.uintp(sizes.ctypes.data),
                np.uintp(gates.ctypes.data + 4 * (4 * width * t + j)),
                0,
                np.uintp(drive.ctypes.data + 4 * j),
                WIDE,
            )
        # Gates are logistic functions, of which `fraction` says how: two divisions in all.
        for i in range(width):
            opened_above, opened_below = fraction(HALF * opened[i])
            kept_above, kept_below = fraction(HALF * kept[i])
            new_above, new_below = fraction(new[i])
            below = opened_below * new_below
            old = (kept_below + kept_above) * cell[i] * below
            cell[i] = (
                HALF * (old + (opened_below + opened_above) * new_above * kept_below) / (kept_below * below)
            )
        for i in range(width):
            shown_above, shown_below = fraction(HALF * shown[i])
            above, below = fraction(cell[i])
            hidden[i] = HALF * (shown_below + shown_above) * above / (shown_below * below)
        for i in range(width):
            state[i] = np.uint8(np.int32(hidden[i] * STEPS + ROUNDED))
        out[t, said] = state


@kernel(
    f"void(uint8[:, ::1], float32[::1], int64, int64, boolean, {WAY}, float32[::1], float32[::1],"
    f" {ROOM}, uint8[:, ::1], float32[::1])"
)
def follow(
    x: NDArray[np.uint8],
    sizes: FloatArray,
    begin: int,
    end: int,
    backward: bool,
    way: Way,
    hidden: FloatArray,
    cell: FloatArray,
    room: Room,
    out: NDArray[np.uint8],
    out_sizes: FloatArray,
) -> None:
    """One direction of a layer over the frames [begin, end): what they say to its gates, and `recur`.

    x : uint8 [shape=(T + 4 or more, K)], what is heard
    sizes : float32 [shape=(T + 4 or more,)], what 1 of each row stands for
    way : of its gates the weights, scales, starts and bias, as in `dense`; weights, scales and starts of what
        it remembers, as in `recur`
    hidden, cell : as in `recur`
    room : to write to: float32 [shape=(BLOCK, 4 * H)]; `state` and `drive` of `recur`; float32 [shape=(2, H)]
    out : uint8 [shape=(T or more, 2 * H)], hidden states of both directions, in steps of 1/127
    out_sizes : float32 [shape=(1 or more,)], of which the first is such a step
    """
    gate_weights, gate_scales, gate_starts, bias, weights, scales, starts = way
    said, state, drive, _ = room
    blocks = (end - begin + BLOCK - 1) // BLOCK
    for number in range(blocks):
        first = begin + BLOCK * (blocks - 1 - number if backward else number)
        last = min(end, first + BLOCK)
        behind = first + (last - first + ROWS - 1) // ROWS * ROWS
        gates = said[: behind - first]
        dense(x[first:behind], sizes[first:behind], gate_weights, gate_scales, gate_starts, bias, gates)
        own = out[first:last]
        recur(gates, weights, scales, starts, backward, hidden, cell, state, drive, own, out_sizes)


@kernel(
    f"void(uint8[:, ::1], float32[::1], int64, int64, {WAY}, {WAY}, float32[::1], float32[::1],"
    f" {ROOM}, uint8[:, ::1], float32[::1])"
)
def follow_both(
    x: NDArray[np.uint8],
    sizes: FloatArray,
    old: int,
    count: int,
    forth: Way,
    back: Way,
    hidden: FloatArray,
    cell: FloatArray,
    room: Room,
    out: NDArray[np.uint8],
    out_sizes: FloatArray,
) -> None:
    """Both directions of a layer over `count` frames, as `follow` does one.

    The states are of the direction that goes forth, and end behind the first `old` frames; the other one
    begins with nothing behind the last.
    """
    states = room[3]
    follow(x, sizes, 0, old, False, forth, hidden, cell, room, out, out_sizes)
    states[0], states[1] = hidden, cell
    follow(x, sizes, old, count, False, forth, states[0], states[1], room, out, out_sizes)
    states[:] = 0.0
    follow(x, sizes, 0, count, True, back, states[0], states[1], room, out, out_sizes)
