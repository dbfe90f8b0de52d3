"""Tables of pairs are those of numpy, row by row and column by column."""

import numpy as np
import pytest

from rtspk.kernels.groups import NEVER
from rtspk.kernels.tables import held_together, let_go, nearest_two


def table(count: int, seed: int) -> np.ndarray:
    square = np.random.default_rng(seed).normal(size=(count, count)).astype(np.float32)
    return square + square.T


@pytest.mark.parametrize("common", [0.0, 0.25])
@pytest.mark.parametrize("count", [1, 2, 17, 40])
def test_what_was_decided_holds_on_to_itself(count, common):
    rng = np.random.default_rng(count)
    products, hints = table(count, 1), table(count, 2)
    labels = rng.integers(-1, 3, count)
    settled = np.where(rng.random(count) < 0.5, labels, -1)
    found = held_together(products, hints, common, labels, settled, 0.05)
    for i in range(count):
        for j in range(count):
            wanted = (products[i, j] - common) / (1.0 - common) + hints[i, j]
            if labels[i] >= 0 and labels[j] >= 0:
                wanted += 0.05 if labels[i] == labels[j] else -0.05
            if settled[i] >= 0 and settled[j] >= 0 and settled[i] != settled[j]:
                wanted = NEVER
            assert found[i, j] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("count", "gone"), [(1, 0), (2, 0), (2, 1), (33, 0), (33, 16), (33, 32)])
def test_what_is_let_go_leaves_its_place_to_those_behind_it(count, gone):
    square = table(count, 3)
    wanted = np.delete(np.delete(square, gone, 0), gone, 1)
    let_go(square, gone)
    assert np.array_equal(square[:-1, :-1], wanted)


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_two_are_those_of_the_greatest_cosine_among_their_own(seed):
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(30, 8)) * rng.uniform(0.1, 2.0, (30, 1))).astype(np.float32)
    own = np.flatnonzero(rng.random(30) < 0.6)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = np.triu((unit @ unit.T)[own][:, own], 1) + np.tril(np.full((len(own),) * 2, -2.0))
    wanted = own[list(np.unravel_index(np.argmax(cosines), cosines.shape))]
    assert nearest_two(vectors @ vectors.T, own) == tuple(wanted.tolist())


def test_of_two_that_are_no_vectors_at_all_both_are_the_nearest():
    assert nearest_two(np.zeros((3, 3), np.float32), np.array([0, 2])) == (0, 2)
