"""Winograd's convolutions of 3 x 3 (arXiv:1509.09308) in whole numbers, and the way back to eight bits.

Of a tile of (n + 2) x (n + 2) places n x n answers are made, for n of 2 or 4, by as many products as the
tile has places. The weights' fractions are made whole by a factor that is known, and sums are taken modulo
2 ** 32. So answers are exact, however large the numbers between, as long as they have 25 bits themselves.
"""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtspk.kernels.lanes import I16, I32, LANES, Lanes, Value

__all__ = ["AT_ONCE", "LARGEST_SUM", "answers", "points", "weights_at_points"]

AT_ONCE: int = 2 * LANES  # outputs that `answers` makes
LARGEST_SUM: int = 2**25  # of an answer, either way
MATRICES: dict[int, list[list[int]]] = {
    2: [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]],
    4: [[6, 0, 0], [1, 1, 1], [1, -1, 1], [1, 2, 4], [1, -2, 4], [0, 0, 6]],
}
# By what the answers of a row or column come out too large: powers of two,
TWOS: dict[int, tuple[int, ...]] = {1: (0,), 2: (1, 1), 4: (3, 2, 1, 1)}
# and for n of 4 once more 3, both ways 9. What is a whole multiple is divided by the inverse modulo 2 ** 32.
NINTH: int = pow(9, -1, 2**32)


def weights_at_points(weights: NDArray[np.int8], n: int) -> NDArray[np.int16]:
    """Weights as products want them.

    Args:
        weights: int8 [shape=(outputs, 3, 3, inputs)]
        n: 2 or 4

    Returns:
        int16 [shape=((n + 2) ** 2, outputs, inputs)]
    """
    matrix = np.array(MATRICES[n], np.float32)  # it is exact: all numbers are small
    outputs, _, _, inputs = weights.shape
    rows = np.tensordot(matrix, weights.astype(np.float32), (1, 1))  # (n + 2, outputs, 3, inputs)
    both = np.tensordot(matrix, rows, (1, 2))  # (column, row, outputs, inputs)
    return both.transpose(1, 0, 2, 3).reshape(-1, outputs, inputs).astype(np.int16)


def points(n: int) -> Callable[..., None]:
    """A tile as products want it, for kernels.

    The function takes addresses, and bytes between them: of the tile's corner, int16 in 0..255, its rows and
    places; how many channels, in sixteens; and of what is written, int16, for the first of (n + 2) ** 2
    points, and the bytes from point to point. No number is larger than 68 times 255, which 16 bits hold.
    """

    @intrinsic
    def spread(
        _typing: object,
        x: Value,
        row: Value,
        place: Value,
        channels: Value,
        out: Value,
        plane: Value,
    ) -> Value:
        del x, row, place, channels, out, plane

        def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
            _emit_points(Lanes(builder, arguments[1].type), arguments, n + 2)
            return context.get_dummy_value()

        address, count = types.uintp, types.intp
        return types.void(address, *[count] * 3, address, count), emit

    function: Callable[..., None] = spread
    return function


def answers(n: int, *, added: bool) -> Callable[..., None]:
    """Sums at points to n x n answers in eight bits, of 16 outputs, for kernels; for n of 1 they are answers.

    answer = round((sum + bias) * scale) + zero; where another picture is added, it is then
    round(answer * ratios[0] + (other * ratios[1] + ratios[2])). Either is held within 0..255.

    The function takes addresses, and bytes between them: of the sums, int32, and from point to point; of
    bias, int32, and scales, float32; the zero; of what is written, int16, its rows and places; of the other
    picture, int16, which has the same; and of ratios, float32.
    """

    @intrinsic
    def gather(
        _typing: object,
        sums: Value,
        plane: Value,
        bias: Value,
        scales: Value,
        zero: Value,
        out: Value,
        row: Value,
        place: Value,
        other: Value,
        ratios: Value,
    ) -> Value:
        del sums, plane, bias, scales, zero, out, row, place, other, ratios

        def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
            _emit_answers(Lanes(builder, arguments[1].type), arguments, n, added=added)
            return context.get_dummy_value()

        address, count = types.uintp, types.intp
        taken = address, count, address, address, count, address, count, count, address, address
        return types.void(*taken), emit

    function: Callable[..., None] = gather
    return function


