"""Convolutions of pictures, by tiles and one by one, are what numpy makes of the same whole numbers."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rtspk.kernels.pairs import STEP, packed
from rtspk.kernels.pictures import BLOCKS, ROWS, SLACK, convolve, convolve_by_tiles
from rtspk.kernels.processor import features
from rtspk.kernels.winograd import AT_ONCE, LARGEST_SUM, weights_at_points

BORDER = 7  # what nought is stored as in what is written
RATIOS = np.array([0.75, 1.25, -80.5], np.float32)


def picture(height, width, channels, border, fill=None):
    """A picture, with some numbers inside."""
    shape = height + -height % 4 + 2, width + -width % 4 + 2, channels
    whole = np.full(np.prod(shape) + SLACK * channels + STEP, border, np.int16)
    made = whole[: np.prod(shape)].reshape(shape)
    if fill is not None:
        made[1 : height + 1, 1 : width + 1] = fill
    return made


def sums(x, height, width, weights, hop):
    """The slow way: int64 [shape=(rows, places, N)] of a picture and its border as they stand."""
    taps = weights.shape[1]
    edge = 1 - taps // 2
    out = np.zeros((height, width, len(weights)), np.int64)
    for row in range(taps):
        for place in range(taps):
            rows = x[edge + row :: hop][:height, edge + place :: hop][:, :width].astype(np.int64)
            out += rows @ weights[:, row, place].astype(np.int64).T
    return out


def in_eight_bits(found, bias, scales, zero):
    scaled = (found + bias).astype(np.float32) * scales
    return np.clip(np.rint(scaled) + zero, 0, 255).astype(np.int64)


def tables(rng, outputs, taps, inputs, least=-64, most=64):
    weights = rng.integers(least, most + 1, (outputs, taps, taps, inputs)).astype(np.int8)
    bias = rng.integers(-9000, 9000, outputs).astype(np.int32)
    scales = rng.uniform(0.5, 1.5, outputs).astype(np.float32) / np.float32(90 * taps * np.sqrt(inputs))
    return weights, bias, scales


def by_tiles(x, height, width, n, weights, bias, scales, zero, other, out, most=20):
    outputs, inputs = len(weights), weights.shape[3]
    points = [packed(one, BLOCKS).reshape(outputs // AT_ONCE, -1) for one in weights_at_points(weights, n)]
    tiles = (max(most, width) + ROWS) * (n + 2) ** 2
    ratios = RATIOS if other is not None else RATIOS[:0]
    convolve_by_tiles(
        x,
        height,
        width,
        n,
        np.stack(points, 1).reshape(-1),
        bias,
        scales,
        zero,
        out if other is None else other,
        ratios,
        out,
        BORDER,
        most,
        np.zeros(tiles * inputs, np.int16),
        np.zeros(tiles * AT_ONCE, np.int32),
    )


def one_by_one(x, height, width, hop, weights, bias, scales, zero, out):
    outputs, taps = weights.shape[:2]
    runs = weights.reshape(outputs, taps, -1).astype(np.int16)
    runs = np.pad(runs, ((0, 0), (0, 0), (0, -runs.shape[2] % STEP)))
    pack, room = packed(runs.reshape(outputs, -1), BLOCKS), np.zeros(AT_ONCE * (width + ROWS), np.int32)
    convolve(x, height, width, taps, hop, pack, bias, scales, zero, out, BORDER, room)


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize(
    ("height", "width", "inputs", "outputs", "most"),
    [(4, 20, 16, 32, 20), (6, 10, 32, 16, 20), (12, 20, 96, 16, 3), (1, 1, 16, 16, 20), (7, 13, 48, 32, 4)],
)
@pytest.mark.parametrize("added", [False, True])
def test_tiles_answer_as_the_plain_convolution(n, height, width, inputs, outputs, most, added):
    rng = np.random.default_rng(height)
    x = picture(height, width, inputs, 9, rng.integers(0, 256, (height, width, inputs)))
    weights, bias, scales = tables(rng, outputs, 3, inputs)
    other = None
    if added:
        other = picture(height, width, outputs, 0, rng.integers(0, 256, (height, width, outputs)))
    out = picture(height, width, outputs, BORDER)
    out[height + 1 :] = 99  # what a higher picture left there
    by_tiles(x, height, width, n, weights, bias, scales, 120, other, out, most)
    wanted = in_eight_bits(sums(x, height, width, weights, 1), bias, scales, 120)
    assert len(np.unique(wanted)) > 9  # something was asked
    if other is not None:
        more = other[1 : height + 1, 1 : width + 1].astype(np.float64) * RATIOS[1] + RATIOS[2]
        wanted = np.clip(np.rint(wanted * RATIOS[0].astype(np.float64) + more), 0, 255).astype(np.int64)
    assert np.array_equal(out[1 : height + 1, 1 : width + 1], wanted)
    out[1 : height + 1, 1 : width + 1] = BORDER
    assert (out == BORDER).all()  # of the border nothing is left changed


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("weight", [-127, 127])
def test_the_largest_numbers_are_exact_in_tiles(n, value, weight):
    """Sums as large as they may be, and tiles that are as far from nought as can be at some point."""
    rng = np.random.default_rng(0)
    for signs in (1, np.where(rng.random((16, 3, 3, 96)) < 0.5, 1, -1)):
        weights = np.broadcast_to(weight * signs, (16, 3, 3, 96)).astype(np.int8)
        for pattern in (
            np.ones((6, 10), bool),
            np.indices((6, 10)).sum(0) % 2 == 0,
            rng.random((6, 10)) < 0.5,
        ):
            x = picture(6, 10, 96, 0, np.where(pattern, value, 255 - value)[:, :, None])
            found = sums(x, 6, 10, weights, 1)
            assert np.abs(found).max() < LARGEST_SUM
            bias, out = np.zeros(16, np.int32), picture(6, 10, 16, BORDER)
            for scale, zero in ((2.0**-18, 128), (1.0, 0)):
                scales = np.full(16, scale, np.float32)
                by_tiles(x, 6, 10, n, weights, bias, scales, zero, None, out)
                assert np.array_equal(out[1:7, 1:11], in_eight_bits(found, bias, scales, zero))


@pytest.mark.parametrize(("taps", "hop"), [(1, 1), (1, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize(("height", "width", "inputs"), [(6, 10, 32), (5, 7, 1), (3, 20, 18)])
def test_places_answer_as_the_plain_convolution(taps, hop, height, width, inputs):
    rng = np.random.default_rng(taps)
    x = picture(height * hop, width * hop, inputs, 9)
    x[1 : height * hop + 1, 1 : width * hop + 1] = rng.integers(0, 256, (height * hop, width * hop, inputs))
    weights, bias, scales = tables(rng, 32, taps, inputs)
    out = picture(height, width, 32, BORDER)
    out[height + 1 :] = 99  # what a higher picture left there
    one_by_one(x, height, width, hop, weights, bias, scales, 120, out)
    wanted = in_eight_bits(sums(x, height, width, weights, hop), bias, scales, 120)
    assert len(np.unique(wanted)) > 9
    assert np.array_equal(out[1 : height + 1, 1 : width + 1], wanted)
    out[1 : height + 1, 1 : width + 1] = BORDER
    assert (out == BORDER).all()


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("weight", [-127, 127])
def test_the_largest_numbers_are_exact_place_by_place(value, weight):
    x = picture(4, 5, 128, 0, value)
    weights = np.full((16, 3, 3, 128), weight, np.int8)
    out = picture(4, 5, 16, BORDER)
    bias, scales = np.zeros(16, np.int32), np.full(16, 2.0**-19, np.float32)
    one_by_one(x, 4, 5, 1, weights, bias, scales, 128, out)
    wanted = in_eight_bits(sums(x, 4, 5, weights, 1), bias, scales, 128)
    assert np.array_equal(out[1:5, 1:6], wanted)


@pytest.mark.parametrize(("name", "has"), [("generic", "+sse2"), ("haswell", "+sse2,+avx,+avx2,+fma")])
def test_processors_with_other_instructions_answer_the_same(tmp_path, name, has):
    """In a process that compiles for one."""
    if not {one[1:] for one in has.split(",")} <= features():
        pytest.skip("such code does not run here")
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": has,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    names = [
        "test_tiles_answer_as_the_plain_convolution",
        "test_the_largest_numbers_are_exact_in_tiles",
        "test_places_answer_as_the_plain_convolution",
    ]
    tests = [f"{__file__}::{name}" for name in names]
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
