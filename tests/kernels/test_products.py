"""Sums of products in eight bits are those of whole numbers, by whatever instructions."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rtspk.kernels.jit import kernel
from rtspk.kernels.products import packed, tile

ALONE, TOGETHER = tile(1, 8), tile(4, 4)
SIGNATURE = (
    "void(uint8[:, ::1], int8[::1], int32[::1], float32[::1], float32[::1], float32[:, ::1], int64,"
    " float32[:, ::1])"
)


def run_by(some_rows):
    @kernel(SIGNATURE)
    def run(x, weights, starts, scales, sizes, bias, bias_width, out):
        some_rows(
            np.uintp(x.ctypes.data),
            x.shape[1],
            x.shape[1],
            np.uintp(weights.ctypes.data),
            np.uintp(starts.ctypes.data),
            np.uintp(scales.ctypes.data),
            np.uintp(sizes.ctypes.data),
            np.uintp(bias.ctypes.data),
            bias_width,
            np.uintp(out.ctypes.data),
            out.shape[1],
        )

    return run


RUNS = [(run_by(ALONE), 1, 8), (run_by(TOGETHER), 4, 4)]


def plain(outputs):
    """Nothing beside the sums: starts, scales."""
    return np.zeros(outputs, np.int32), np.ones(outputs, np.float32)


@pytest.mark.parametrize(("run", "rows", "blocks"), RUNS)
@pytest.mark.parametrize("inputs", [4, 60, 256])
def test_sums_are_exact(run, rows, blocks, inputs):
    rng = np.random.default_rng(inputs)
    x = rng.integers(0, 256, (rows, inputs)).astype(np.uint8)
    weights = rng.integers(-127, 128, (8 * blocks, inputs)).astype(np.int8)
    out = np.zeros((rows, 8 * blocks), np.float32)
    run(x, packed(weights, blocks), *plain(8 * blocks), np.ones(rows, np.float32), 0 * out, 0, out)
    assert np.array_equal(out, x.astype(np.int64) @ weights.astype(np.int64).T)


@pytest.mark.parametrize(("run", "rows", "blocks"), RUNS)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_sums_do_not_overflow(run, rows, blocks, sign):
    x = np.full((rows, 256), 255, np.uint8)
    weights = np.full((8 * blocks, 256), 127 * sign, np.int8)
    out = np.zeros((rows, 8 * blocks), np.float32)
    run(x, packed(weights, blocks), *plain(8 * blocks), np.ones(rows, np.float32), 0 * out, 0, out)
    assert (out == 255 * 127 * 256 * sign).all()


@pytest.mark.parametrize(("run", "rows", "blocks"), RUNS)
@pytest.mark.parametrize("shared", [True, False])
def test_sums_have_a_start_a_scale_and_a_bias(run, rows, blocks, shared):
    rng = np.random.default_rng(rows)
    outputs = 8 * blocks
    x = rng.integers(0, 256, (rows, 8)).astype(np.uint8)
    weights = rng.integers(-127, 128, (outputs, 8)).astype(np.int8)
    starts = rng.integers(-1000, 1000, outputs).astype(np.int32)
    scales = rng.uniform(0.5, 2.0, outputs).astype(np.float32)
    sizes = rng.uniform(0.5, 2.0, rows).astype(np.float32)
    bias = rng.normal(0.0, 1000.0, (rows, outputs)).astype(np.float32)
    out = np.zeros((rows, outputs + 3), np.float32)
    run(x, packed(weights, blocks), starts, scales, sizes, bias, 0 if shared else outputs, out)
    sums = starts + x.astype(np.int64) @ weights.astype(np.int64).T
    wanted = sums * scales * sizes[:, None] + (bias[0] if shared else bias)
    assert np.allclose(out[:, :outputs], wanted, rtol=1e-5, atol=1e-2)
    assert (out[:, outputs:] == 0.0).all()


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
