"""How loud filters are that read the same, or with the other sign, from behind (SincNet, arXiv:1808.00158).

Sound is folded around the middle of each answer, so that half of the products are left. They are in single
precision, of registers that fill many answers at once.
"""

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rtspk.kernels.jit import kernel
from rtspk.kernels.lanes import LANES, WIDEST, Lanes, Value
from rtspk.types import FloatArray

__all__ = ["FOLDED", "HOP", "LENGTH", "MOST", "POOLED", "ROOM", "loudness"]

LENGTH: int = 251  # samples of a filter
HOP: int = 10  # and between two of its answers
POOLED: int = 3  # answers of which the loudest is kept
MIDDLE: int = LENGTH // 2
FOLDED: int = MIDDLE + 1  # numbers that a filter hears
MOST: int = 48  # filters of either kind, filled up with nought
STRIDE: int = 128  # numbers between the folded sounds of two answers
ROWS: int = 2 * POOLED  # answers made at once
REGISTERS: int = 3 if WIDEST > LANES else 2  # of filters, for which they are
AT_ONCE: int = REGISTERS * WIDEST
ROOM: int = 2 * ROWS * (STRIDE + MOST)  # numbers that the kernel writes to


@intrinsic
def _sums(_typing: object, x: Value, weights: Value, out: Value) -> Value:
    """Of `ROWS` folded sounds the sums for `AT_ONCE` filters; all are addresses of float32."""
    del x, weights, out

    def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
        _emit(Lanes(builder, arguments[0].type, WIDEST), *arguments)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uintp), emit


def _emit(lanes: Lanes, x: Value, weights: Value, out: Value) -> None:
    builder = lanes.builder
    behind = [lanes.count(4 * WIDEST * number) for number in range(REGISTERS)]
    sums = [[lanes.place(lanes.numbers) for _ in behind] for _ in range(ROWS)]
    for places in sums:
        for place in places:
            builder.store(ir.Constant(lanes.numbers, None), place)
    with lanes.rounds(lanes.count(FOLDED)) as loop:
        table = lanes.sum(weights, lanes.times(loop.index, 4 * MOST))
        own = [lanes.load(lanes.sum(table, offset), lanes.numbers, 4) for offset in behind]
        here = lanes.sum(x, lanes.times(loop.index, 4))
        for row, places in enumerate(sums):
            heard = lanes.splat(lanes.sum(here, lanes.count(4 * STRIDE * row)), lanes.numbers)
            for place, weight in zip(places, own, strict=True):
                product = builder.fmul(heard, weight, flags=["contract"])
                builder.store(builder.fadd(builder.load(place), product, flags=["contract"]), place)
    for row, places in enumerate(sums):
        for offset, place in zip(behind, places, strict=True):
            at = lanes.sum(out, lanes.count(4 * MOST * row), offset)
            lanes.store(builder.load(place), at, 4)


_answers: Callable[..., None] = _sums


@kernel()
def _fold(x: FloatArray, back: FloatArray, middle: int, same: FloatArray, other: FloatArray) -> None:
    """What is before the middle on what is behind it, as it is and with the other sign."""
    ahead = x[middle : middle + FOLDED]
    before = back[len(x) - 1 - middle : len(x) - 1 - middle + FOLDED]
    for i in range(FOLDED):
        same[i] = ahead[i] + before[i]
        other[i] = ahead[i] - before[i]


@kernel()
def _loudest(sums: FloatArray, out: FloatArray) -> None:
    """Of three answers of each filter."""
    for f in range(len(out)):
        one, two, three = abs(sums[f]), abs(sums[MOST + f]), abs(sums[2 * MOST + f])
        out[f] = max(one, two, three)


@kernel(
    "void(float32[::1], float32[::1], float32[:, ::1], float32[:, ::1], int64, float32[::1], float32[:, ::1])"
)
def loudness(
    x: FloatArray,
    back: FloatArray,
    even: FloatArray,
    odd: FloatArray,
    count: int,
    room: FloatArray,
    out: FloatArray,
) -> None:
    """The largest of each three answers, without its sign.

    x : float32 [shape=(3 * HOP * T - HOP + LENGTH or more,)]
    back : float32, the same from behind
    even, odd : float32 [shape=(FOLDED, MOST)], filters from their middles on, of which they have half: those
        that have the same before it, and those that have the other sign there
    count : filters that are even; those behind them are odd
    room : float32 [shape=(ROOM,)], to write to
    out : float32 [shape=(T, filters)]
    """
    half = ROWS * STRIDE
    sums = room[2 * half :]
    for first in range(0, len(out), 2):
        places = min(2, len(out) - first)
        for row in range(POOLED * places):
            middle = HOP * (POOLED * first + row) + MIDDLE
            _fold(x, back, middle, room[row * STRIDE :], room[half + row * STRIDE :])
        for kind, table in enumerate((even, odd)):
            heard = np.uintp(room.ctypes.data + 4 * kind * half)
            said = sums.ctypes.data + 4 * kind * ROWS * MOST
            for j in range(0, MOST, AT_ONCE):
                _answers(heard, np.uintp(table.ctypes.data + 4 * j), np.uintp(said + 4 * j))
        for place in range(places):
            own = sums[POOLED * place * MOST :]
            _loudest(own, out[first + place, :count])
            _loudest(own[ROWS * MOST :], out[first + place, count:])
