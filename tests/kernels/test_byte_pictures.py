"""Convolutions of pictures in bytes are what numpy makes of the same whole numbers."""

import numpy as np
import pytest

from rtspk.kernels.processor import has_wide_registers
from tests.kernels.test_pictures import BORDER, RATIOS, in_eight_bits, sums, tables

if not has_wide_registers():
    pytest.skip("there is no AVX-512 with VNNI here", allow_module_level=True)

from rtspk.kernels.byte_pictures import AT_ONCE, SLACK, convolve_bytes
from rtspk.kernels.fours import FOUR, packed


def picture(height, width, channels, border, fill=None):
    """A picture, with some numbers inside, and no row or place more than there has to be."""
    shape = height + 2 + height % 2, width + 2, channels
    whole = np.full(np.prod(shape) + SLACK * channels, border, np.uint8)
    made = whole[: np.prod(shape)].reshape(shape)
    if fill is not None:
        made[1 : height + 1, 1 : width + 1] = fill
    return made


def convolved(x, height, width, hop, weights, bias, scales, zero, other, out, lines=1):
    outputs, taps = weights.shape[:2]
    runs = weights.reshape(outputs, taps, -1)
    runs = np.pad(runs, ((0, 0), (0, 0), (0, -runs.shape[2] % FOUR)))
    if lines == 2:
        nought = np.zeros_like(runs[:, :1])
        both = np.concatenate([runs, nought], 1), np.concatenate([nought, runs], 1)
        runs = np.concatenate(both)
    pack = packed(runs.reshape(len(runs), -1))
    told = out if other is None else other, RATIOS[: 0 if other is None else 3], out, BORDER
    own = pack, np.tile(bias, lines), np.tile(scales, lines), zero
    starts = np.arange(AT_ONCE) * hop * x.shape[2]
    convolve_bytes(x, height, width, taps, lines, *own, *told, starts)


def check(out, wanted):
    height, width = wanted.shape[:2]
    assert np.array_equal(out[1 : height + 1, 1 : width + 1], wanted)
    out[1 : height + 1, 1 : width + 1] = BORDER
    assert (out == BORDER).all()  # of the border nothing is left changed


@pytest.mark.parametrize(("taps", "hop"), [(1, 1), (1, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize(
    ("height", "width", "inputs", "outputs"),
    [(6, 10, 32, 32), (5, 7, 1, 16), (3, 23, 18, 48), (1, 1, 16, 80), (4, 20, 96, 64)],
)
@pytest.mark.parametrize("added", [False, True])
def test_places_answer_as_the_plain_convolution(taps, hop, height, width, inputs, outputs, added):
    rng = np.random.default_rng(taps)
    x = picture(height * hop, width * hop, inputs, 9)
    x[1 : height * hop + 1, 1 : width * hop + 1] = rng.integers(0, 256, (height * hop, width * hop, inputs))
    weights, bias, scales = tables(rng, outputs, taps, inputs)
    other = picture(height, width, outputs, 0, rng.integers(0, 256, (height, width, outputs)))
    out = picture(height, width, outputs, BORDER)
    out[height + 1 :] = 99  # what a higher picture left there
    convolved(x, height, width, hop, weights, bias, scales, 120, other if added else None, out)
    wanted = in_eight_bits(sums(x, height, width, weights, hop), bias, scales, 120)
    assert len(np.unique(wanted)) > 9  # something was asked
    check(out, with_other(wanted, other) if added else wanted)


@pytest.mark.parametrize(("height", "width"), [(6, 10), (5, 13), (1, 1), (2, 80), (7, 20)])
@pytest.mark.parametrize("added", [False, True])
def test_two_rows_at_once_answer_as_one_after_the_other(height, width, added):
    rng = np.random.default_rng(height)
    x = picture(height, width, 32, 9, rng.integers(0, 256, (height, width, 32)))
    weights, bias, scales = tables(rng, 16, 3, 32)
    other = picture(height, width, 16, 0, rng.integers(0, 256, (height, width, 16))) if added else None
    out = picture(height, width, 16, BORDER)
    convolved(x, height, width, 1, weights, bias, scales, 120, other, out, lines=2)
    wanted = in_eight_bits(sums(x, height, width, weights, 1), bias, scales, 120)
    check(out, with_other(wanted, other) if added else wanted)


def with_other(wanted, other):
    height, width = wanted.shape[:2]
    more = other[1 : height + 1, 1 : width + 1].astype(np.float64) * RATIOS[1] + RATIOS[2]
    return np.clip(np.rint(wanted * RATIOS[0].astype(np.float64) + more), 0, 255).astype(np.int64)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("weight", [-127, 127])
def test_the_largest_numbers_are_exact(value, weight):
    x = picture(4, 12, 128, 0, value)
    weights = np.full((32, 3, 3, 128), weight, np.int8)
    out = picture(4, 12, 32, BORDER)
    bias, scales = np.zeros(32, np.int32), np.full(32, 2.0**-19, np.float32)
    convolved(x, 4, 12, 1, weights, bias, scales, 128, None, out)
    check(out, in_eight_bits(sums(x, 4, 12, weights, 1), bias, scales, 128))
