"""Words for kernels in LLVM's own language: addresses, and registers of several numbers.

For those that name a processor's instructions, since compilers find them in no loop.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from rtspk.kernels.processor import features, has_wide_registers

__all__ = ["F32", "I8", "I16", "I32", "LANES", "WIDEST", "Lanes", "Value"]

LANES: int = 8  # numbers of 32 bits in one register of 256
WIDEST: int = 16 if has_wide_registers() else LANES  # numbers of 32 bits in the widest that is used
I8, I16, I32 = (ir.IntType(bits) for bits in (8, 16, 32))
F32 = ir.FloatType()
Value = Any  # of LLVM's: llvmlite has no types


class Lanes:
    """A builder of code for registers of `size` numbers of 32 bits; `word` is the type of its addresses.

    What such a register may hold: `sums` of 32 bits, `numbers` that are floats, `pairs` of 16 bits, `bytes`.
    """

    def __init__(self, builder: ir.IRBuilder, word: ir.Type, size: int = LANES) -> None:
        self.builder, self.word, self.size = builder, word, size
        self.sums, self.numbers = ir.VectorType(I32, size), ir.VectorType(F32, size)
        self.pairs, self.bytes = ir.VectorType(I16, 2 * size), ir.VectorType(I8, 4 * size)
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
        return self.builder.shuffle_vector(first, none, ir.Constant(self.sums, None))

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
            return self.call("llvm.x86.avx2.pmadd.wd", self.sums, [x, y])
        found = []
        for first in range(2):
            mask = ir.Constant(self.sums, list(range(first, 2 * self.size, 2)))
            wide = (self.builder.sext(self.builder.shuffle_vector(v, v, mask), self.sums) for v in (x, y))
            found.append(self.builder.mul(*wide))
        return self.builder.add(*found)

    def times_and(self, x: Value, y: Value, z: Value) -> Value:
        """The sum of a product and a third float, rounded once."""
        return self.call(f"llvm.fma.v{self.size}f32", self.numbers, [x, y, z])

    def rounded(self, value: Value) -> Value:
        """The nearest whole numbers, of two the even one."""
        if self.size > LANES:
            every = [ir.Constant(self.sums, None), I16(-1), I32(4)]  # all lanes, rounded as is the rule
            return self.call("llvm.x86.avx512.mask.cvtps2dq.512", self.sums, [value, *every])
        if "avx" in self._known:
            return self.call("llvm.x86.avx.cvt.ps2dq.256", self.sums, [value])
        nearest = self.call(f"llvm.nearbyint.v{self.size}f32", self.numbers, [value])
        return self.builder.fptosi(nearest, self.sums)

    def within(self, value: Value, least: int, most: int) -> Value:
        """Whole numbers, at least and at most."""
        for sign, limit in ((">", least), ("<", most)):
            bound = self.all(value.type, limit)
            value = self.builder.select(self.builder.icmp_signed(sign, value, bound), value, bound)
        return value

    def in_eight_bits(self, value: Value, scale: Value, nought: Value) -> Value:
        """Whole numbers times floats, rounded, and what nought is stored as added; within 0..255."""
        scaled = self.builder.fmul(self.builder.sitofp(value, self.numbers), scale)
        return self.within(self.builder.add(self.rounded(scaled), nought), 0, 255)

    def with_other(self, value: Value, other: Value, ratios: Sequence[Value]) -> Value:
        """The nearest in 0..255 to value * ratios[0] + (other * ratios[1] + ratios[2])."""
        wide = self.builder.sitofp(self.builder.zext(other, self.sums), self.numbers)
        more = self.times_and(wide, *ratios[1:])
        both = self.times_and(self.builder.sitofp(value, self.numbers), ratios[0], more)
        return self.within(self.rounded(both), 0, 255)

    def splat(self, address: Value, kind: ir.Type) -> Value:
        """A register in which the number at an address stands everywhere."""
        return self.everywhere(self.load(address, kind.element, 4), kind)

    def _at(self, address: Value, kind: ir.Type) -> Value:
        return self.builder.inttoptr(address, kind.as_pointer())
