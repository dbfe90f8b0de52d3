"""Convolution block by block against the definition."""

import numpy as np
import pytest

from rtspk.train.convolution import SIZE, BlockConvolution


@pytest.mark.parametrize("length", [1, 400, SIZE - 299, SIZE - 298, 2 * SIZE + 17])
def test_blocks_add_up_to_the_whole_convolution(length):
    rng = np.random.default_rng(length)
    samples = rng.normal(size=length).astype(np.float32)
    response = rng.normal(size=300).astype(np.float32)
    got = BlockConvolution(response)(samples)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.convolve(samples, response), atol=1e-3)


def test_a_response_longer_than_a_block_is_heard_whole():
    response = np.zeros(SIZE + 100, np.float32)
    response[[0, -1]] = 1.0, 0.5
    got = BlockConvolution(response)(np.ones(3, np.float32))
    np.testing.assert_allclose(got[[0, 1, 2, -3, -2, -1]], [1, 1, 1, 0.5, 0.5, 0.5], atol=1e-5)
