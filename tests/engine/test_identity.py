"""Names on labels: enough evidence, one label for each name, and a wrong name is taken back."""

import numpy as np
import pytest

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery import Gallery
from rtspk.engine.identity import Identities, IdentitiesState
from rtspk.engine.settings import IdentityConfig
from rtspk.types import Embedding, FloatArray, Segment, samples_of

SPEECH = samples_of(5.0)


def at(anna: float, ben: float) -> FloatArray:
    """A unit vector with these cosines to Anna and Ben."""
    rest = np.sqrt(max(0.0, 1.0 - anna**2 - ben**2))
    return np.array([anna, ben, rest, 0.0], np.float32)


@pytest.fixture
def identities() -> Identities:
    gallery = Gallery.open(None, "test", 4)
    for name, vector in (("Anna", at(1, 0)), ("Ben", at(0, 1))):
        gallery.add(name, [Embedding(vector, Segment(0, SPEECH), SPEECH)], "test")
    return Identities(gallery, Calibration(20.0, -8.0), IdentityConfig())  # even odds at 0.4


def test_a_near_voice_gets_the_name(identities):
    assert identities.update(0, at(0.8, 0.1), SPEECH, IdentitiesState()) == [(0, "Anna")]


def test_a_stranger_stays_without_a_name(identities):
    assert identities.update(0, at(0.35, 0.1), SPEECH, IdentitiesState()) == []


def test_a_voice_between_two_names_gets_neither(identities):
    assert identities.update(0, at(0.6, 0.59), SPEECH, IdentitiesState()) == []


def test_a_name_is_said_once(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.update(0, at(0.7, 0.1), SPEECH, state) == []


def test_a_name_sticks_while_it_is_still_probable(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.update(0, at(0.41, 0.1), SPEECH, state) == []


def test_a_name_that_became_improbable_is_taken_back(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.update(0, at(0.1, 0.1), SPEECH, state) == [(0, None)]
    assert identities.update(0, at(0.1, 0.1), SPEECH, state) == []


def test_a_wrong_early_name_is_replaced(identities):
    state = IdentitiesState()
    identities.update(0, at(0.7, 0.3), SPEECH, state)
    assert identities.update(0, at(0.1, 0.9), SPEECH, state) == [(0, "Ben")]


def test_two_labels_never_hold_one_name(identities):
    state = IdentitiesState()
    identities.update(0, at(0.6, 0.1), SPEECH, state)
    assert identities.update(1, at(0.55, 0.1), SPEECH, state) == []
    assert identities.update(1, at(0.9, 0.1), SPEECH, state) == [(0, None), (1, "Anna")]
    assert identities.update(0, at(0.6, 0.1), SPEECH, state) == []


def test_a_merged_label_brings_its_name_along(identities):
    state = IdentitiesState()
    identities.update(3, at(0.8, 0.1), SPEECH, state)
    assert identities.merge(3, 1, state) == [(1, "Anna")]
    assert list(state.held) == [1]


def test_an_empty_gallery_names_nobody():
    empty = Identities(Gallery.open(None, "test", 4), Calibration(20.0, -8.0), IdentityConfig())
    assert empty.update(0, at(0.8, 0.1), SPEECH, IdentitiesState()) == []
