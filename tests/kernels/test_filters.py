"""Folded filters are as loud as the filters are by plain products."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from rtspk.kernels.filters import FOLDED, HOP, LENGTH, MOST, POOLED, ROOM, loudness


def table(half):
    """As the kernel takes it, with what is none of the filters where none should be heard."""
    made = np.full((FOLDED, MOST), 100.0, np.float32)
    made[:, : len(half)] = half.T
    made[0, : len(half)] /= 2
    return made


def plain(x, even, odd):
    """The slow way, in double precision."""
    filters = [np.concatenate([sign * half[:, :0:-1], half], 1) for half, sign in ((even, 1), (odd, -1))]
    heard = sliding_window_view(x.astype(np.float64), LENGTH)[::HOP]
    said = np.abs(heard @ np.concatenate(filters).astype(np.float64).T)
    return said[: len(said) // POOLED * POOLED].reshape(-1, POOLED, said.shape[1]).max(1)


@pytest.mark.parametrize("places", [1, 2, 7, 50])
@pytest.mark.parametrize(("count", "others"), [(40, 40), (48, 48), (3, 5), (0, 1), (17, 0)])
def test_filters_are_as_loud_as_by_plain_products(places, count, others):
    rng = np.random.default_rng(places)
    x = rng.normal(0, 1, POOLED * HOP * places - HOP + LENGTH).astype(np.float32)
    even, odd = (rng.normal(0, 1, (n, FOLDED)).astype(np.float32) for n in (count, others))
    odd[:, 0] = 0.0
    out = np.full((places, count + others), -1.0, np.float32)
    loudness(x, x[::-1].copy(), table(even), table(odd), count, np.empty(ROOM, np.float32), out)
    wanted = plain(x, even, odd)
    assert wanted.shape == out.shape
    assert np.abs(out - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_more_sound_than_the_places_need_changes_nothing():
    rng = np.random.default_rng(0)
    even, odd = rng.normal(0, 1, (2, 4, FOLDED)).astype(np.float32)
    x = rng.normal(0, 1, 400).astype(np.float32)
    outs = np.zeros((2, 2, 8), np.float32)
    for out, sound in zip(outs, (x, x[: POOLED * HOP * 2 - HOP + LENGTH]), strict=True):
        loudness(sound, sound[::-1].copy(), table(even), table(odd), 4, np.empty(ROOM, np.float32), out)
    assert np.array_equal(*outs)
