"""Which way goes fastest hangs on what the processor can do."""

import pytest

from rtspk.kernels import processor


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"avx2", "fma"}, True),
        ({"avx2"}, False),
        ({"avx", "sse2"}, False),
        ({"avx2", "fma", "avxvnni"}, False),
        ({"avx2", "fma", "avx512f", "avx512vnni", "avx512vl"}, False),
        ({"avx2", "fma", "avx512f", "avx512vnni", "avx512vl", "avx512bw"}, True),
        ({"avx2", "fma", "avx512f", "avx512vnni", "avx512vl", "avx512bw", "amx-int8"}, False),
        ({"avx2", "fma", "avx512f", "avx512vl", "avx512bw"}, False),
        ({"neon", "dotprod"}, False),
        (set(), False),
    ],
)
def test_own_kernels_are_preferred_with_wide_registers_or_where_nothing_sums_fours(
    monkeypatch, known, wanted
):
    monkeypatch.setattr(processor, "features", lambda: known)
    assert processor.prefers_own_kernels() is wanted


def test_what_numba_is_told_goes_before_what_the_processor_has(monkeypatch):
    monkeypatch.setattr("numba.config.CPU_FEATURES", "+avx2,-fma,+sse2")
    assert processor.features() == {"avx2", "sse2"}
    monkeypatch.setattr("numba.config.CPU_FEATURES", None)
    monkeypatch.setattr("numba.config.CPU_NAME", "generic")
    assert processor.features() == set()
