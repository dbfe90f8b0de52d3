"""Sums of products of 8-bit numbers, by the instructions that processors have for them.

Compilers find these instructions in no loop, so they are called by name. Sums are of whole numbers, and the
same on every processor.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtspk.kernels.lanes import I32, LANES, WIDEST, Lanes, Value
from rtspk.kernels.processor import features, sums_fours

__all__ = ["LANES", "LARGEST", "QUAD", "ZERO", "packed", "tile"]

QUAD: int = 4  # products that one instruction adds up in each lane
LARGEST: int = 127  # of a weight, either way
ZERO: int = 128  # what an input of nought is stored as: inputs have no sign


def packed(weights: NDArray[np.int8], blocks: int) -> NDArray[np.int8]:
    """Weights in the order in which `tile` reads them.

    Args:
        weights: int8 [shape=(outputs, inputs)], whole multiples of 8 * blocks and of 4
        blocks: of eight outputs each, of the tile

    Returns:
        int8 [shape=(outputs * inputs,)]
    """
    outputs, inputs = weights.shape
    tiles = weights.reshape(outputs // (blocks * LANES), blocks, LANES, inputs // QUAD, QUAD)
    return np.ascontiguousarray(tiles.transpose(0, 3, 1, 2, 4)).reshape(-1)


def tile(rows: int, blocks: int, panels: int = 1) -> Callable[..., None]:
    """Rows times a packed matrix, for kernels: of each row the numbers of panels * 8 * blocks outputs.

    Weights are packed for `blocks`, whatever the panels: the next one's lie behind all of the first one's.

    out[r, j] = (starts[j] + sum over k of x[r, k] * weights[j, k]) * scales[j] * sizes[r] + bias[r, j].

    The function takes addresses, and numbers between rows: of x, uint8, its step from row to row and its
    inputs in one; of the packed weights, int8; of starts, int32; of scales and sizes, float32; of the bias,
    float32, and its step, nought where all rows have one; of out, float32, and its step.
    """

    @intrinsic
    def sums(
        _typing: object,
        x: Value,
        step: Value,
        inputs: Value,
        weights: Value,
        starts: Value,
        scales: Value,
        sizes: Value,
        bias: Value,
        bias_width: Value,
        out: Value,
        width: Value,
    ) -> Value:
        del x, step, inputs, weights, starts, scales, sizes, bias, bias_width, out, width

        def emit(context: Value, builder: ir.IRBuilder, _signature: object, arguments: Value) -> Value:
            size = WIDEST if not blocks * LANES % WIDEST else LANES
            lanes = Lanes(builder, arguments[1].type, size)
            _emit(lanes, Tile(*arguments), rows, blocks * LANES // size, panels)
            return context.get_dummy_value()

        address, count = types.uintp, types.intp
        taken = address, count, count, *[address] * 5, count, address, count
        return types.void(*taken), emit

    function: Callable[..., None] = sums
    return function


class Tile(NamedTuple):
    """LLVM's values of what a tile takes."""

    x: Value
    step: Value
    inputs: Value
    weights: Value
    starts: Value
    scales: Value
    sizes: Value
    bias: Value
    bias_width: Value
    out: Value
    width: Value


def _emit(lanes: Lanes, own: Tile, rows: int, blocks: int, panels: int) -> None:
    """`blocks` is of registers."""
    builder = lanes.builder
    register = lanes.size * QUAD
    block_bytes = [lanes.count(register * block) for block in range(panels * blocks)]
    begins = [lanes.sum(own.weights, lanes.times(own.inputs, blocks * lanes.size * n)) for n in range(panels)]
    sums = [[lanes.place(lanes.sums) for _ in block_bytes] for _ in range(rows)]
    for places in sums:
        for place, offset in zip(places, block_bytes, strict=True):
            builder.store(lanes.load(lanes.sum(own.starts, offset), lanes.sums, 4), place)
    with lanes.rounds(builder.sdiv(own.inputs, lanes.count(QUAD))) as loop:
        first = lanes.times(loop.index, blocks * register)
        tables = [
            lanes.load(lanes.sum(begin, first, lanes.count(block * register)), lanes.bytes, 1)
            for begin in begins
            for block in range(blocks)
        ]
        for number, places in enumerate(sums):
            at = lanes.sum(own.x, lanes.times(own.step, number), lanes.times(loop.index, QUAD))
            four = builder.bitcast(lanes.everywhere(lanes.load(at, I32, 1), lanes.sums), lanes.bytes)
            for table, place in zip(tables, places, strict=True):
                builder.store(_add(lanes, builder.load(place), four, table), place)
    for number, places in enumerate(sums):
        size = lanes.splat(lanes.sum(own.sizes, lanes.count(4 * number)), lanes.numbers)
        biases, outs = (lanes.times(width, 4 * number) for width in (own.bias_width, own.width))
        for place, offset in zip(places, block_bytes, strict=True):
            scale = builder.fmul(lanes.load(lanes.sum(own.scales, offset), lanes.numbers, 4), size)
            bias = lanes.load(lanes.sum(own.bias, biases, offset), lanes.numbers, 4)
            number_of = builder.sitofp(builder.load(place), lanes.numbers)
            value = builder.fadd(builder.fmul(number_of, scale, flags=["contract"]), bias, flags=["contract"])
            lanes.store(value, lanes.sum(own.out, outs, offset), 4)


def _add(lanes: Lanes, sums: Value, x: Value, weights: Value) -> Value:
    """Sums, and four products more in each: `x` without sign, `weights` with one."""
    builder, known = lanes.builder, features()
    if sums_fours(known):
        words = (builder.bitcast(value, lanes.sums) for value in (x, weights))
        return lanes.call(f"llvm.x86.avx512.vpdpbusd.{32 * lanes.size}", lanes.sums, [sums, *words])
    # Of each four the first and third, then the others: in 16 bits a product has room, a sum of two has not.
    byte, half = lanes.all(lanes.pairs, 8), lanes.all(lanes.sums, 16)
    words, tables = (builder.bitcast(value, lanes.pairs) for value in (x, weights))
    first = builder.lshr(builder.shl(words, byte), byte), builder.ashr(builder.shl(tables, byte), byte)
    second = builder.lshr(words, byte), builder.ashr(tables, byte)
    for pair in (first, second):
        if "avx2" in known:
            sums = builder.add(sums, lanes.products(*pair))
            continue
        products = builder.bitcast(builder.mul(*pair), lanes.sums)
        low = builder.ashr(builder.shl(products, half), half)
        sums = builder.add(builder.add(sums, low), builder.ashr(products, half))
    return sums
