"""Convolutions of pictures in eight bits, by 1 x 1 or 3 x 3 weights.

A picture is int16 [shape=(rows, places, C)], its numbers in 0..255, with a border of what nought is stored
as: one row and place before it, and behind it as many as fill tiles of four up, and one more.
Behind the last row there are `SLACK` places of room, which are read and have no effect.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import kernel
from rtspk.kernels.pairs import STEP, tile
from rtspk.kernels.winograd import AT_ONCE, answers, points
from rtspk.types import FloatArray

__all__ = ["BLOCKS", "ROWS", "SLACK", "convolve", "convolve_by_tiles"]

ROWS: int = 5  # of a tile of products: of 80 bands, and of their halves, tiles and pixels come in fives
BLOCKS: int = 2  # of eight outputs each, likewise
SLACK: int = 4 * ROWS  # places

Picture = NDArray[np.int16]

_products = tile(ROWS, BLOCKS)
_points_2, _points_4 = points(2), points(4)
_answers_1 = answers(1, added=False)
_answers_2, _answers_4 = answers(2, added=False), answers(4, added=False)
_added_2, _added_4 = answers(2, added=True), answers(4, added=True)


@kernel(
    "void(int16[:, :, ::1], int64, int64, int64, int64, int16[::1], int32[::1], float32[::1], int64,"
    " int16[:, :, ::1], int64, int32[::1])"
)
def convolve(
    x: Picture,
    height: int,
    width: int,
    taps: int,
    hop: int,
    weights: NDArray[np.int16],
    bias: NDArray[np.int32],
    scales: FloatArray,
    zero: int,
    out: Picture,
    border: int,
    sums: NDArray[np.int32],
) -> None:
    """Answers at each place, or each second one: round((sum + bias) * scale) + zero, within 0..255.

    x : int16 [shape=(rows, places, C)]
    height, width : of the answers
    taps : 1 or 3, either way
    hop : places between two answers
    weights : int16 [shape=(N * taps * run,)], packed for `BLOCKS`; a run is taps * C, in whole fours
    bias : int32 [shape=(N,)], N a whole multiple of 16
    scales : float32 [shape=(N,)]
    out : int16 [shape=(rows, places, N)], to whose inside is written, and the border behind the last row
    border : what nought is stored as in `out`
    sums : int32 [shape=(16 * (width + ROWS) or more,)], to write to
    """
    channels, outputs = x.shape[2], out.shape[2]
    run = len(weights) // (outputs * taps)
    edge = 1 - taps // 2
    row = 2 * x.shape[1] * channels  # bytes
    panel = 2 * AT_ONCE * taps * run
    for j in range(0, outputs, AT_ONCE):
        table = weights.ctypes.data + j // AT_ONCE * panel
        for t in range(height):
            first = x.ctypes.data + (t * hop + edge) * row + 2 * edge * channels
            later = table + (panel if t == height - 1 else 0)
            for u in range(0, width, ROWS):
                _products(
                    np.uintp(first + 2 * u * hop * channels),
                    2 * hop * channels,
                    taps,
                    row,
                    run,
                    np.uintp(table),
                    np.uintp(sums.ctypes.data + 4 * AT_ONCE * u),
                    4 * AT_ONCE,
                    np.uintp(later + u // ROWS * panel // STEP * 2),
                )
            for u in range(width):
                _answers_1(
                    np.uintp(sums.ctypes.data + 4 * AT_ONCE * u),
                    0,
                    np.uintp(bias.ctypes.data + 4 * j),
                    np.uintp(scales.ctypes.data + 4 * j),
                    zero,
                    np.uintp(out.ctypes.data + 2 * (((t + 1) * out.shape[1] + u + 1) * outputs + j)),
                    0,
                    0,
                    np.uintp(0),
                    np.uintp(0),
                )
    out[height + 1 :] = border


@kernel()
def _spread(x: Picture, n: int, t: int, u: int, out: np.uintp, plane: int) -> None:
    """The tile in row `t` and column `u` of tiles at its points."""
    channels = x.shape[2]
    place = 2 * channels  # bytes
    row = x.shape[1] * place
    corner = np.uintp(x.ctypes.data + n * (t * row + u * place))
    if n == 4:
        _points_4(corner, row, place, channels, out, plane)
    else:
        _points_2(corner, row, place, channels, out, plane)


@kernel()
def _gather(
    n: int,
    sums: np.uintp,
    plane: int,
    bias: np.uintp,
    scales: np.uintp,
    zero: int,
    out: np.uintp,
    row: int,
    place: int,
    other: np.uintp,
    ratios: FloatArray,
) -> None:
    """A tile's answers, of 16 outputs."""
    factors = np.uintp(ratios.ctypes.data)
    if n == 4 and len(ratios):
        _added_4(sums, plane, bias, scales, zero, out, row, place, other, factors)
    elif n == 4:
        _answers_4(sums, plane, bias, scales, zero, out, row, place, other, factors)
    elif len(ratios):
        _added_2(sums, plane, bias, scales, zero, out, row, place, other, factors)
    else:
        _answers_2(sums, plane, bias, scales, zero, out, row, place, other, factors)


