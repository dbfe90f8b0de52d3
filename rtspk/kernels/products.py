"""Sums of products of 8-bit numbers, by the instructions that processors have for them.

Compilers find these instructions in no loop, so they are called by name. Sums are of whole numbers, and the
same on every processor.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtspk.kernels.processor import features, sums_fours

__all__ = ["LANES", "LARGEST", "QUAD", "ZERO", "packed", "tile"]

QUAD: int = 4  # products that one instruction adds up in each lane
LANES: int = 8  # sums of 32 bits in one register of 256
LARGEST: int = 127  # of a weight, either way
ZERO: int = 128  # what an input of nought is stored as: inputs have no sign

I8, I16, I32 = (ir.IntType(bits) for bits in (8, 16, 32))
F32 = ir.FloatType()
BYTES = ir.VectorType(I8, QUAD * LANES)
PAIRS = ir.VectorType(I16, 2 * LANES)
SUMS = ir.VectorType(I32, LANES)
NUMBERS = ir.VectorType(F32, LANES)


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


def tile(rows: int, blocks: int) -> Callable[..., None]:
    """Rows times a packed matrix, for kernels: of each row the numbers of 8 * blocks outputs.

    out[r, j] = (starts[j] + sum over k of x[r, k] * weights[j, k]) * scales[j] * sizes[r] + bias[r, j].

    The function takes addresses, and numbers between rows: of x, uint8, its step from row to row and its
    inputs in one; of the packed weights, int8; of starts, int32; of scales and sizes, float32; of the bias,
    float32, and its step, nought where all rows have one; of out, float32, and its step.
    """

    @intrinsic
    def sums(
        _typing: object,
        x: Any,  # noqa: ANN401 - numba's own types
        step: Any,  # noqa: ANN401 - likewise
        inputs: Any,  # noqa: ANN401 - likewise
        weights: Any,  # noqa: ANN401 - likewise
        starts: Any,  # noqa: ANN401 - likewise
        scales: Any,  # noqa: ANN401 - likewise
        sizes: Any,  # noqa: ANN401 - likewise
        bias: Any,  # noqa: ANN401 - likewise
        bias_width: Any,  # noqa: ANN401 - likewise
        out: Any,  # noqa: ANN401 - likewise
        width: Any,  # noqa: ANN401 - likewise
    ) -> Any:  # noqa: ANN401 - likewise
        del x, step, inputs, weights, starts, scales, sizes, bias, bias_width, out, width

        def emit(context: Any, builder: ir.IRBuilder, _signature: object, arguments: Any) -> Any:  # noqa: ANN401 - likewise
            _emit(builder, Tile(*arguments), rows, blocks)
            return context.get_dummy_value()

        address, count = types.uintp, types.intp
        taken = address, count, count, *[address] * 5, count, address, count
        return types.void(*taken), emit

    function: Callable[..., None] = sums
    return function


class Tile(NamedTuple):
    """LLVM's values of what a tile takes."""

    x: Any
    step: Any
    inputs: Any
    weights: Any
    starts: Any
    scales: Any
    sizes: Any
    bias: Any
    bias_width: Any
    out: Any
    width: Any


def _emit(builder: ir.IRBuilder, own: Tile, rows: int, blocks: int) -> None:
    def count_of(number: int) -> Any:  # noqa: ANN401 - LLVM's values
        return ir.Constant(own.inputs.type, number)

    def load(base: Any, offset: Any, kind: Any, align: int = 4) -> Any:  # noqa: ANN401 - likewise
        return builder.load(at(base, offset, kind), align=align)

    def at(base: Any, offset: Any, kind: Any) -> Any:  # noqa: ANN401 - likewise
        return builder.inttoptr(builder.add(base, offset), kind.as_pointer())

    def everywhere(value: Any, kind: Any) -> Any:  # noqa: ANN401 - likewise
        none = ir.Constant(kind, ir.Undefined)
        return builder.shuffle_vector(
            builder.insert_element(none, value, I32(0)), none, ir.Constant(SUMS, None)
        )

    block_bytes = [count_of(4 * block * LANES) for block in range(blocks)]
    sums = [[cgutils.alloca_once(builder, SUMS) for _ in range(blocks)] for _ in range(rows)]  # type: ignore[no-untyped-call]  # numba has no types
    for places in sums:  # LLVM makes registers of them
        for place, offset in zip(places, block_bytes, strict=True):
            builder.store(load(own.starts, offset, SUMS), place)
    with cgutils.for_range(builder, builder.sdiv(own.inputs, count_of(QUAD))) as loop:
        first = builder.mul(loop.index, count_of(blocks * QUAD * LANES))
        tables = [
            load(own.weights, builder.add(first, count_of(block * QUAD * LANES)), BYTES, 1)
            for block in range(blocks)
        ]
        for number, places in enumerate(sums):
            offset = builder.add(
                builder.mul(own.step, count_of(number)), builder.mul(loop.index, count_of(QUAD))
            )
            four = builder.bitcast(everywhere(load(own.x, offset, I32, 1), SUMS), BYTES)
            for table, place in zip(tables, places, strict=True):
                builder.store(_add(builder, builder.load(place), four, table), place)
    for number, places in enumerate(sums):
        size = everywhere(load(own.sizes, count_of(4 * number), F32), NUMBERS)
        biases, outs = (builder.mul(width, count_of(4 * number)) for width in (own.bias_width, own.width))
        for place, offset in zip(places, block_bytes, strict=True):
            scale = builder.fmul(load(own.scales, offset, NUMBERS), size)
            bias = load(own.bias, builder.add(biases, offset), NUMBERS)
            number_of = builder.sitofp(builder.load(place), NUMBERS)
            value = builder.fadd(builder.fmul(number_of, scale, flags=["contract"]), bias, flags=["contract"])
            builder.store(value, at(own.out, builder.add(outs, offset), NUMBERS), align=4)


def _add(builder: ir.IRBuilder, sums: Any, x: Any, weights: Any) -> Any:  # noqa: ANN401 - LLVM's values
    """Sums, and four products more in each: `x` without sign, `weights` with one."""

    def call(name: str, result: Any, *values: Any) -> Any:  # noqa: ANN401 - likewise
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]  # likewise
        return builder.call(function, values)

    known = features()
    if sums_fours(known):
        words = (builder.bitcast(value, SUMS) for value in (x, weights))
        return call("llvm.x86.avx512.vpdpbusd.256", SUMS, sums, *words)
    # Of each four the first and third, then the others: in 16 bits a product has room, a sum of two has not.
    byte, half = ir.Constant(PAIRS, [8] * (2 * LANES)), ir.Constant(SUMS, [16] * LANES)
    words, tables = (builder.bitcast(value, PAIRS) for value in (x, weights))
    first = builder.lshr(builder.shl(words, byte), byte), builder.ashr(builder.shl(tables, byte), byte)
    second = builder.lshr(words, byte), builder.ashr(tables, byte)
    for pair in (first, second):
        if "avx2" in known:
            sums = builder.add(sums, call("llvm.x86.avx2.pmadd.wd", SUMS, *pair))
            continue
        products = builder.bitcast(builder.mul(*pair), SUMS)
        low = builder.ashr(builder.shl(products, half), half)
        sums = builder.add(builder.add(sums, low), builder.ashr(products, half))
    return sums
