"""Sums and products of vectors are those of numpy."""

import numpy as np
import pytest

from rtspk.kernels.vectors import multiplied, summed


def vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.mark.parametrize(("count", "others", "dimension"), [(0, 3, 16), (3, 0, 16), (5, 2, 1), (70, 6, 192)])
def test_each_is_multiplied_with_each(count, others, dimension):
    one, other = vectors(count, dimension, 1), vectors(others, dimension, 2)
    assert multiplied(one, other) == pytest.approx(one @ other.T, abs=1e-4)


def test_views_are_multiplied_and_summed_as_what_they_show():
    whole = vectors(12, 32, 3)
    assert multiplied(whole[::2], whole[::3, :]) == pytest.approx(whole[::2] @ whole[::3].T, abs=1e-4)
    turned = vectors(32, 12, 3).T
    found = summed(turned, np.ones(12, np.float32), np.zeros(12, np.int64), 1)
    assert found[0] == pytest.approx(turned.sum(0), abs=1e-5)


@pytest.mark.parametrize("dimension", [1, 16, 192])
def test_groups_are_summed_by_weight_and_what_has_no_place_is_left_out(dimension):
    rng = np.random.default_rng(dimension)
    rows, weights = vectors(50, dimension, 4), rng.random(50).astype(np.float32)
    places = rng.integers(-1, 3, 50)
    found = summed(rows, weights, places, 4)
    for place in range(4):
        own = places == place
        assert found[place] == pytest.approx(weights[own] @ rows[own], abs=1e-4)
    assert not found[3].any()
