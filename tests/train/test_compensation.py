"""What differs between recordings counts for less, what differs between voices for as much as before."""

import numpy as np
import pytest

from rtspk.train.compensation import compensation


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def voices():
    """Forty speakers, three vectors each, in two data sets: axis 0 is the set's, axis 1 the recording's."""
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(40), 3)
    vectors = rng.normal(size=(40, 8))[speakers]
    vectors[:, :2] = 0.0
    vectors[:, 0] = np.where(speakers < 20, 3.0, -3.0)
    vectors[:, 1] = rng.normal(0, 2.0, len(speakers))
    vectors = unit(vectors).astype(np.float32)
    means = np.stack([vectors[speakers < 20].mean(0), vectors[speakers >= 20].mean(0)])
    return vectors, speakers, means


def test_what_sets_and_recordings_differ_in_shrinks_and_voices_stay(voices):
    made = compensation(*voices)
    kept = np.diag(made)
    assert kept[0] < 0.1
    assert kept[1] < 0.3
    assert kept[2:].min() > 2 * kept[1]


def test_strangers_of_one_set_are_less_alike_than_before_and_one_voice_is_not(voices):
    vectors, speakers, _ = voices
    after = unit(vectors @ compensation(*voices))
    same = speakers[:, None] == speakers
    strangers = (speakers[:, None] < 20) & (speakers < 20) & ~same
    own = same & ~np.eye(len(speakers), dtype=bool)
    assert (vectors @ vectors.T)[strangers].mean() > 0.4
    assert abs((after @ after.T)[strangers].mean()) < 0.1
    assert (after @ after.T)[own].mean() > (vectors @ vectors.T)[own].mean()


def test_it_is_symmetric_and_never_lengthens(voices):
    made = compensation(*voices)
    assert made == pytest.approx(made.T, abs=1e-6)
    assert np.linalg.eigvalsh(made).max() <= 1.0 + 1e-6
    assert np.linalg.eigvalsh(made).min() > 0.0


def test_speakers_heard_once_in_sets_without_a_mean_of_their_own_change_nothing():
    vectors = unit(np.random.default_rng(1).normal(size=(5, 4))).astype(np.float32)
    made = compensation(vectors, range(5), np.zeros((1, 4), np.float32))
    assert made == pytest.approx(np.eye(4), abs=1e-6)
