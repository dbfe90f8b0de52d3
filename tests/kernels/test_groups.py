"""Groups from the bottom up are those of the slow way, which looks at all pairs of all groups."""

import numpy as np
import pytest

from rtspk.kernels.groups import NEVER, groups


def grouped_slowly(alike: np.ndarray, weights: np.ndarray, least: float) -> list[set[int]]:
    """All pairs of all groups, every time."""
    found = [{i} for i in range(len(weights))]

    def mean(a: set[int], b: set[int]) -> float:
        pairs = [(weights[i] * weights[j], float(alike[i, j])) for i in a for j in b]
        if min(cosine for _, cosine in pairs) == NEVER:
            return NEVER
        return sum(w * c for w, c in pairs) / sum(w for w, _ in pairs)

    while len(found) > 1:
        cosine, i, j = max(
            (mean(a, b), i, j) for i, a in enumerate(found) for j, b in enumerate(found) if i < j
        )
        if cosine < least or cosine == NEVER:
            break
        found[i] |= found.pop(j)
    return found


@pytest.mark.parametrize("parted", [0, 4])
@pytest.mark.parametrize("seed", range(6))
def test_groups_are_those_of_the_slow_way(seed, parted):
    rng = np.random.default_rng(seed)
    vectors = np.repeat(np.eye(16)[:3], 6, axis=0) + rng.normal(0.0, 0.35, (18, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    weights = rng.uniform(0.1, 0.6, len(vectors)).astype(np.float32)
    alike = vectors @ vectors.T
    for _ in range(parted):
        a, b = rng.choice(len(vectors), 2, replace=False)
        alike[a, b] = alike[b, a] = NEVER
    member = groups(alike, weights, 0.3)
    assert list(dict.fromkeys(member.tolist())) == list(range(member.max() + 1))
    fast = {frozenset(np.flatnonzero(member == n).tolist()) for n in range(member.max() + 1)}
    assert fast == {frozenset(one) for one in grouped_slowly(alike, weights, 0.3)}


@pytest.mark.parametrize("least", [0.5, -2.0, -20.0])
@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 2), (3, 17), (38, 39)])
def test_two_that_are_parted_for_good_stay_apart_however_many_are_like_both(one, other, least):
    alike = np.full((40, 40), 0.9, np.float32)
    alike[one, other] = alike[other, one] = NEVER
    member = groups(alike, np.ones(40, np.float32), least)
    assert member[one] != member[other]
    assert set(member.tolist()) == {0, 1}


@pytest.mark.parametrize("count", [0, 1])
def test_few_windows_are_groups_of_their_own(count):
    assert (
        groups(np.ones((count, count), np.float32), np.ones(count, np.float32), 0.5).tolist() == [0] * count
    )


def test_what_was_given_is_left_as_it_was():
    alike, weights = np.full((3, 3), 0.9), np.ones(3)
    assert groups(alike.T, weights, 0.5).tolist() == [0, 0, 0]
    assert (alike == 0.9).all()
    assert (weights == 1.0).all()
