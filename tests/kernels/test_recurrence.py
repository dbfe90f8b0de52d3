"""Recurrences in eight bits are what numpy makes of the same whole numbers."""

import numpy as np
import pytest

from rtspk.kernels.dense import TOGETHER, dense
from rtspk.kernels.hyperbolic import fraction
from rtspk.kernels.jit import kernel
from rtspk.kernels.products import ZERO, packed
from rtspk.kernels.recurrence import ALONE, BLOCK, follow, recur


@kernel("void(float32[::1], float32[::1], float32[::1])")
def both(values, one, other):
    for i in range(len(values)):
        above, below = fraction(values[i])
        one[i] = above / below
        above, below = fraction(np.float32(0.5) * values[i])
        other[i] = (below + above) / (np.float32(2.0) * below)


def test_tanh_and_the_logistic_function_by_fractions_are_near_to_numpys():
    values = np.concatenate([np.linspace(-12, 12, 20_001), [0.0, -1e6, 1e6, np.inf, -np.inf]]).astype(
        np.float32
    )
    one, other = np.empty_like(values), np.empty_like(values)
    both(values, one, other)
    assert np.abs(one - np.tanh(values.astype(np.float64))).max() < 1e-5
    assert np.abs(other - 0.5 * (1.0 + np.tanh(values.astype(np.float64) / 2))).max() < 1e-5
    assert np.abs(one).max() <= 1.0
    assert other.min() >= 0.0


def slow_recurrence(gates, weights, scales, backward, hidden, cell):
    """The slow twin, in double precision but for the states, which go round in steps of 1/127."""
    width = len(hidden)
    said = np.zeros((len(gates), width), np.int64)
    for t in range(len(gates))[:: -1 if backward else 1]:
        steps = np.floor(hidden * 127.0 + 0.5)
        drive = gates[t] + (weights.astype(np.int64) @ steps) * scales / 127.0
        opened, shown, kept = (1.0 / (1.0 + np.exp(-part)) for part in drive.reshape(4, width)[:3])
        cell = kept * cell + opened * np.tanh(drive[3 * width :])
        hidden = shown * np.tanh(cell)
        said[t] = np.floor(hidden * 127.0 + 0.5)
    return said, hidden, cell


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("width", [16, 128])
def test_a_recurrence_is_that_of_numpy(backward, width):
    rng = np.random.default_rng(width)
    frames = 40
    gates = rng.normal(0.0, 1.0, (frames, 4 * width)).astype(np.float32)
    weights = rng.integers(-127, 128, (4 * width, width)).astype(np.int8)
    scales = rng.uniform(0.5, 1.0, 4 * width).astype(np.float32) / np.float32(127 * np.sqrt(width))
    starts = -ZERO * weights.astype(np.int32).sum(1, dtype=np.int32)
    hidden, cell = (rng.uniform(-0.9, 0.9, width).astype(np.float32) for _ in range(2))
    wanted, last_hidden, last_cell = slow_recurrence(gates, weights, scales, backward, hidden, cell)
    out = np.full((frames, 2 * width), 7, np.uint8)
    state, drive = np.empty(width, np.uint8), np.empty(4 * width, np.float32)
    tables = packed(weights, ALONE), scales, starts
    step = np.array([1.0 / 127.0], np.float32)
    recur(gates, *tables, backward, hidden, cell, state, drive, out, step)
    said = out[:, width:] if backward else out[:, :width]
    # Where a state lies between two steps single precision may take the other one.
    assert np.abs(said.astype(np.int64) - ZERO - wanted).max() <= 1
    assert (said.astype(np.int64) - ZERO != wanted).mean() < 0.02
    assert np.abs(hidden - last_hidden).max() < 5e-3
    assert np.abs(cell - last_cell).max() < 1e-2
    other = out[:, :width] if backward else out[:, width:]
    assert (other == 7).all()


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("begin", "end"), [(0, 1), (3, BLOCK + 3), (5, 2 * BLOCK + 30)])
def test_a_direction_of_a_layer_is_its_gates_and_then_its_recurrence(backward, begin, end):
    """In blocks as in one go."""
    rng = np.random.default_rng(end)
    inputs, width, frames = 8, 16, end + 4

    def matrix(columns, blocks):
        weights = rng.integers(-127, 128, (4 * width, columns)).astype(np.int8)
        scales = rng.uniform(0.5, 1.0, 4 * width).astype(np.float32) / np.float32(127 * columns)
        return packed(weights, blocks), scales, -ZERO * weights.astype(np.int32).sum(1, dtype=np.int32)

    x = rng.integers(1, 256, (frames, inputs)).astype(np.uint8)
    sizes, bias = (rng.uniform(0.5, 1.0, n).astype(np.float32) for n in (frames, 4 * width))
    gates, memory = (*matrix(inputs, TOGETHER), bias), matrix(width, ALONE)
    state, drive = np.empty(width, np.uint8), np.empty(4 * width, np.float32)
    step = np.array([1.0 / 127.0], np.float32)
    said = np.empty((end - begin + -(end - begin) % 4, 4 * width), np.float32)
    dense(x[begin : begin + len(said)], sizes[begin : begin + len(said)], *gates, said)
    outs, states = np.full((2, end, 2 * width), 7, np.uint8), np.zeros((2, 2, width), np.float32)
    recur(said, *memory, backward, *states[0], state, drive, outs[0, begin:], step)
    room = np.empty((BLOCK, 4 * width), np.float32), state, drive, np.empty((2, width), np.float32)
    follow(x, sizes, begin, end, backward, (*gates, *memory), *states[1], room, outs[1], step)
    assert np.array_equal(*outs)
    assert np.array_equal(*states)
    assert (outs[0] != 7).any()
