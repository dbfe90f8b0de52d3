"""Sums of products in eight bits are those of whole numbers, by whatever instructions."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rtspk.kernels.jit import kernel
from rtspk.kernels.products import packed, tile

ALONE, TOGETHER = tile(1, 8), tile(4, 4)


@kernel("void(uint8[:, ::1], int8[::1], int32[:, ::1])")
def one_row(x, weights, out):
    ALONE(np.uintp(x.ctypes.data), x.shape[1], np.uintp(weights.ctypes.data), np.uintp(out.ctypes.data), 64)


@kernel("void(uint8[:, ::1], int8[::1], int32[:, ::1])")
def four_rows(x, weights, out):
    TOGETHER(
        np.uintp(x.ctypes.data), x.shape[1], np.uintp(weights.ctypes.data), np.uintp(out.ctypes.data), 32
    )


@pytest.mark.parametrize(("run", "rows", "blocks"), [(one_row, 1, 8), (four_rows, 4, 4)])
@pytest.mark.parametrize("inputs", [4, 60, 256])
def test_sums_are_exact(run, rows, blocks, inputs):
    rng = np.random.default_rng(inputs)
    x = rng.integers(0, 256, (rows, inputs)).astype(np.uint8)
    weights = rng.integers(-127, 128, (8 * blocks, inputs)).astype(np.int8)
    out = np.zeros((rows, 8 * blocks), np.int32)
    run(x, packed(weights, blocks), out)
    assert np.array_equal(out, x.astype(np.int64) @ weights.astype(np.int64).T)


@pytest.mark.parametrize(("run", "rows", "blocks"), [(one_row, 1, 8), (four_rows, 4, 4)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_sums_do_not_overflow(run, rows, blocks, sign):
    x = np.full((rows, 256), 255, np.uint8)
    weights = np.full((8 * blocks, 256), 127 * sign, np.int8)
    out = np.zeros((rows, 8 * blocks), np.int32)
    run(x, packed(weights, blocks), out)
    assert (out == 255 * 127 * 256 * sign).all()


@pytest.mark.parametrize("features", ["+avx2", "+sse2"])
def test_sums_are_exact_by_the_instructions_of_other_processors(features, tmp_path):
    """In a process that compiles for one: AVX2 without sums of four products, and one that has neither."""
    if features == "+avx2" and not _has("avx2"):
        pytest.skip("this processor has no AVX2")
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    tests = [
        f"{__file__}::{test.__name__}"
        for test in (test_sums_are_exact, test_the_largest_sums_do_not_overflow)
    ]
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def _has(feature):
    from llvmlite import binding

    return binding.get_host_cpu_features().get(feature, False)
