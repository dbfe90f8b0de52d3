"""Convolutions in eight bits, and the norms between them, are what numpy makes of the same numbers."""

import numpy as np
import pytest

from rtspk.kernels.convolution import BLOCKS, NOUGHT, WIDE, convolve, moments, narrowed
from rtspk.kernels.products import packed


@pytest.mark.parametrize(("places", "channels"), [(1, 4), (7, 80), (5300, 64)])
def test_moments_are_those_of_numpy(places, channels):
    x = np.random.default_rng(places).gamma(2.0, 3.0, (places, channels)).astype(np.float32)
    mean, variance = np.empty((2, channels), np.float32)
    moments(x, mean, variance)
    exact = x.astype(np.float64)
    assert np.allclose(mean, exact.mean(0), rtol=1e-5)
    assert np.allclose(variance, exact.var(0), rtol=1e-4, atol=1e-9)


def test_narrowed_numbers_are_rectified_and_keep_to_their_range():
    x = np.array([[-1e9, -1.0, 0.0, 0.5, 1.0, 1e9]], np.float32).repeat(3, 0)
    out = np.empty(x.shape, np.uint8)
    narrowed(x, np.ones(6, np.float32), np.zeros(6, np.float32), out)
    assert out.tolist() == [[0, 0, 3, 129, 255, 255]] * 3
    few = np.empty((3, 3), np.uint8)
    for scale, offset, wanted in ((0.5, 0.25, [66, 129, 192]), (2.0, -0.5, [2, 129, 255])):
        narrowed(x[:, 2:5].copy(), *(np.full(3, one, np.float32) for one in (scale, offset)), few)
        assert few.tolist() == [wanted] * 3


@pytest.mark.parametrize(
    ("places", "channels", "taps", "outputs"), [(1, 4, 1, 32), (9, 80, 5, 64), (4, 12, 3, 96)]
)
def test_a_convolution_is_that_of_numpy_and_keeps_the_largest_of_three(places, channels, taps, outputs):
    rng = np.random.default_rng(channels)
    x = rng.integers(0, 256, (3 * places + taps - 1, channels)).astype(np.uint8)
    weights = rng.integers(-127, 128, (outputs, taps * channels)).astype(np.int8)
    scales = rng.uniform(0.5, 2.0, outputs).astype(np.float32)
    starts = -NOUGHT * weights.astype(np.int32).sum(1, dtype=np.int32)
    out = np.full((places, outputs), np.nan, np.float32)
    nothing, room = np.zeros(WIDE, np.float32), np.empty(3 * WIDE + 3, np.float32)
    convolve(x, packed(weights, BLOCKS), starts, scales, nothing, room, out)
    heard = np.stack([x[t : t + taps].reshape(-1) for t in range(3 * places)]).astype(np.int64) - NOUGHT
    wanted = (heard @ weights.T.astype(np.int64) * scales).reshape(places, 3, outputs).max(1)
    assert np.allclose(out, wanted, rtol=1e-6, atol=1e-2)