def _emit_points(lanes: Lanes, arguments: Value, size: int) -> None:
    x, row, place, channels, out, plane = arguments
    with lanes.rounds(lanes.builder.sdiv(channels, lanes.count(2 * LANES))) as loop:
        offset = lanes.times(loop.index, 4 * LANES)
        columns = []
        for column in range(size):
            corner = lanes.sum(x, offset, lanes.times(place, column))
            values = [lanes.load(lanes.sum(corner, lanes.times(row, r)), lanes.pairs) for r in range(size)]
            columns.append(_to_points(lanes, values))
        for r in range(size):
            for column, value in enumerate(_to_points(lanes, [values[r] for values in columns])):
                lanes.store(value, lanes.sum(out, offset, lanes.times(plane, size * r + column)))


def _emit_answers(lanes: Lanes, arguments: Value, n: int, *, added: bool) -> None:
    sums, plane, bias, scales, zero, out, row, place, other, ratios = arguments
    builder, size = lanes.builder, n + 2 if n > 1 else 1
    nought = lanes.everywhere(builder.trunc(zero, I32), lanes.sums)
    half = ir.VectorType(I16, LANES)
    factors = [
        lanes.splat(lanes.sum(ratios, lanes.count(4 * i)), lanes.numbers) for i in range(3 if added else 0)
    ]
    with lanes.rounds(lanes.count(AT_ONCE // LANES)) as loop:
        words, halves = lanes.times(loop.index, 4 * LANES), lanes.times(loop.index, 2 * LANES)
        own_bias = lanes.load(lanes.sum(bias, words), lanes.sums, 4)
        scale = lanes.load(lanes.sum(scales, words), lanes.numbers, 4)
        grid = [
            [
                lanes.load(lanes.sum(sums, words, lanes.times(plane, size * r + column)), lanes.sums, 4)
                for r in range(size)
            ]
            for column in range(size)
        ]
        columns = [_from_points(lanes, values) for values in grid]
        for r in range(n):
            for column, total in enumerate(_from_points(lanes, [values[r] for values in columns])):
                value = total
                if n == 4:
                    value = builder.mul(value, lanes.all(lanes.sums, NINTH))
                if twos := TWOS[n][r] + TWOS[n][column]:
                    value = builder.ashr(value, lanes.all(lanes.sums, twos))
                value = lanes.in_eight_bits(builder.add(value, own_bias), scale, nought)
                at = lanes.sum(halves, lanes.times(row, r), lanes.times(place, column))
                if factors:
                    value = lanes.with_other(value, lanes.load(lanes.sum(other, at), half), factors)
                lanes.store(builder.trunc(value, half), lanes.sum(out, at))


def _to_points(lanes: Lanes, x: Sequence[Value]) -> list[Value]:
    """A row or column of a tile at its points: B^T d of the paper."""
    add, sub, shifted = lanes.builder.add, lanes.builder.sub, lanes.shifted
    if len(x) == 4:
        return [sub(x[0], x[2]), add(x[1], x[2]), sub(x[2], x[1]), sub(x[1], x[3])]
    even, odd = sub(x[4], shifted(x[2], 2)), sub(x[3], shifted(x[1], 2))
    apart, once = sub(x[4], x[2]), sub(x[3], x[1])
    twice = shifted(once, 1)
    return [
        add(shifted(sub(x[0], x[2]), 2), apart),
        add(even, odd),
        sub(even, odd),
        add(apart, twice),
        sub(apart, twice),
        sub(sub(x[5], x[3]), shifted(once, 2)),
    ]


def _from_points(lanes: Lanes, x: Sequence[Value]) -> list[Value]:
    """The answers of a row or column, times 2 or 24, 12, 6, 6: A^T m of the paper."""
    add, sub, shifted = lanes.builder.add, lanes.builder.sub, lanes.shifted
    if len(x) == 1:
        return list(x)
    if len(x) == 4:
        return [add(add(x[0], x[1]), x[2]), sub(sub(x[1], x[2]), x[3])]
    ones, one = add(x[1], x[2]), sub(x[1], x[2])
    twos, two = add(x[3], x[4]), sub(x[3], x[4])
    return [
        add(x[0], sub(twos, shifted(ones, 2))),
        sub(two, shifted(one, 1)),
        sub(twos, ones),
        add(sub(shifted(two, 1), one), x[5]),
    ]
