"""What the processor can do that kernels are compiled for."""

from llvmlite import binding
from numba import config

__all__ = ["features", "has_wide_registers", "prefers_own_kernels", "sums_fours"]


def features() -> set[str]:
    """Its features by LLVM's names, as far as they are known."""
    told, name = (getattr(config, setting) for setting in ("CPU_FEATURES", "CPU_NAME"))
    if told is not None:
        return {one[1:] for one in told.split(",") if one.startswith("+")}
    if name is not None:
        return set()
    return {name for name, has in binding.get_host_cpu_features().items() if has}


def sums_fours(known: set[str]) -> bool:
    """Whether one instruction adds four products of 8-bit numbers to a sum (VNNI)."""
    return {"avx512vnni", "avx512vl"} <= known or "avxvnni" in known


def has_wide_registers() -> bool:
    """Whether one instruction adds four products in each lane of 512 bits (AVX-512 with VNNI)."""
    return {"avx512bw", "avx512vl", "avx512vnni"} <= features()


def prefers_own_kernels() -> bool:
    """Whether our kernels for pictures are faster than ONNX Runtime's.

    They are with wide registers, and where sums of products go fastest by two in 16 bits at a time (AVX2).
    They have not the instructions for four of narrow registers, nor those for whole tiles (AMX): it has.
    """
    known = features()
    by_two = {"avx2", "fma"} <= known and "avx512f" not in known and not sums_fours(known)
    return by_two or (has_wide_registers() and "amx-int8" not in known)
