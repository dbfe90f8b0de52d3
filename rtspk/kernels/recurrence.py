"""Long short-term memory in eight bits: one frame after the other, without a call for each.

A step is a product of a vector and a matrix, which lies in the second cache. Several stretches of frames are
followed side by side, so that what is read of it is read for all of them.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.dense import ROUNDED, ROWS, STEPS, dense
from rtspk.kernels.hyperbolic import fraction
from rtspk.kernels.jit import kernel
from rtspk.kernels.processor import has_wide_registers
from rtspk.kernels.products import LANES, tile
from rtspk.types import FloatArray

__all__ = ["ALONE", "BLOCK", "MOST", "WIDE", "Room", "Way", "follow", "follow_both", "recur"]

ALONE: int = 8  # blocks of eight outputs for one row at a time
MOST: int = 4 if has_wide_registers() else 1  # stretches side by side: for their sums there are registers
BLOCK: int = 96  # frames, of all stretches, whose gates are known at once: they stay in the second cache
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
Whole = NDArray[np.int64]
Room = tuple[FloatArray, NDArray[np.uint8], FloatArray, FloatArray]
# The same, in signatures.
WAY = "Tuple((int8[::1], float32[::1], int32[::1], float32[::1], int8[::1], float32[::1], int32[::1]))"
ROOM = "Tuple((float32[:, ::1], uint8[:, ::1], float32[:, ::1], float32[:, :, ::1]))"

_one, _two, _three, _four = (tile(min(rows, MOST), ALONE) for rows in (1, 2, 3, 4))


@kernel()
def _product(
    rows: int,
    state: np.uintp,
    width: int,
    weights: np.uintp,
    starts: np.uintp,
    scales: np.uintp,
    sizes: np.uintp,
    gates: np.uintp,
    step: int,
    drive: np.uintp,
) -> None:
    """A tile of so many rows, up to `MOST`, of which each begins `width`, `step` and 4 * width numbers on."""
    if rows == 1:
        _one(state, width, width, weights, starts, scales, sizes, gates, step, drive, 4 * width)
    elif rows == 2:
        _two(state, width, width, weights, starts, scales, sizes, gates, step, drive, 4 * width)
    elif rows == 3:
        _three(state, width, width, weights, starts, scales, sizes, gates, step, drive, 4 * width)
    else:
        _four(state, width, width, weights, starts, scales, sizes, gates, step, drive, 4 * width)


@kernel(
    "void(float32[:, :, ::1], int64, int64, int64[::1], int64[::1], int64[::1], boolean, int8[::1],"
    " float32[::1], int32[::1], float32[:, ::1], float32[:, ::1], float32[:, :, ::1], uint8[:, ::1],"
    " float32[:, ::1], uint8[:, ::1], float32[::1])"
)
def recur(
    gates: FloatArray,
    first: int,
    last: int,
    begins: Whole,
    counts: Whole,
    olds: Whole,
    backward: bool,
    weights: NDArray[np.int8],
    scales: FloatArray,
    starts: NDArray[np.int32],
    hidden: FloatArray,
    cell: FloatArray,
    behind: FloatArray,
    state: NDArray[np.uint8],
    drive: FloatArray,
    out: NDArray[np.uint8],
    sizes: FloatArray,
) -> None:
    """Follow a recurrence of long short-term memory (S. Hochreiter and J. Schmidhuber, 1997) over frames.

    gates : float32 [shape=(R, T, 4 * H)], what the frames say, with the bias: input, output, forget and cell
        gates; of each of R stretches those of the steps [first, last), or of the other direction the last one
        first
    begins, counts : int64 [shape=(R,)], where stretches begin in `out` and how many frames they have, the
        longest first; one that is over is left alone
    olds : int64 [shape=(R,)], forth, the step before which states are kept in `behind`
    backward : the other direction, from the last frame to the first
    weights : int8 [shape=(4 * H * H,)], packed for `ALONE`; H a whole multiple of 16
    scales : float32 [shape=(4 * H,)], what 1 of an output's weights stands for
    starts : int32 [shape=(4 * H,)], the sums of a state of nought, less than nothing
    hidden, cell : float32 [shape=(R, H)], before; then behind
    behind : float32 [shape=(2, R, H)], to write to
    state : uint8 [shape=(R, H)], likewise
    drive : float32 [shape=(R, 4 * H)], likewise
    out : uint8 [shape=(frames, 2 * H)], hidden states of both directions, in steps of 1/127
    sizes : float32 [shape=(R or more,)], all such a step
    """
    active, width = len(counts), hidden.shape[1]
    way = 1 if backward else 0
    said = slice(way * width, (way + 1) * width)
    for r in range(active):
        for i in range(width):
            state[r, i] = np.uint8(np.int32(hidden[r, i] * STEPS + ROUNDED))
    for number in range(first, last):
        while active and counts[active - 1] <= number:
            active -= 1
        at = last - 1 - number if backward else number - first
        for turn in range(0, 4 * width, WIDE):
            # To and fro: what was read last is still in the first cache.
            j = 4 * width - WIDE - turn if number & 1 else turn
            _product(
                active,
                np.uintp(state.ctypes.data),
                width,
                np.uintp(weights.ctypes.data + j * width),
                np.uintp(starts.ctypes.data + 4 * j),
                np.uintp(scales.ctypes.data + 4 * j),
                np.uintp(sizes.ctypes.data),
                np.uintp(gates.ctypes.data + 4 * (4 * width * at + j)),
                4 * width * gates.shape[1],
                np.uintp(drive.ctypes.data + 4 * j),
            )
        for r in range(active):
            if not backward and number == olds[r]:
                behind[0, r], behind[1, r] = hidden[r], cell[r]
            opened, shown, kept, new = (
                drive[r, :width],
                drive[r, width : 2 * width],
                drive[r, 2 * width : 3 * width],
                drive[r, 3 * width :],
            )
            own_hidden, own_cell, own_state = hidden[r], cell[r], state[r]
            # Gates are logistic functions, of which `fraction` says how: two divisions in all.
            for i in range(width):
                opened_above, opened_below = fraction(HALF * opened[i])
                kept_above, kept_below = fraction(HALF * kept[i])
                new_above, new_below = fraction(new[i])
                below = opened_below * new_below
                old = (kept_below + kept_above) * own_cell[i] * below
                own_cell[i] = (
                    HALF
                    * (old + (opened_below + opened_above) * new_above * kept_below)
                    / (kept_below * below)
                )
            for i in range(width):
                shown_above, shown_below = fraction(HALF * shown[i])
                above, below = fraction(own_cell[i])
                own_hidden[i] = HALF * (shown_below + shown_above) * above / (shown_below * below)
            for i in range(width):
                own_state[i] = np.uint8(np.int32(own_hidden[i] * STEPS + ROUNDED))
            out[begins[r] + (counts[r] - 1 - number if backward else number), said] = own_state


@kernel(
    f"void(uint8[:, ::1], float32[::1], int64[::1], int64[::1], int64[::1], boolean, {WAY},"
    f" float32[:, ::1], float32[:, ::1], float32[:, :, ::1], {ROOM}, uint8[:, ::1], float32[::1])"
)
def follow(
    x: NDArray[np.uint8],
    sizes: FloatArray,
    begins: Whole,
    counts: Whole,
    olds: Whole,
    backward: bool,
    way: Way,
    hidden: FloatArray,
    cell: FloatArray,
    behind: FloatArray,
    room: Room,
    out: NDArray[np.uint8],
    out_sizes: FloatArray,
) -> None:
    """One direction of a layer over stretches of frames: what they say to its gates, and `recur`.

    x : uint8 [shape=(T + 4 or more, K)], what is heard
    sizes : float32 [shape=(T + 4 or more,)], what 1 of each row stands for
    begins, counts, olds : as in `recur`, of up to `MOST` stretches
    way : of its gates the weights, scales, starts and bias, as in `dense`; weights, scales and starts of what
        it remembers, as in `recur`
    hidden, cell, behind : as in `recur`
    room : to write to: float32 [shape=(BLOCK + 4, 4 * H)]; `state` and `drive` of `recur`; float32
        [shape=(2, R or more, H)]
    out : uint8 [shape=(T or more, 2 * H)], hidden states of both directions, in steps of 1/127
    out_sizes : float32 [shape=(R or more,)], all such a step
    """
    gate_weights, gate_scales, gate_starts, bias, weights, scales, starts = way
    said, state, drive, _ = room
    rows = len(counts)
    block = BLOCK // rows
    for first in range(0, counts[0], block):
        last = min(counts[0], first + block)
        for r in range(rows):
            own = min(last, counts[r]) - first
            if own <= 0:
                break
            at = begins[r] + (counts[r] - first - own if backward else first)
            to = r * block + (last - first - own if backward else 0)
            # In groups of four rows: what they write too many is where the next stretch is written then.
            whole = (own + ROWS - 1) // ROWS * ROWS
            heard, size = x[at : at + whole], sizes[at : at + whole]
            dense(heard, size, gate_weights, gate_scales, gate_starts, bias, said[to : to + whole])
        gates = said[: rows * block].reshape(rows, block, said.shape[1])
        recur(
            gates,
            first,
            last,
            begins,
            counts,
            olds,
            backward,
            weights,
            scales,
            starts,
            hidden,
            cell,
            behind,
            state,
            drive,
            out,
            out_sizes,
        )


@kernel(
    f"void(uint8[:, ::1], float32[::1], int64[::1], int64[::1], int64[::1], {WAY}, {WAY},"
    f" float32[:, :, ::1], {ROOM}, uint8[:, ::1], float32[::1])"
)
def follow_both(
    x: NDArray[np.uint8],
    sizes: FloatArray,
    begins: Whole,
    counts: Whole,
    olds: Whole,
    forth: Way,
    back: Way,
    states: FloatArray,
    room: Room,
    out: NDArray[np.uint8],
    out_sizes: FloatArray,
) -> None:
    """Both directions of a layer over stretches, as `follow` does one.

    states : float32 [shape=(2, R, H)], hidden and cell, of the direction that goes forth: before; then behind
        the first `olds` frames of each stretch, which has more. The other direction begins with nothing
        behind the last frame.
    """
    rows = len(counts)
    hidden, cell = room[3][0][:rows], room[3][1][:rows]
    hidden[:], cell[:] = states[0], states[1]
    follow(x, sizes, begins, counts, olds, False, forth, hidden, cell, states, room, out, out_sizes)
    hidden[:], cell[:] = 0.0, 0.0
    follow(x, sizes, begins, counts, olds, True, back, hidden, cell, states, room, out, out_sizes)
