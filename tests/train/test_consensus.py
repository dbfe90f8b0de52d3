"""A teacher and a reference together: whether somebody speaks is the one's to say, who it is the other's."""

import numpy as np
import pytest

from rtspk.train.consensus import FEW, NEAR, OVERLAPPED, consensus

FRAMES = 200


def chances(*classes):
    """Rows of chances: 0.9 for the class of each stretch of equal length, the rest shared by all others."""
    out = np.full((FRAMES, 7), 0.1 / 6, np.float32)
    each = FRAMES // len(classes)
    for number, one in enumerate(classes):
        out[number * each : (number + 1) * each, one] = 0.9
    return out


def reference(*spoken, count=3):
    """Who speaks in stretches of equal length."""
    out = np.zeros((FRAMES, count), bool)
    each = FRAMES // len(spoken)
    for number, who in enumerate(spoken):
        out[number * each : (number + 1) * each, list(who)] = True
    return out


@pytest.mark.parametrize("seed", range(5))
def test_chances_add_up_to_one_and_that_of_silence_stays(seed):
    rng = np.random.default_rng(seed)
    taught = rng.dirichlet(np.full(7, 0.3), FRAMES).astype(np.float32)
    said = consensus(taught, rng.random((FRAMES, 3)) < 0.3, 0.6)
    assert said.sum(1) == pytest.approx(np.ones(FRAMES), abs=1e-5)
    assert said[:, 0] == pytest.approx(taught[:, 0], abs=1e-6)


def test_without_trust_it_is_the_teacher_in_the_order_of_the_reference():
    taught = chances(3, 1, 3, 0)
    said = consensus(taught, reference([0], [1], [0], []), 0.0)
    assert said.argmax(1)[::50].tolist() == [1, 2, 1, 0]
    assert np.sort(said, axis=1) == pytest.approx(np.sort(taught, axis=1), abs=1e-6)


def test_voices_that_the_teacher_takes_for_one_are_two():
    said = consensus(chances(2, 2, 0, 2), reference([0], [1], [], [0]), 1.0)
    assert said.argmax(1)[::50].tolist() == [1, 2, 0, 1]
    half = consensus(chances(2, 2, 0, 2), reference([0], [1], [], [0]), 0.4)[60]
    assert half[1] > half[2] > 0.3  # the teacher's word still counts


def test_two_who_speak_at_once_take_a_share_of_one_whom_the_teacher_hears():
    said = consensus(chances(1), reference([0, 1]), 1.0)
    one, two = chances(1)[0, 1:4].sum(), chances(1)[0, 4:].sum()
    assert said[0, 4] == pytest.approx(OVERLAPPED * one + two, abs=1e-5)
    assert said[0, 1] > said[0, 2]  # the rest is the one's whom it hears


def test_two_whom_the_teacher_hears_are_half_believed_where_one_speaks():
    said = consensus(chances(4), reference([0]), 1.0)
    assert said[0, 4:].sum() == pytest.approx(chances(4)[0, 4:].sum() / 2, abs=1e-5)


def test_the_most_spoken_comes_first_and_who_says_next_to_nothing_takes_no_place():
    speakers = reference([3], [3], [1], [0], count=5)
    speakers[:FEW, 4] = True
    said = consensus(chances(1, 1, 2, 3), speakers, 1.0)
    assert said.argmax(1)[[20, 120, 170]].tolist() == [1, 3, 2]


@pytest.mark.parametrize("spoken", [([],), ([0], [1], [2], [3])], ids=["nobody", "four"])
def test_the_teacher_has_its_way_where_nobody_or_too_many_speak(spoken):
    taught = chances(1, 2)
    assert np.array_equal(consensus(taught, reference(*spoken, count=4), 1.0), taught)


def test_far_from_all_speech_of_the_reference_the_teacher_has_its_way():
    speakers = np.zeros((FRAMES, 2), bool)
    speakers[:20, 1] = True
    taught = chances(2)
    taught[100:] = chances(3)[100:]
    said = consensus(taught, speakers, 1.0)
    assert said.argmax(1)[19 + NEAR] == 1
    assert np.sort(said[20 + NEAR :], axis=1) == pytest.approx(np.sort(taught[20 + NEAR :], axis=1), abs=1e-6)
