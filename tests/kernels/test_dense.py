"""Dense layers in eight bits are products of matrices."""

import numpy as np
import pytest

from rtspk.kernels.dense import TOGETHER, dense, rounded
from rtspk.kernels.products import ZERO, packed


def test_rows_are_rounded_to_127_steps_of_their_largest_each():
    rng = np.random.default_rng(5)
    rows = (rng.normal(0.0, 1.0, (7, 61)) * 10.0 ** rng.integers(-6, 4, (7, 1))).astype(np.float32)
    rows[3] = 0.0
    x, sizes = np.full((9, 64), ZERO, np.uint8), np.ones(9, np.float32)
    rounded(rows, np.float32(1e-3), x, sizes)
    most = np.maximum(np.abs(rows).max(1), 1e-3)
    assert np.allclose(sizes[:7], most / 127.0, rtol=1e-6)
    exact = rows / most[:, None] * 127.0
    assert np.abs(x[:7, :61].astype(np.float64) - ZERO - exact).max() <= 0.5 + 1e-4
    assert (x[7:] == ZERO).all() and (x[:, 61:] == ZERO).all() and (sizes[7:] == 1.0).all()  # noqa: PT018
    assert x[:7].min() >= 1


@pytest.mark.parametrize(
    ("frames", "inputs", "outputs"), [(4, 4, 32), (12, 60, 64), (4, 8, 96), (8, 256, 1024)]
)
def test_a_dense_layer_is_a_product_of_matrices(frames, inputs, outputs):
    rng = np.random.default_rng(frames)
    x = rng.integers(1, 256, (frames, inputs)).astype(np.uint8)
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    steps, scales, bias = (rng.uniform(0.5, 2.0, n).astype(np.float32) for n in (frames, outputs, outputs))
    starts = -ZERO * weights.astype(np.int32).sum(1, dtype=np.int32)
    out = np.empty((frames, outputs), np.float32)
    dense(x, steps, packed(weights, TOGETHER), scales, starts, bias, out)
    exact = (x.astype(np.int64) - ZERO) @ weights.T.astype(np.int64)
    assert np.allclose(out, exact * scales * steps[:, None] + bias, rtol=1e-6, atol=1e-2)


def test_rows_with_what_is_no_number_do_not_touch_the_others():
    rows = np.ones((2, 8), np.float32)
    rows[1, 3] = np.nan
    x, sizes = np.full((2, 8), ZERO, np.uint8), np.ones(2, np.float32)
    rounded(rows, np.float32(1e-3), x, sizes)
    assert sizes[0] == np.float32(1.0 / 127.0)
    assert (x[0] == 255).all()
    assert np.isnan(sizes[1])
