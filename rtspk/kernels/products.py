"""Sums of products of 8-bit numbers, by the instructions that processors have for them.

Compilers find these instructions in no loop, so they are called by name. Sums are of whole numbers, and the
same on every processor.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["LANES", "LARGEST", "QUAD", "ZERO", "packed", "tile"]

QUAD: int = 4  # products that one instruction adds up in each lane
LANES: int = 8  # sums of 32 bits in one register of 256
LARGEST: int = 127  # of a weight, either way
ZERO: int = 128  # what an input of nought is stored as: inputs have no sign

I8, I16, I32 = (ir.IntType(bits) for bits in (8, 16, 32))
BYTES = ir.VectorType(I8, QUAD * LANES)
PAIRS = ir.VectorType(I16, 2 * LANES)
SUMS = ir.VectorType(I32, LANES)


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
    """For kernels: out[r, j] = the sum over k of x[r, k] * weights[j, k], for j below 8 * blocks.

    The function takes addresses: of x, uint8; the inputs in a row; of the packed weights, int8; of out,
    int32; the numbers in a row of out.
    """

    @intrinsic
    def sums(_typing: object, x: Any, inputs: Any, weights: Any, out: Any, width: Any) -> Any:  # noqa: ANN401 - numba's own types
        del inputs, x, weights, out, width

        def emit(context: Any, builder: ir.IRBuilder, _signature: object, arguments: Any) -> Any:  # noqa: ANN401 - likewise
            _emit(builder, arguments, rows, blocks)
            return context.get_dummy_value()

        return types.void(types.uintp, types.intp, types.uintp, types.uintp, types.intp), emit

    function: Callable[..., None] = sums
    return function


def _emit(builder: ir.IRBuilder, arguments: Any, rows: int, blocks: int) -> None:  # noqa: ANN401 - LLVM's values
    x, inputs, weights, out, width = arguments

    def at(base: Any, offset: Any, kind: Any) -> Any:  # noqa: ANN401 - likewise
        return builder.inttoptr(builder.add(base, offset), kind.as_pointer())

    def bytes_of(count: int) -> Any:  # noqa: ANN401 - likewise
        return ir.Constant(inputs.type, count)

    sums = [[_variable(builder) for _ in range(blocks)] for _ in range(rows)]
    with cgutils.for_range(builder, builder.sdiv(inputs, bytes_of(QUAD))) as loop:
        first = builder.mul(loop.index, bytes_of(blocks * QUAD * LANES))
        tables = [
            builder.load(at(weights, builder.add(first, bytes_of(block * QUAD * LANES)), BYTES), align=1)
            for block in range(blocks)
        ]
        for number, row in enumerate(sums):
            offset = builder.add(
                builder.mul(inputs, bytes_of(number)), builder.mul(loop.index, bytes_of(QUAD))
            )
            four = builder.load(at(x, offset, I32), align=1)
            lanes = builder.insert_element(ir.Constant(SUMS, ir.Undefined), four, I32(0))
            everywhere = ir.Constant(SUMS, None)
            lanes = builder.shuffle_vector(lanes, ir.Constant(SUMS, ir.Undefined), everywhere)
            for table, place in zip(tables, row, strict=True):
                builder.store(_add(builder, builder.load(place), builder.bitcast(lanes, BYTES), table), place)
    for number, row in enumerate(sums):
        offset = builder.mul(builder.mul(width, bytes_of(number)), bytes_of(4))
        for block, place in enumerate(row):
            target = at(out, builder.add(offset, bytes_of(4 * block * LANES)), SUMS)
            builder.store(builder.load(place), target, align=4)


def _variable(builder: ir.IRBuilder) -> Any:  # noqa: ANN401 - LLVM's values
    """Sums of nought; LLVM makes a register of it."""
    place = cgutils.alloca_once(builder, SUMS)  # type: ignore[no-untyped-call]  # numba has no types
    builder.store(ir.Constant(SUMS, None), place)
    return place


def _add(builder: ir.IRBuilder, sums: Any, x: Any, weights: Any) -> Any:  # noqa: ANN401 - LLVM's values
    """Sums, and four products more in each: `x` without sign, `weights` with one."""

    def call(name: str, result: Any, *values: Any) -> Any:  # noqa: ANN401 - likewise
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]  # likewise
        return builder.call(function, values)

    features = _features()
    if {"avx512vnni", "avx512vl"} <= features or "avxvnni" in features:
        words = (builder.bitcast(value, SUMS) for value in (x, weights))
        return call("llvm.x86.avx512.vpdpbusd.256", SUMS, sums, *words)
    # Of each four the first and third, then the others: in 16 bits a product has room, a sum of two has not.
    byte, half = ir.Constant(PAIRS, [8] * (2 * LANES)), ir.Constant(SUMS, [16] * LANES)
    words, tables = (builder.bitcast(value, PAIRS) for value in (x, weights))
    first = builder.lshr(builder.shl(words, byte), byte), builder.ashr(builder.shl(tables, byte), byte)
    second = builder.lshr(words, byte), builder.ashr(tables, byte)
    for pair in (first, second):
        if "avx2" in features:
            sums = builder.add(sums, call("llvm.x86.avx2.pmadd.wd", SUMS, *pair))
            continue
        products = builder.bitcast(builder.mul(*pair), SUMS)
        low = builder.ashr(builder.shl(products, half), half)
        sums = builder.add(builder.add(sums, low), builder.ashr(products, half))
    return sums


def _features() -> set[str]:
    """What the processor that numba compiles for can do, as far as it is known."""
    told, name = (getattr(config, setting) for setting in ("CPU_FEATURES", "CPU_NAME"))
    if told is not None:
        return {one[1:] for one in told.split(",") if one.startswith("+")}
    if name is not None:
        return set()
    return {name for name, has in binding.get_host_cpu_features().items() if has}
