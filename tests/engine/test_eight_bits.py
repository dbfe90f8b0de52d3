"""Matrices in eight bits are the matrices, and whole tiles."""

import numpy as np

from rtspk.engine.eight_bits import Matrix, in_eight_bits


def test_weights_in_eight_bits_are_the_weights_within_half_a_step():
    values = np.random.default_rng(0).normal(0.0, 1.0, (6, 9)).astype(np.float32)
    values[2] = 0.0
    weights, scales = in_eight_bits(values)
    assert np.abs(weights).max() == 127
    assert (np.abs(weights * scales[:, None] - values) <= 0.501 * scales[:, None]).all()


def test_what_fills_a_tile_up_adds_nothing():
    weights = np.random.default_rng(0).integers(-127, 128, (5, 6)).astype(np.int8)
    matrix = Matrix(weights, np.full(5, 0.5, np.float32), 4, 3)
    assert (matrix.outputs, matrix.inputs) == (5, 8)
    assert len(matrix.weights) == 32 * 8
    assert matrix.scales.tolist() == [0.5] * 5 + [0.0] * 27
    assert matrix.starts.tolist() == [*(-3 * weights.astype(int).sum(1)).tolist(), *[0] * 27]
