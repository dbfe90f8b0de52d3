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

AT_ONCE: int = 10  # places of a tile: 80 bands, and their halves, come in tens
SLACK: int = 4  # places

BytePicture = NDArray[np.uint8]

_tens, _tens_added = (tile(AT_ONCE, 2, added=added) for added in (False, True))
_ones, _ones_added = (tile(1, 2, added=added) for added in (False, True))
_ten, _ten_added = (tile(AT_ONCE, 1, added=added) for added in (False, True))
_one, _one_added = (tile(1, 1, added=added) for added in (False, True))


@kernel()
def _answer(
    is_whole: bool,
    is_half: bool,
    is_added: bool,
    heard: tuple[np.uintp, np.uintp, int, int, int],
    own: tuple[np.uintp, np.uintp, np.uintp, int],
    to: tuple[np.uintp, int, int],
    more: tuple[np.uintp, np.uintp],
) -> None:
    """A tile: of many places or one, by a panel or half of one."""
    if is_whole and is_half and is_added:
        _ten_added(*heard, *own, *to, *more)
    elif is_whole and is_half:
        _ten(*heard, *own, *to, *more)
    elif is_whole and is_added:
        _tens_added(*heard, *own, *to, *more)
    elif is_whole:
        _tens(*heard, *own, *to, *more)
    elif is_half and is_added:
        _one_added(*heard, *own, *to, *more)
    elif is_half:
        _one(*heard, *own, *to, *more)
    elif is_added:
        _ones_added(*heard, *own, *to, *more)
    else:
        _ones(*heard, *own, *to, *more)


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
    begins, factors = np.uintp(starts.ctypes.data), np.uintp(ratios.ctypes.data)
    whole = width // AT_ONCE * AT_ONCE
    for j in range(0, outputs * lines, PANEL):
        table = np.uintp(weights.ctypes.data + j * runs * run)
        own = table, np.uintp(bias.ctypes.data + 4 * j), np.uintp(scales.ctypes.data + 4 * j), zero
        is_half = outputs * lines - j < PANEL
        panel = (OUTPUTS if is_half else PANEL) * runs * run
        part = panel // LINE * lines // height + 1
        for t in range(0, height, lines):
            fetch(np.uintp(table + panel + t // lines * part * LINE), part)  # of the next panel
            first = x.ctypes.data + (t * hop + edge) * row + edge * channels
            told = (t + 1) * own_row + outputs + j
            u = 0
            while u < width:
                heard = np.uintp(first + u * step), begins, runs, row, run
                to = np.uintp(out.ctypes.data + told + u * outputs), outputs, apart
                more = np.uintp(other.ctypes.data + told + u * outputs), factors
                _answer(u < whole, is_half, len(ratios) > 0, heard, own, to, more)
                u += AT_ONCE if u < whole else 1
    out[height + 1 :] = border
