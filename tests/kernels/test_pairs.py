"""Sums of products in 16 bits are those of whole numbers, by whatever instructions."""

import numpy as np
import pytest

from rtspk.kernels.jit import kernel
from rtspk.kernels.pairs import packed, tile

ROWS, BLOCKS = 3, 2
_some = tile(ROWS, BLOCKS)


@kernel("void(int16[:, :, ::1], int64, int16[::1], int32[:, ::1])")
def run(x, inputs, weights, out):
    _some(
        np.uintp(x.ctypes.data),
        2 * x.shape[1] * x.shape[2],
        x.shape[1],
        2 * x.shape[2],
        inputs,
        np.uintp(weights.ctypes.data),
        np.uintp(out.ctypes.data),
        4 * out.shape[1],
        np.uintp(0),
    )


@pytest.mark.parametrize(("runs", "inputs"), [(1, 4), (1, 128), (3, 12), (3, 64)])
def test_sums_are_exact_over_all_runs(runs, inputs):
    rng = np.random.default_rng(inputs)
    x = rng.integers(-17340, 17341, (ROWS, runs, inputs + 2)).astype(np.int16)
    weights = rng.integers(-3136, 3137, (8 * BLOCKS, runs, inputs)).astype(np.int16)
    out = np.full((ROWS, 8 * BLOCKS + 3), 7, np.int32)
    run(x, inputs, packed(weights.reshape(8 * BLOCKS, -1), BLOCKS), out)
    wanted = np.einsum("rsk,jsk->rj", x[:, :, :inputs].astype(np.int64), weights.astype(np.int64))
    assert np.array_equal(out[:, : 8 * BLOCKS], (wanted + 2**31) % 2**32 - 2**31)
    assert (out[:, 8 * BLOCKS :] == 7).all()


def test_what_is_larger_than_32_bits_is_right_modulo_their_range():
    x = np.full((ROWS, 1, 256), 32767, np.int16)
    weights = np.full((8 * BLOCKS, 256), 32767, np.int16)
    out = np.zeros((ROWS, 8 * BLOCKS), np.int32)
    run(x, 256, packed(weights, BLOCKS), out)
    assert (out.astype(np.int64) % 2**32 == 256 * 32767**2 % 2**32).all()
