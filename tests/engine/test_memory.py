"""Remembered windows: bounded, and joined within a label."""

import numpy as np
import pytest

from rtspk.engine.memory import NOBODY, Memory


def voices(count: int, each: int, spread: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(16)[:count], each, axis=0)
    vectors = centres + rng.normal(0, spread, centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def filled(labels: list[int], vectors: np.ndarray, limit: int) -> Memory:
    memory = Memory()
    for piece, (label, vector) in enumerate(zip(labels, vectors, strict=False)):
        memory.add(vector, 0.5, 0.9, piece, limit, {piece - 1: 0.25, piece - 2: -0.5})
        memory.labels[-1] = label
    return memory


def test_a_full_memory_joins_within_the_label_that_has_most():
    memory = filled([0] * 5 + [1] * 12, voices(2, 9, 0.1, 0), 10)
    assert len(memory.weights) == 10
    assert memory.weights.sum() == pytest.approx(8.5)
    assert (memory.labels == 0).sum() >= 4
    assert memory.certainties == pytest.approx(np.full(10, 0.9))


def test_what_is_joined_is_as_like_the_others_as_its_windows_were_in_the_mean():
    vectors = voices(1, 12, 0.3, 1)
    memory = filled([0] * 12, vectors, 4)
    probe = voices(1, 1, 0.3, 2)[0]
    assert (memory.weights @ memory.vectors @ probe) / memory.weights.sum() == pytest.approx(
        float((vectors @ probe).mean()), abs=1e-5
    )


def test_hints_count_beside_the_cosines_of_two_windows():
    vectors = voices(2, 3, 0.1, 3)
    memory = filled([0] * 4, vectors, 10)
    wanted = vectors[:4] @ vectors[:4].T
    for one in range(4):
        for other in range(one):
            wanted[one, other] += {1: 0.25, 2: -0.5}.get(one - other, 0.0)
            wanted[other, one] = wanted[one, other]
    assert memory.alike() == pytest.approx(wanted, abs=1e-6)


def test_what_is_joined_or_forgotten_takes_its_hints_along():
    memory = filled([0] * 12, voices(1, 12, 0.3, 1), 4)
    assert memory.hints.shape == (4, 4)
    assert np.array_equal(memory.hints, memory.hints.T)
    assert memory.hints[-1, -2] == pytest.approx(0.25)  # the two newest were never joined
    assert not np.diagonal(memory.hints)[-2:].any()


@pytest.mark.parametrize("limit", [4, 10, 100])
def test_products_are_those_of_the_vectors_made_anew(limit):
    memory = filled([0, 1, NOBODY] * 20, voices(3, 20, 0.3, 4), limit)
    memory.add(np.eye(16, dtype=np.float32)[0], 0.5, 0.9, 700, limit, {})  # and some are forgotten
    assert memory.products == pytest.approx(memory.vectors @ memory.vectors.T, abs=1e-6)
    assert np.array_equal(memory.products, memory.products.T)


def test_windows_without_a_label_are_forgotten_after_a_while():
    memory = Memory()
    for piece, label in ((0, NOBODY), (1, 3), (600, NOBODY)):
        memory.add(np.ones(4, np.float32) / 2, 0.5, 0.9, piece, 10, {})
        memory.labels[-1] = label
    assert memory.labels.tolist() == [3, NOBODY]


def test_a_label_can_become_another():
    memory = filled([0, 1, 1], np.ones((3, 4), np.float32) / 2, 10)
    memory.relabel(1, 0)
    assert memory.labels.tolist() == [0, 0, 0]


def test_no_label_loses_its_only_window():
    memory = filled(list(range(6)), np.eye(6, dtype=np.float32), 4)
    assert memory.labels.tolist() == list(range(6))
