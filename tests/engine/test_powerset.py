"""Classes of local speakers, their orders and what they say of each speaker."""

from itertools import product

import numpy as np
import pytest

from rtspk.engine.powerset import (
    CLASSES,
    LOCAL_SPEAKERS,
    MEMBERS,
    ORDERS,
    class_of,
    reordered,
    speaker_probabilities,
)


def sets():
    """All sets of at most two speakers."""
    return [one for one in product([False, True], repeat=LOCAL_SPEAKERS) if sum(one) <= 2]


def test_the_classes_are_all_sets_of_at_most_two_speakers():
    assert sorted(map(tuple, MEMBERS.tolist())) == sorted(sets())
    assert len(MEMBERS) == CLASSES


def test_the_smaller_sets_come_first():
    names = ["".join(str(i + 1) for i in np.flatnonzero(row)) for row in MEMBERS]
    assert names == ["", "1", "2", "3", "12", "13", "23"]


def test_every_set_has_its_class():
    several = np.array([sets(), sets()[::-1]])  # (2, 7, 3): any leading shape
    assert np.array_equal(MEMBERS[class_of(several)], several)


def test_every_order_of_the_speakers_is_there_once():
    assert len({tuple(order) for order in ORDERS.tolist()}) == 6
    assert all(sorted(order) == [0, 1, 2] for order in ORDERS.tolist())


def test_reordering_classes_is_reordering_their_speakers_one_by_one():
    table = reordered()
    chances = np.random.default_rng(0).random(CLASSES)
    for k, order in enumerate(ORDERS):
        for c in range(CLASSES):
            # Speaker i after reordering is who was speaker order[i] before.
            before = {int(order[i]) for i in range(LOCAL_SPEAKERS) if MEMBERS[c, i]}
            (there,) = (d for d in range(CLASSES) if set(np.flatnonzero(MEMBERS[d])) == before)
            assert table[k, c] == there
            assert chances[table[k]][c] == chances[there]


@pytest.mark.parametrize("k", range(6))
def test_the_speakers_of_reordered_chances_are_the_reordered_speakers(k):
    chances = np.random.default_rng(k).dirichlet(np.ones(CLASSES), 5).astype(np.float32)
    moved = speaker_probabilities(chances[:, reordered()[k]])
    assert moved == pytest.approx(speaker_probabilities(chances)[:, ORDERS[k]], abs=1e-6)


def test_a_speakers_probability_is_the_sum_of_the_classes_with_them():
    chances = np.random.default_rng(0).dirichlet(np.ones(CLASSES), (2, 5)).astype(np.float32)
    said = speaker_probabilities(chances)
    assert (said.shape, said.dtype) == ((2, 5, LOCAL_SPEAKERS), np.float32)
    for speaker in range(LOCAL_SPEAKERS):
        alone = sum(chances[..., c] for c in range(CLASSES) if MEMBERS[c, speaker])
        assert said[..., speaker] == pytest.approx(alone, abs=1e-6)
