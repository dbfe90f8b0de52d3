"""Remembered windows: bounded, and joined within a label."""

import numpy as np
import pytest

from rtspk.engine.memory import NOBODY, Memory
from rtspk.engine.tracker_state import piece_of


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


def alike(memory: Memory, common: float = 0.0) -> np.ndarray:
    return memory.alike(common, np.full(len(memory.labels), NOBODY), 0.0)


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
    assert alike(memory) == pytest.approx(wanted, abs=1e-6)


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


def test_two_that_are_joined_are_their_mean_by_weight_and_as_new_as_the_newer():
    memory = Memory()
    vectors, hints = voices(1, 5, 0.3, 5), {1: {0: 0.3}, 2: {0: -0.5, 1: 0.25}, 3: {}, 4: {0: 0.4, 1: 0.8}}
    for piece, (weight, certainty) in enumerate(((1.0, 0.5), (3.0, 0.9), (1.0, 0.7), (1.0, 0.7))):
        memory.add(vectors[piece], weight, certainty, piece, 4, hints.get(piece, {}))
        memory.labels[-1] = 0
    memory.add(vectors[4], 1.0, 0.7, 4, 4, hints[4])
    assert memory.pieces.tolist() == [1, 2, 3, 4]
    assert memory.weights.tolist() == [4.0, 1.0, 1.0, 1.0]
    assert memory.certainties == pytest.approx([0.8, 0.7, 0.7, 0.7])
    assert memory.vectors[0] == pytest.approx(0.25 * vectors[0] + 0.75 * vectors[1])
    assert memory.hints[0, 1:3] == pytest.approx([0.25 * -0.5 + 0.75 * 0.25, 0.0])
    assert memory.hints[0, 3] == pytest.approx(0.8)  # told of the newer one's piece


def test_the_nearest_of_the_older_half_are_joined_however_short_their_vectors_are():
    turned = np.array([[np.cos(angle), np.sin(angle)] for angle in (0.0, 0.9, 2.0, 2.1, 4.0, 4.0, 5.0, 6.0)])
    turned[2:4] *= 0.5  # as of windows that were joined before
    memory = filled([0] * 8, turned.astype(np.float32), 8)
    memory.add(np.ones(2, np.float32), 0.5, 0.9, 8, 8, {})
    assert memory.pieces.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]


def test_of_many_windows_without_a_label_the_oldest_is_forgotten():
    memory = filled([NOBODY] * 3 + [0], np.eye(5, dtype=np.float32), 4)
    memory.add(np.eye(5, dtype=np.float32)[4], 0.5, 0.9, 4, 4, {})
    assert memory.pieces.tolist() == [1, 2, 3, 4]


def test_a_label_of_two_windows_has_one_to_spare():
    memory = filled([0, 1, 1, 2], np.eye(5, dtype=np.float32), 4)
    memory.add(np.eye(5, dtype=np.float32)[4], 0.5, 0.9, 4, 4, {})
    assert memory.labels.tolist() == [0, 1, 2, NOBODY]


def test_a_centroid_is_the_direction_of_a_labels_own_windows_by_weight_and_nought_of_none():
    memory = Memory()
    for piece, (label, weight) in enumerate(((0, 3.0), (1, 5.0), (0, 4.0))):
        memory.add(np.eye(3, dtype=np.float32)[piece], weight, 0.9, piece, 10, {})
        memory.labels[-1] = label
    found = memory.centroids([1, 0, 2])
    assert found == pytest.approx(np.array([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8], [0.0, 0.0, 0.0]]))
    assert memory.seconds([1, 0, 2]) == {1: 5.0, 0: 7.0, 2: 0.0}
    assert memory.places([1]).tolist() == [-1, 0, -1]


@pytest.mark.parametrize(("hop", "kept"), [(180, [NOBODY, 3, NOBODY]), (181, [3, NOBODY])])
def test_windows_without_a_label_are_forgotten_after_ninety_seconds(hop, kept):
    memory = Memory()
    for piece, label in ((0, NOBODY), (1, 3), (piece_of(hop, 0), NOBODY)):
        memory.add(np.ones(4, np.float32) / 2, 0.5, 0.9, piece, 10, {})
        memory.labels[-1] = label
    assert memory.labels.tolist() == kept


def test_a_label_can_become_another():
    memory = filled([0, 1, 1], np.ones((3, 4), np.float32) / 2, 10)
    memory.relabel(1, 0)
    assert memory.labels.tolist() == [0, 0, 0]


def test_no_label_loses_its_only_window():
    memory = filled(list(range(6)), np.eye(6, dtype=np.float32), 4)
    assert memory.labels.tolist() == list(range(6))


def test_a_line_that_all_windows_have_in_common_is_left_out_of_their_cosines_alone():
    memory = filled([0] * 4, voices(2, 3, 0.1, 3), 10)
    cosines = alike(memory) - memory.hints
    without = alike(memory, 0.25) - memory.hints
    assert without == pytest.approx((cosines - 0.25) / 0.75, abs=1e-6)


def test_how_like_windows_are_is_the_mean_of_all_pairs_of_two():
    assert Memory().likeness == 1.0
    vectors = voices(2, 3, 0.2, 7)
    memory = filled([0] * 6, vectors, 10)
    pairs = [float(vectors[i] @ vectors[j]) for i in range(6) for j in range(6) if i != j]
    assert memory.likeness == pytest.approx(float(np.mean(pairs)), abs=1e-6)
    own = np.array([True, True, False, False, False, True])
    assert memory.mean(own) == pytest.approx(vectors[own].mean(0), abs=1e-6)
