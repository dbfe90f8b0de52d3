"""Sums of products of 8-bit numbers, four products at a time, in registers of 512 bits (AVX-512 with VNNI).

Inputs have no sign, weights have one; sums are of whole numbers, and exact. What is told are answers in eight
bits, so that sums never leave their registers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtspk.kernels.lanes import I8, I32, Lanes, Value

__all__ = ["FOUR", "LINE", "OUTPUTS", "PANEL", "fetch", "packed", "tile"]

FOUR: int = 4  # products that one instruction adds up in each lane
OUTPUTS: int = 16  # of a register
PANEL: int = 4 * OUTPUTS  # outputs whose weights lie together: inputs are read once for all of them
REGISTER: int = 4 * OUTPUTS  # bytes
LINE: int = 64  # bytes of a cache line


def packed(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weights in the order in which `tile` reads them: panels of 64 outputs, and one of what is left.

    Args:
        weights: int8 [shape=(outputs, inputs)], whole multiples of 16 and of 4

    Returns:
        int8 [shape=(outputs * inputs,)]
    """
    outputs, inputs = weights.shape
    panels = []
    for first in range(0, outputs, PANEL):
        panel = weights[first : first + PANEL].reshape(-1, OUTPUTS, inputs // FOUR, FOUR)
        panels.append(panel.transpose(2, 0, 1, 3).reshape(-1))
    return np.concatenate(panels)


@intrinsic
def _fetch(_typing: object, address: Value, lines: Value) -> Value:
    del address, lines

    def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
        lanes = Lanes(builder, arguments[0].type)
        with lanes.rounds(arguments[1]) as loop:
            lanes.fetch(lanes.sum(arguments[0], lanes.times(loop.index, LINE)))
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp), emit


# For kernels: has so many cache lines from an address on near by the time that they are read; none is wrong.
fetch: Callable[..., None] = _fetch


class Tile(NamedTuple):
    """LLVM's values of what a tile takes."""

    x: Value
    starts: Value
    runs: Value
    run: Value
    inputs: Value
    weights: Value
    bias: Value
    scales: Value
    zero: Value
    out: Value
    place: Value
    apart: Value
    other: Value
    ratios: Value


def tile(rows: int, registers: int) -> Callable[..., None]:
    """Rows times a panel, for kernels: of each row 16 * registers answers in eight bits.

    answer = round((bias[j] + sum over s, k of x[r, s, k] * weights[j, s, k]) * scales[j]) + zero; a row has
    several runs of inputs. Where another picture is added, it is then round(answer * ratios[0] +
    (other * ratios[1] + ratios[2])). Either is held within 0..255.

    The function takes addresses, and bytes between them: of x, uint8; of where each row begins behind it,
    int64 [shape=(rows,)]; the runs of a row, the bytes from one to the next, and the inputs of one, in fours;
    of the panel, int8; of bias, int32, and scales, float32; the zero; of what is written, uint8, the bytes
    from row to row and from register to register; of the other picture, which has the same, or nought where
    none is added; and of ratios.
    """

    @intrinsic
    def answers(
        _typing: object,
        x: Value,
        starts: Value,
        runs: Value,
        run: Value,
        inputs: Value,
        weights: Value,
        bias: Value,
        scales: Value,
        zero: Value,
        out: Value,
        place: Value,
        apart: Value,
        other: Value,
        ratios: Value,
    ) -> Value:
        del x, starts, runs, run, inputs, weights, bias, scales, zero, out, place, apart, other, ratios

        def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
            lanes = Lanes(builder, arguments[0].type, OUTPUTS)
            _emit(lanes, Tile(*arguments), rows, registers)
            return context.get_dummy_value()

        a, n = types.uintp, types.intp
        return types.void(a, a, n, n, n, a, a, a, n, a, n, n, a, a), emit

    function: Callable[..., None] = answers
    return function


def _emit(lanes: Lanes, own: Tile, rows: int, registers: int) -> None:
    builder = lanes.builder
    behind = [lanes.count(number * REGISTER) for number in range(registers)]
    sums = [[lanes.place(lanes.sums) for _ in behind] for _ in range(rows)]
    for number, offset in enumerate(behind):
        bias = lanes.load(lanes.sum(own.bias, offset), lanes.sums, 4)
        for places in sums:
            builder.store(bias, places[number])
    # Read, not computed, so that each row's stays in a register of its own.
    starts = [lanes.load(lanes.sum(own.starts, lanes.count(8 * row)), lanes.word, 8) for row in range(rows)]
    rounds = builder.sdiv(own.inputs, lanes.count(FOUR))
    with lanes.rounds(own.runs) as outer:
        done = builder.mul(outer.index, rounds)
        table = lanes.sum(own.weights, lanes.times(done, registers * REGISTER))
        first = lanes.sum(own.x, builder.mul(outer.index, own.run))
        with lanes.rounds(rounds) as loop:
            here = lanes.sum(table, lanes.times(loop.index, registers * REGISTER))
            weights = [lanes.load(lanes.sum(here, offset), lanes.sums, 1) for offset in behind]
            at = lanes.sum(first, lanes.times(loop.index, FOUR))
            for start, places in zip(starts, sums, strict=True):
                four = lanes.everywhere(lanes.load(lanes.sum(at, start), I32, 1), lanes.sums)
                for place, weight in zip(places, weights, strict=True):
                    more = [builder.load(place), four, weight]
                    builder.store(lanes.call("llvm.x86.avx512.vpdpbusd.512", lanes.sums, more), place)
    is_added = builder.icmp_signed("!=", own.other, lanes.count(0))
    with builder.if_else(is_added) as (added, alone):
        with added:
            factors = (lanes.sum(own.ratios, lanes.count(4 * i)) for i in range(3))
            _emit_answers(lanes, own, sums, [lanes.splat(factor, lanes.numbers) for factor in factors])
        with alone:
            _emit_answers(lanes, own, sums, [])


def _emit_answers(lanes: Lanes, own: Tile, sums: list[list[Value]], ratios: list[Value]) -> None:
    builder, stored = lanes.builder, ir.VectorType(I8, OUTPUTS)
    nought = lanes.everywhere(builder.trunc(own.zero, I32), lanes.sums)
    for number in range(len(sums[0])):
        scale = lanes.load(lanes.sum(own.scales, lanes.count(number * REGISTER)), lanes.numbers, 4)
        for row, places in enumerate(sums):
            at = lanes.sum(lanes.times(own.place, row), lanes.times(own.apart, number))
            value = lanes.in_eight_bits(builder.load(places[number]), scale, nought)
            if ratios:
                value = lanes.with_other(value, lanes.load(lanes.sum(own.other, at), stored, 1), ratios)
            lanes.store(builder.trunc(value, stored), lanes.sum(own.out, at), 1)
