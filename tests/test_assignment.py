"""The pairing costs as little as the best of all pairings tried one by one."""

from itertools import permutations

import numpy as np
import pytest

from rtspk.assignment import assign
from rtspk.errors import ConfigError


def least_cost(cost):
    """Try every pairing."""
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    rows = range(cost.shape[0])
    return min(
        sum(cost[row, column] for row, column in zip(rows, columns, strict=True))
        for columns in permutations(range(cost.shape[1]), cost.shape[0])
    )


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 4), (5, 6), (6, 4)])
@pytest.mark.parametrize("kind", ["smooth", "ties", "negative"])
def test_no_other_pairing_costs_less(shape, kind):
    rng = np.random.default_rng(7)
    for _ in range(20):
        cost = rng.normal(size=shape) if kind == "negative" else rng.random(shape)
        if kind == "ties":
            cost = np.floor(cost * 3)
        pairs = assign(cost)
        assert len(pairs) == min(shape)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(shape)
        assert sum(cost[pair] for pair in pairs) == pytest.approx(least_cost(cost))


def test_large_pairings_cost_what_scipy_finds():
    optimize = pytest.importorskip("scipy.optimize")
    cost = np.random.default_rng(3).normal(size=(80, 120))
    rows, columns = optimize.linear_sum_assignment(cost)
    assert sum(cost[pair] for pair in assign(cost)) == pytest.approx(cost[rows, columns].sum())


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_where_one_side_is_empty_there_is_nothing_to_pair(shape):
    assert assign(np.zeros(shape)) == []


def test_costs_that_are_no_numbers_are_refused():
    with pytest.raises(ConfigError, match="finite costs"):
        assign(np.array([[1.0, np.nan]]))
    with pytest.raises(ConfigError, match="shape"):
        assign(np.zeros(3))
