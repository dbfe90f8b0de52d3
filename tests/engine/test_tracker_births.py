"""Labels are born of enough agreeing speech, never of scraps or of what is no voice."""

import numpy as np
import pytest

from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import NEXT, Heard, piece_of
from rtspk.engine.voicing import Voicing
from rtspk.types import Embedding, Segment, samples_of
from tests.engine.conftest import NEVER, Talk, between, known_two
from tests.engine.conftest import VOICE_DIMENSION as DIMENSION


def test_a_scrap_of_a_new_voice_gets_no_label():
    talk = Talk()
    talk.say(0, 12)
    (scrap,) = talk.say(1, 1)
    assert (scrap.label, scrap.provisional) == (NEXT, True)
    assert talk.state.born == 1


def test_a_birth_takes_the_earlier_hops_of_the_voice_along():
    talk = Talk()
    talk.say(0, 12)
    births = []
    for _ in range(8):
        births += talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(1)))[1]
        talk.hop += 1
    (birth,) = births
    assert {12, 13} <= {piece // 3 for piece in birth.pieces} <= set(range(12, 20))


def test_windows_that_disagree_give_birth_to_nobody():
    talk = Talk()
    talk.say(0, 12)
    for number in range(10, 40):
        talk.say(number, 1)
    assert talk.state.born == 1


@pytest.mark.parametrize(("clear", "hops"), [(0.2, 4), (-1.0, 8)])
def test_a_voice_like_nobody_known_needs_half_the_speech(clear, hops):
    config = TrackerConfig(
        birth_seconds=4.0, settled_seconds=1.0, clear_cosine=clear, split_seconds=NEVER, slow_seconds=NEVER
    )
    talk = Talk(config)
    talk.say(0, 20)
    talk.say(1, hops - 1)
    assert talk.state.born == 1
    talk.say(1, 1)
    assert talk.state.born == 2


def test_sixty_voices_are_sixty_labels_and_the_first_is_known_again():
    talk = Talk()
    for number in range(60):
        talk.say(number, 10)
    assert talk.state.born == len(talk.state.labels) == 60
    assert {decision.label for decision in talk.say(0, 4)} == {0}


def test_no_more_labels_than_allowed():
    talk = Talk(max_speakers=2)
    for number in range(5):
        talk.say(number, 10)
    assert talk.state.born == 2
    assert len(talk.state.labels) == 2


@pytest.mark.parametrize("alone", [True, False])
def test_who_comes_when_all_labels_are_given_is_surely_none_of_them_and_no_proof_of_one(alone):
    talk = Talk(max_speakers=2)
    known_two(talk)
    speech, centroids = list(talk.state.speech), talk.state.centroids.copy()
    for _ in range(20):
        window = Heard(piece_of(talk.hop, 0), HOP, talk.window(2), alone=alone)
        ((decision,), _) = talk.hear(window)
        talk.hop += 1
        assert decision.label in {0, 1}
        assert decision.confidence < 0.2
    assert talk.state.speech == speech
    np.testing.assert_array_equal(talk.state.centroids, centroids)
    assert talk.say(0, 4)[-1].confidence > 0.9


@pytest.mark.parametrize(("closer", "labels"), [(0.1, [0, 1]), (0.0, [0])])
def test_voices_must_be_closer_to_be_one_while_little_was_said(closer, labels):
    talk = Talk(TrackerConfig(group_cosine=0.35, young_cosine=closer, slow_seconds=NEVER))
    for share in (0.0, 0.7, 0.0, 0.7):  # the two have a cosine of 0.39
        for _ in range(6):
            talk.hear(Heard(piece_of(talk.hop, 0), HOP, between(talk, 0, 1, share)))
            talk.hop += 1
    assert talk.state.labels == labels


def test_what_is_very_like_a_label_is_nobody_new():
    for known, labels in ((1.0, [0, 1]), (0.7, [0])):
        config = TrackerConfig(group_cosine=0.95, keep_cosine=0.0, known_cosine=known, slow_seconds=NEVER)
        talk = Talk(config, seed=3)
        for share in (0.0, 0.35):
            for _ in range(30):
                vector = (1.0 - share) * np.eye(DIMENSION)[0] + share * np.eye(DIMENSION)[1]
                unit = (vector / np.linalg.norm(vector)).astype(np.float32)
                window = Embedding(unit, Segment(talk.hop * HOP, (talk.hop + 1) * HOP), samples_of(1.5))
                talk.hear(Heard(piece_of(talk.hop, 0), HOP, window))
                talk.hop += 1
        assert talk.state.labels == labels


def test_what_sounds_like_no_voice_gives_birth_to_nobody():
    normal = np.zeros(DIMENSION, np.float32)
    normal[1] = -10.0
    talk = Talk(voicing=Voicing(normal, 2.0))
    assert {d.label for d in talk.say(1, 20)} == {-1}
    assert {d.label for d in talk.say(0, 20)[2:]} == {0}


def test_an_unusual_voice_is_somebody_where_it_is_surely_speech():
    normal = np.zeros(DIMENSION, np.float32)
    normal[1] = -2.0  # voice 1 lies a little on the wrong side
    for certainty, born in ((0.7, 0), (0.95, 1)):
        talk = Talk(voicing=Voicing(normal, 0.5))
        for _ in range(10):
            talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(1), certainty=certainty))
            talk.hop += 1
        assert talk.state.born == born


def test_a_moment_proves_less_of_a_voice_than_two_seconds():
    normal = np.zeros(DIMENSION, np.float32)
    talk = Talk(voicing=Voicing(normal, -2.2))  # all sounds are on the wrong side, not by much
    births = []
    for _ in range(6):
        births.append(talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0), certainty=0.89))[1])
        talk.hop += 1
    assert not any(births[:2])
    assert sum(map(len, births)) == 1


def test_what_the_segmenter_hears_as_two_are_two_though_they_sound_alike():
    """Two voices with a cosine at which windows are one voice's, unless their local speakers differ."""
    for told, born in ((False, 1), (True, 2)):
        talk = Talk(TrackerConfig(slow_seconds=NEVER))
        said: dict[int, list[int]] = {0: [], 1: []}
        for hop in range(24):
            speaker = hop // 4 % 2
            piece = piece_of(talk.hop, speaker)
            window = between(talk, 0, 1, 0.78 if speaker else 0.22)
            links = tuple((one, HOP) for one in said[speaker][-16:])
            others = tuple(said[1 - speaker][-16:]) if told else ()
            talk.hear(Heard(piece, HOP, window, links=links, others=others))
            said[speaker].append(piece)
            talk.hop += 1
        assert talk.state.born == born


def test_speech_under_another_gives_birth_to_nobody():
    talk = Talk()
    talk.say(0, 10)
    for _ in range(10):
        decisions, births = talk.hear(
            Heard(piece_of(talk.hop, 0), HOP, talk.window(0)),
            Heard(piece_of(talk.hop, 1), HOP, talk.window(1), alone=False),
        )
        talk.hop += 1
        assert births == []
        assert decisions[1].label == 0
    assert talk.state.born == 1


def test_what_is_hardly_speech_gives_birth_to_nobody():
    talk = Talk()
    for _ in range(20):
        decisions, births = talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0), certainty=0.6))
        talk.hop += 1
        assert (decisions[0].label, births) == (-1, [])
