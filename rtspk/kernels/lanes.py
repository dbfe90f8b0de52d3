"""Words for kernels in LLVM's own language: addresses, and registers of several numbers.

For those that name a processor's instructions, since compilers find them in no loop.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from rtspk.kernels.processor import features

__all__ = ["BYTES", "HALF", "I16", "I32", "LANES", "NUMBERS", "PAIRS", "SUMS", "Lanes", "Value"]

LANES: int = 8  # numbers of 32 bits in one register of 256
I8, I16, I32 = (ir.IntType(bits) for bits in (8, 16, 32))
SUMS = ir.VectorType(I32, LANES)
BYTES = ir.VectorType(I8, 4 * LANES)
PAIRS = ir.VectorType(I16, 2 * LANES)
HALF = ir.VectorType(I16, LANES)
NUMBERS = ir.VectorType(ir.FloatType(), LANES)
Value = Any  # of LLVM's: llvmlite has no types


class Lanes:
    """A builder of code; `word` is the type of its addresses and counts."""

    def __init__(self, builder: ir.IRBuilder, word: ir.Type) -> None:
        self.builder = builder
        self.word = word
        self._known = features()

    def count(self, number: int) -> Value:
        """A number that is known."""
        return ir.Constant(self.word, number)

    def all(self, kind: ir.Type, number: int) -> Value:
        """A register in which a known number stands everywhere."""
        return ir.Constant(kind, [number] * kind.count)

    def sum(self, *terms: Value) -> Value:
        """Of addresses and counts."""
        total = terms[0]
        for term in terms[1:]:
            total = self.builder.add(total, term)
        return total

    def times(self, value: Value, number: int) -> Value:
        """A count, so many times."""
        return self.builder.mul(value, self.count(number))

    def shifted(self, value: Value, bits: int) -> Value:
        """Whole numbers times a power of two."""
        return self.builder.shl(value, self.all(value.type, bits))

    def load(self, address: Value, kind: ir.Type, align: int = 2) -> Value:
        """What lies at an address."""
        return self.builder.load(self._at(address, kind), align=align)

    def store(self, value: Value, address: Value, align: int = 2) -> None:
        """Write to an address."""
        self.builder.store(value, self._at(address, value.type), align=align)

    def place(self, kind: ir.Type) -> Value:
        """Where a value is kept between the rounds of a loop: LLVM makes a register of it."""
        return cgutils.alloca_once(self.builder, kind)  # type: ignore[no-untyped-call]  # numba has no types

    def rounds(self, count: Value) -> AbstractContextManager[Any]:
        """A loop."""
        loop: AbstractContextManager[Any] = cgutils.for_range(self.builder, count)
        return loop

    def everywhere(self, value: Value, kind: ir.Type) -> Value:
        """A register in which one number stands everywhere."""
        none = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(none, value, I32(0))
        return self.builder.shuffle_vector(first, none, ir.Constant(SUMS, None))

    def call(self, name: str, result: ir.Type, values: Sequence[Value]) -> Value:
        """One of LLVM's own functions."""
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)  # type: ignore[no-untyped-call]  # likewise
        return self.builder.call(function, values)

    def fetch(self, address: Value) -> None:
        """Have the cache line there by the time that it is read; no address is a wrong one."""
        near = [self._at(address, I8), I32(0), I32(3), I32(1)]
        self.call("llvm.prefetch.p0i8", ir.VoidType(), near)

    def products(self, x: Value, y: Value) -> Value:
        """Sums of two products each of 16-bit numbers."""
        if "avx2" in self._known:
            return self.call("llvm.x86.avx2.pmadd.wd", SUMS, [x, y])
        found = []
        for first in range(2):
            mask = ir.Constant(SUMS, list(range(first, 2 * LANES, 2)))
            wide = (self.builder.sext(self.builder.shuffle_vector(v, v, mask), SUMS) for v in (x, y))
            found.append(self.builder.mul(*wide))
        return self.builder.add(*found)

    def rounded(self, value: Value) -> Value:
        """The nearest whole numbers, of two the even one."""
        if "avx" in self._known:
            return self.call("llvm.x86.avx.cvt.ps2dq.256", SUMS, [value])
        return self.builder.fptosi(self.call("llvm.nearbyint.v8f32", NUMBERS, [value]), SUMS)

    def within(self, value: Value, least: int, most: int) -> Value:
        """Whole numbers, at least and at most."""
        for sign, limit in ((">", least), ("<", most)):
            bound = self.all(value.type, limit)
            value = self.builder.select(self.builder.icmp_signed(sign, value, bound), value, bound)
        return value

    def _at(self, address: Value, kind: ir.Type) -> Value:
        return self.builder.inttoptr(address, kind.as_pointer())