@kernel(
    "void(int16[:, :, ::1], int64, int64, int64, int16[::1], int32[::1], float32[::1], int64,"
    " int16[:, :, ::1], float32[::1], int16[:, :, ::1], int64, int64, int16[::1], int32[::1])"
)
def convolve_by_tiles(
    x: Picture,
    height: int,
    width: int,
    n: int,
    weights: NDArray[np.int16],
    bias: NDArray[np.int32],
    scales: FloatArray,
    zero: int,
    other: Picture,
    ratios: FloatArray,
    out: Picture,
    border: int,
    most: int,
    spread: NDArray[np.int16],
    sums: NDArray[np.int32],
) -> None:
    """By 3 x 3 weights, and another picture added, if any, as `rtspk.kernels.winograd.answers` says.

    x : int16 [shape=(rows, places, C)], C a whole multiple of 16
    height, width : of the answers
    n : answers of a tile either way, 2 or 4
    weights : int16 [shape=(N * (n + 2) ** 2 * C,)]: of 16 outputs each point, packed for `BLOCKS`
    bias : int32 [shape=(N,)], N a whole multiple of 16
    scales : float32 [shape=(N,)]
    other : int16 [shape=(rows, places, N)]
    ratios : float32 [shape=(3,)], or [shape=(0,)] where nothing is added
    out : int16 [shape=(rows, places, N)]; none of the others
    border : what nought is stored as in `out`
    most : tiles done at once, though at least one row of them
    spread : int16 [shape=((n + 2) ** 2 * tiles * C or more,)], to write to; `tiles` in whole `ROWS`
    sums : int32 [shape=((n + 2) ** 2 * tiles * 16 or more,)], likewise
    """
    channels, outputs = x.shape[2], out.shape[2]
    down, across = (height + n - 1) // n, (width + n - 1) // n
    row = 2 * out.shape[1] * outputs  # bytes
    sizes, panel = (n + 2) * (n + 2), 2 * AT_ONCE * channels
    per = max(1, most // across)
    for first in range(0, down, per):
        last = min(down, first + per)
        tiles = ((last - first) * across + ROWS - 1) // ROWS * ROWS
        plane = 4 * AT_ONCE * tiles  # bytes of sums
        for t in range(first, last):
            for u in range(across):
                at = 2 * ((t - first) * across + u) * channels
                _spread(x, n, t, u, np.uintp(spread.ctypes.data + at), 2 * tiles * channels)
        for j in range(0, outputs, AT_ONCE):
            for point in range(sizes):
                table = weights.ctypes.data + (j // AT_ONCE * sizes + point) * panel
                for i in range(0, tiles, ROWS):
                    _products(
                        np.uintp(spread.ctypes.data + 2 * (point * tiles + i) * channels),
                        2 * channels,
                        1,
                        0,
                        channels,
                        np.uintp(table),
                        np.uintp(sums.ctypes.data + point * plane + 4 * AT_ONCE * i),
                        4 * AT_ONCE,
                        # The next panel, while the tiles go through this one.
                        np.uintp(table + panel + i // ROWS * panel // STEP * 2),
                    )
            for t in range(first, last):
                for u in range(across):
                    at = 4 * AT_ONCE * ((t - first) * across + u)
                    offset = (n * t + 1) * row + 2 * ((n * u + 1) * outputs + j)
                    _gather(
                        n,
                        np.uintp(sums.ctypes.data + at),
                        plane,
                        np.uintp(bias.ctypes.data + 4 * j),
                        np.uintp(scales.ctypes.data + 4 * j),
                        zero,
                        np.uintp(out.ctypes.data + offset),
                        row,
                        2 * outputs,
                        np.uintp(other.ctypes.data + offset),
                        ratios,
                    )
    out[height + 1 :] = border
    if across * n > width:
        out[:, width + 1 :] = border
