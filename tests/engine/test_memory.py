"""Remembered windows: bounded, joined within a label, and grouped as the slow way groups them."""

import numpy as np
import pytest

from rtspk.engine.memory import Memory, groups


def voices(count: int, each: int, spread: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(16)[:count], each, axis=0)
    vectors = centres + rng.normal(0, spread, centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def grouped_slowly(vectors: np.ndarray, weights: np.ndarray, least: float) -> list[set[int]]:
    """All pairs of all groups, every time."""
    found = [{i} for i in range(len(vectors))]

    def alike(a: set[int], b: set[int]) -> float:
        pairs = [(weights[i] * weights[j], vectors[i] @ vectors[j]) for i in a for j in b]
        return sum(w * c for w, c in pairs) / sum(w for w, _ in pairs)

    while len(found) > 1:
        cosine, i, j = max(
            (alike(a, b), i, j) for i, a in enumerate(found) for j, b in enumerate(found) if i < j
        )
        if cosine < least:
            break
        found[i] |= found.pop(j)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_those_of_the_slow_way(seed):
    vectors = voices(3, 6, 0.35, seed)
    weights = np.random.default_rng(seed).uniform(0.1, 0.6, len(vectors)).astype(np.float32)
    member = groups(vectors, weights, 0.3)
    fast = {frozenset(np.flatnonzero(member == n).tolist()) for n in range(member.max() + 1)}
    assert fast == {frozenset(one) for one in grouped_slowly(vectors, weights, 0.3)}


@pytest.mark.parametrize("count", [0, 1])
def test_few_windows_are_groups_of_their_own(count):
    assert groups(np.ones((count, 4), np.float32), np.ones(count, np.float32), 0.5).tolist() == [0] * count


def test_a_full_memory_joins_within_the_label_that_has_most():
    memory = Memory()
    for label, vector in zip([0] * 5 + [1] * 12, voices(2, 9, 0.1, 0), strict=False):
        memory.add(vector, 0.5, label, 10)
    assert len(memory.weights) == 10
    assert memory.weights.sum() == pytest.approx(8.5)
    assert (memory.labels == 0).sum() >= 4
    assert np.linalg.norm(memory.vectors, axis=1) == pytest.approx(np.ones(10), abs=1e-5)


def test_a_label_can_become_another():
    memory = Memory()
    for label in (0, 1, 1):
        memory.add(np.ones(4, np.float32) / 2, 0.5, label, 10)
    memory.relabel(1, 0)
    assert memory.labels.tolist() == [0, 0, 0]
