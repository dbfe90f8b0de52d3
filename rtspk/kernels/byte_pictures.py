"""Convolutions of pictures in bytes, by 1 x 1 or 3 x 3 weights: each place by sums of four products.

A picture is uint8 [shape=(rows, places, C)] with a border of what nought is stored as: a row and place before
it, and at least one behind it. Behind the last row there are `SLACK` places of room, which are read and have
no effect.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.fours import LINE, OUTPUTS, PANEL, fetch, tile
from rtspk.kernels.jit import kernel
from rtspk.types import FloatArray

__all__ = ["AT_ONCE", "SLACK", "convolve_bytes"]

AT_ONCE: int = 10  # places of a tile at most: 80 bands, and their halves, come in tens
SLACK: int = 4  # places

BytePicture = NDArray[np.uint8]

# Places by registers: no more sums than there are registers for, and several products for each number that is
# read, since reading is what takes longest (bench/LOG.md).
_ten_by_one, _one_by_one = (tile(places, 1) for places in (AT_ONCE, 1))
_ten_by_two, _one_by_two = (tile(places, 2) for places in (AT_ONCE, 1))
_five_by_three, _one_by_three = (tile(places, 3) for places in (AT_ONCE // 2, 1))
_five_by_four, _one_by_four = (tile(places, 4) for places in (AT_ONCE // 2, 1))


@kernel()
def _answer(
    is_whole: bool,
    registers: int,
    heard: tuple[np.uintp, np.uintp, int, int, int],
    own: tuple[np.uintp, np.uintp, np.uintp, int],
    to: tuple[np.uintp, int, int],
    more: tuple[np.uintp, np.uintp],
) -> None:
    """A tile: of many places or one, by a panel of so many registers."""
    if is_whole and registers == 4:
        _five_by_four(*heard, *own, *to, *more)
    elif is_whole and registers == 3:
        _five_by_three(*heard, *own, *to, *more)
    elif is_whole and registers == 2:
        _ten_by_two(*heard, *own, *to, *more)
    elif is_whole:
        _ten_by_one(*heard, *own, *to, *more)
    elif registers == 4:
        _one_by_four(*heard, *own, *to, *more)
    elif registers == 3:
        _one_by_three(*heard, *own, *to, *more)
    elif registers == 2:
        _one_by_two(*heard, *own, *to, *more)
    else:
        _one_by_one(*heard, *own, *to, *more)


@kernel(
    "void(uint8[:, :, ::1], int64, int64, int64, int64, int8[::1], int32[::1], float32[::1], int64,"
    " uint8[:, :, ::1], float32[::1], uint8[:, :, ::1], int64, int64[::1])"
)
def convolve_bytes(
    x: BytePicture,
    height: int,
    width: int,
    taps: int,
    lines: int,
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    scales: FloatArray,
    zero: int,
    other: BytePicture,
    ratios: FloatArray,
    out: BytePicture,
    border: int,
    starts: NDArray[np.int64],
) -> None:
    """Answers at each place, or each second one, and another picture added, if any, as `fours.tile` says.

    Where a picture has so few outputs that they fill one register, two rows of answers can be made at once:
    what is heard is then read once for both.

    x : uint8 [shape=(rows, places, C)]
    height, width : of the answers
    taps : 1 or 3, either way
    lines : rows of answers made at once: 2 with 16 outputs, each place and 3 taps alone, else 1
    weights : int8 [shape=(N * taps * run,)], packed; a run is taps * C, in whole fours. For two lines int8
        [shape=(32 * 4 * run,)]: those of the first with nought behind, those of the second with nought before
    bias : int32 [shape=(N * lines,)], N a whole multiple of 16
    scales : float32 [shape=(N * lines,)]
    zero : of the answers
    other : uint8 [shape=(rows, places, N)]
    ratios : float32 [shape=(3,)], or [shape=(0,)] where nothing is added
    out : uint8 [shape=(rows, places, N)], to whose inside is written, and the border behind the last row
    border : what nought is stored as in `out`
    starts : int64 [shape=(AT_ONCE,)], where the places of a tile begin in `x`: hop * C bytes from each other
    """
    channels, outputs = x.shape[2], out.shape[2]
    step, row = starts[1], x.shape[1] * channels
    edge, hop = 1 - taps // 2, step // channels
    runs, own_row = taps + lines - 1, out.shape[1] * outputs
    run = len(weights) // (outputs * lines * runs)
    apart = OUTPUTS if lines == 1 else own_row
    begins, factors, added = np.uintp(starts.ctypes.data), np.uintp(ratios.ctypes.data), other.ctypes.data
    for j in range(0, outputs * lines, PANEL):
        registers = min(PANEL, outputs * lines - j) // OUTPUTS
        places = AT_ONCE if registers < 3 else AT_ONCE // 2
        table = np.uintp(weights.ctypes.data + j * runs * run)
        own = table, np.uintp(bias.ctypes.data + 4 * j), np.uintp(scales.ctypes.data + 4 * j), zero
        panel = registers * OUTPUTS * runs * run
        part = panel // LINE * lines // height + 1
        for t in range(0, height, lines):
            fetch(np.uintp(table + panel + t // lines * part * LINE), part)  # of the next panel
            first = x.ctypes.data + (t * hop + edge) * row + edge * channels
            told = (t + 1) * own_row + outputs + j
            u = 0
            while u < width:
                heard = np.uintp(first + u * step), begins, runs, row, run
                to = np.uintp(out.ctypes.data + told + u * outputs), outputs, apart
                more = np.uintp(added + told + u * outputs if len(ratios) else 0), factors
                is_whole = u + places <= width
                _answer(is_whole, registers, heard, own, to, more)
                u += places if is_whole else 1
    out[height + 1 :] = border
