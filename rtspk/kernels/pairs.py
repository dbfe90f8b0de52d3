"""Sums of products of 16-bit numbers, two products at a time (pmaddwd)."""

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtspk.kernels.lanes import I32, LANES, Lanes, Value

__all__ = ["PAIR", "STEP", "packed", "tile"]

PAIR: int = 2  # products that one instruction adds up in each lane
STEP: int = 2 * PAIR  # inputs of a round
LINE: int = 64  # bytes of a cache line
REGISTER: int = 4 * LANES  # bytes


def packed(weights: NDArray[np.int16], blocks: int) -> NDArray[np.int16]:
    """Weights in the order in which `tile` reads them.

    Args:
        weights: int16 [shape=(outputs, inputs)], whole multiples of 8 * blocks and of 4
        blocks: of eight outputs each, of the tile

    Returns:
        int16 [shape=(outputs * inputs,)]
    """
    outputs, inputs = weights.shape
    tiles = weights.reshape(outputs // (blocks * LANES), blocks, LANES, inputs // PAIR, PAIR)
    return np.ascontiguousarray(tiles.transpose(0, 3, 1, 2, 4)).reshape(-1)


def tile(rows: int, blocks: int) -> Callable[..., None]:
    """Rows times a packed matrix, for kernels: of each row the sums of 8 * blocks outputs, modulo 2 ** 32.

    out[r, j] = sum over s, k of x[r, s, k] * weights[j, s, k]: a row has several runs of inputs.

    The function takes addresses, and numbers between them: of x, int16, its bytes from row to row, its runs,
    their bytes from one to the next, and the inputs of one, in fours; of the packed weights, int16; of out,
    int32, and its width in bytes; and of what is multiplied later, of which a line is fetched each round.
    """

    @intrinsic
    def sums(
        _typing: object,
        x: Value,
        step: Value,
        runs: Value,
        run: Value,
        inputs: Value,
        weights: Value,
        out: Value,
        width: Value,
        later: Value,
    ) -> Value:
        del x, step, runs, run, inputs, weights, out, width, later

        def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
            _emit(Lanes(builder, arguments[1].type), arguments, rows, blocks)
            return context.get_dummy_value()

        address, count = types.uintp, types.intp
        return types.void(address, *[count] * 4, address, address, count, address), emit

    function: Callable[..., None] = sums
    return function


def _emit(lanes: Lanes, arguments: Value, rows: int, blocks: int) -> None:
    x, step, runs, run, inputs, weights, out, width, later = arguments
    builder = lanes.builder
    sums = [[lanes.place(lanes.sums) for _ in range(blocks)] for _ in range(rows)]
    for places in sums:
        for place in places:
            builder.store(ir.Constant(lanes.sums, None), place)
    rounds = builder.sdiv(inputs, lanes.count(STEP))
    bytes_of_round = STEP // PAIR * blocks * REGISTER
    with lanes.rounds(runs) as outer:
        done = builder.mul(outer.index, rounds)
        table = lanes.sum(weights, lanes.times(done, bytes_of_round))
        ahead = lanes.sum(later, lanes.times(done, LINE))
        first = lanes.sum(x, builder.mul(outer.index, run))
        starts = [lanes.sum(first, lanes.times(step, row)) for row in range(rows)]
        with lanes.rounds(rounds) as loop:
            lanes.fetch(lanes.sum(ahead, lanes.times(loop.index, LINE)))
            for pair in range(STEP // PAIR):
                offset = lanes.times(loop.index, bytes_of_round), lanes.count(pair * blocks * REGISTER)
                own = [
                    lanes.load(lanes.sum(table, *offset, lanes.count(block * REGISTER)), lanes.pairs)
                    for block in range(blocks)
                ]
                for start, places in zip(starts, sums, strict=True):
                    at = lanes.sum(start, lanes.times(loop.index, 2 * STEP), lanes.count(2 * PAIR * pair))
                    two = builder.bitcast(lanes.everywhere(lanes.load(at, I32), lanes.sums), lanes.pairs)
                    for place, weight in zip(places, own, strict=True):
                        builder.store(builder.add(builder.load(place), lanes.products(two, weight)), place)
    for row, places in enumerate(sums):
        for block, place in enumerate(places):
            at = lanes.sum(out, lanes.times(width, row), lanes.count(block * REGISTER))
            lanes.store(builder.load(place), at, 4)
