"""Recurrences in eight bits are what numpy makes of the same whole numbers."""

import numpy as np
import pytest

from rtspk.kernels.dense import ROWS, TOGETHER, dense
from rtspk.kernels.hyperbolic import fraction
from rtspk.kernels.jit import kernel
from rtspk.kernels.products import ZERO, packed
from rtspk.kernels.recurrence import ALONE, BLOCK, MOST, follow, recur


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
@pytest.mark.parametrize(("width", "lengths"), [(16, [40]), (128, [40]), (16, [40, 39, 39, 1][:MOST])])
def test_a_recurrence_is_that_of_numpy(backward, width, lengths):
    rng = np.random.default_rng(width)
    gates = [rng.normal(0.0, 1.0, (frames, 4 * width)).astype(np.float32) for frames in lengths]
    weights = rng.integers(-127, 128, (4 * width, width)).astype(np.int8)
    scales = rng.uniform(0.5, 1.0, 4 * width).astype(np.float32) / np.float32(127 * np.sqrt(width))
    starts = -ZERO * weights.astype(np.int32).sum(1, dtype=np.int32)
    hidden, cell = (rng.uniform(-0.9, 0.9, (len(lengths), width)).astype(np.float32) for _ in range(2))
    begun = list(zip(hidden.copy(), cell.copy(), strict=True))
    counts, olds = np.array(lengths), np.array(lengths) // 2
    begins = np.cumsum(counts) - counts
    out = np.full((sum(lengths), 2 * width), 7, np.uint8)
    state, drive = np.empty(hidden.shape, np.uint8), np.empty((len(lengths), 4 * width), np.float32)
    said = np.zeros((len(lengths), lengths[0], 4 * width), np.float32)
    for own, rows in zip(gates, said, strict=True):
        rows[slice(-len(own), None) if backward else slice(len(own))] = own
    tables, step = (packed(weights, ALONE), scales, starts), np.full(MOST, 1.0 / 127.0, np.float32)
    behind, room = np.empty((2, len(lengths), width), np.float32), (state, drive)
    recur(
        said, 0, lengths[0], begins, counts, olds, backward, *tables, hidden, cell, behind, *room, out, step
    )
    for r, (own, before) in enumerate(zip(gates, begun, strict=True)):
        wanted, last_hidden, last_cell = slow_recurrence(own, weights, scales, backward, *before)
        told = out[begins[r] : begins[r] + counts[r]]
        told, other = (told[:, width:], told[:, :width]) if backward else (told[:, :width], told[:, width:])
        # Where a state lies between two steps single precision may take the other one.
        assert np.abs(told.astype(np.int64) - ZERO - wanted).max() <= 1
        assert (told.astype(np.int64) - ZERO != wanted).mean() < 0.02
        assert np.abs(hidden[r] - last_hidden).max() < 5e-3
        assert np.abs(cell[r] - last_cell).max() < 1e-2
        assert (other == 7).all()
        if not backward:
            _, old_hidden, old_cell = slow_recurrence(own[: olds[r]], weights, scales, backward, *before)
            assert np.abs(behind[0, r] - old_hidden).max() < 5e-3
            assert np.abs(behind[1, r] - old_cell).max() < 1e-2


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("lengths", [[1], [BLOCK + 3], [2 * BLOCK + 30], [BLOCK + 3, BLOCK, 33, 2][:MOST]])
def test_a_direction_of_a_layer_is_its_gates_and_then_its_recurrence(backward, lengths):
    """In blocks, and side by side, as in one go and one by one."""
    rng = np.random.default_rng(lengths[0])
    inputs, width, count = 8, 16, sum(lengths)

    def matrix(columns, blocks):
        weights = rng.integers(-127, 128, (4 * width, columns)).astype(np.int8)
        scales = rng.uniform(0.5, 1.0, 4 * width).astype(np.float32) / np.float32(127 * columns)
        return packed(weights, blocks), scales, -ZERO * weights.astype(np.int32).sum(1, dtype=np.int32)

    x = rng.integers(1, 256, (count + ROWS, inputs)).astype(np.uint8)
    sizes, bias = (rng.uniform(0.5, 1.0, n).astype(np.float32) for n in (len(x), 4 * width))
    gates, memory = (*matrix(inputs, TOGETHER), bias), matrix(width, ALONE)
    state, drive = np.empty((MOST, width), np.uint8), np.empty((MOST, 4 * width), np.float32)
    step = np.full(MOST, 1.0 / 127.0, np.float32)
    counts = np.array(lengths)
    begins, olds = np.cumsum(counts) - counts, counts // 3
    outs, states = (
        np.full((2, count, 2 * width), 7, np.uint8),
        np.zeros((2, 2, len(lengths), width), np.float32),
    )
    behind = np.zeros((2, 2, len(lengths), width), np.float32)
    for r, (begin, frames) in enumerate(zip(begins.tolist(), lengths, strict=True)):
        said = np.empty((1, frames + -frames % ROWS, 4 * width), np.float32)
        dense(x[begin : begin + said.shape[1]], sizes[begin : begin + said.shape[1]], *gates, said[0])
        own = slice(r, r + 1)
        alone = (
            np.ascontiguousarray(said[:, :frames]),
            0,
            frames,
            begins[own],
            counts[own],
            olds[own],
            backward,
        )
        last = behind[0][:, own].copy()
        recur(*alone, *memory, states[0, 0, own], states[0, 1, own], last, state, drive, outs[0], step)
        behind[0][:, own] = last
    room = (
        np.empty((BLOCK + ROWS, 4 * width), np.float32),
        state,
        drive,
        np.empty((2, MOST, width), np.float32),
    )
    way = (*gates, *memory)
    follow(x, sizes, begins, counts, olds, backward, way, *states[1], behind[1], room, outs[1], step)
    assert np.array_equal(*outs)
    assert np.array_equal(*states)
    assert np.array_equal(*behind)
    assert (outs[0] != 7).any()
