"""Labels: born of enough agreeing speech, kept through pauses, never of scraps."""

import numpy as np
import pytest

from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker import PENDING, Decision, Tracker, TrackerState
from rtspk.types import Embedding, FloatArray, Segment, samples_of

DIMENSION = 64


class Talk:
    """Voices as noisy directions, a hop at a time."""

    def __init__(self, config: TrackerConfig | None = None, max_speakers: int = 20, seed: int = 0) -> None:
        self.tracker = Tracker(config or TrackerConfig(), max_speakers)
        self.state = TrackerState()
        self.rng = np.random.default_rng(seed)
        self.hop = 0

    def voice(self, number: int) -> FloatArray:
        clean = np.zeros(DIMENSION)
        clean[number] = 1.0
        vector = clean + self.rng.normal(0.0, 0.08, DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def say(self, number: int, hops: int, net_speech: int = samples_of(1.5)) -> list[Decision]:
        said = []
        for _ in range(hops):
            window = Embedding(self.voice(number), Segment(self.hop * HOP, (self.hop + 1) * HOP), net_speech)
            said.append(self.tracker.observe(self.hop, window, HOP, self.state)[0])
            self.hop += 1
        return said

    def pause(self, hops: int) -> None:
        self.hop += hops


def test_two_voices_get_two_labels_and_keep_them():
    talk = Talk()
    first, second = talk.say(0, 10)[-1].label, talk.say(1, 10)[-1].label
    assert first != second
    for _ in range(5):
        assert talk.say(0, 6)[-1].label == first
        talk.pause(8)
        assert talk.say(1, 6)[-1].label == second
    assert talk.state.born == 2


def test_a_scrap_of_a_new_voice_gets_no_label():
    talk = Talk()
    known = talk.say(0, 12)[-1].label
    scrap = talk.say(1, 3)
    assert [d.label for d in scrap] == [known] * 3
    assert scrap[-1].provisional
    assert talk.state.born == 1


def test_a_birth_takes_the_earlier_hops_of_the_voice_along():
    talk = Talk()
    talk.say(0, 12)
    births = []
    for _ in range(8):
        window = Embedding(talk.voice(1), Segment(talk.hop * HOP, (talk.hop + 1) * HOP), samples_of(1.5))
        births.append(talk.tracker.observe(talk.hop, window, HOP, talk.state)[1])
        talk.hop += 1
    (birth,) = [b for b in births if b is not None]
    assert set(range(13, 16)) <= set(birth.hops) <= set(range(12, 20))


def test_windows_that_disagree_give_birth_to_nobody():
    talk = Talk()
    talk.say(0, 12)
    for number in range(10, 40):
        talk.say(number, 1)
    assert talk.state.born == 1


def test_no_more_labels_than_allowed():
    talk = Talk(max_speakers=2)
    for number in range(5):
        talk.say(number, 10)
    assert talk.state.born == 2
    assert len(talk.state.labels) == 2


def test_one_stray_window_does_not_change_the_speaker():
    talk = Talk()
    talk.say(1, 10)
    talk.say(0, 20)
    between = 0.5 * talk.voice(0) + 0.52 * talk.voice(1)
    window = Embedding(between / np.linalg.norm(between), Segment(0, HOP), samples_of(1.5))
    decision, _ = talk.tracker.observe(talk.hop, window, HOP, talk.state)
    assert decision.label == talk.say(0, 1)[0].label


def test_a_hop_without_a_window_follows_its_neighbourhood():
    talk = Talk()
    known = talk.say(0, 10)[-1].label
    decision, birth = talk.tracker.observe(talk.hop, None, 800, talk.state)
    assert (decision.label, birth) == (known, None)


def test_prototypes_of_one_voice_are_merged_into_the_older():
    config = TrackerConfig(merge_cosine=0.5, new_cosine=0.9, pool_cosine=0.4, birth_seconds=0.25)
    talk = Talk(config)
    talk.say(0, 10)
    assert talk.state.born > 1
    assert talk.tracker.merge(talk.state) is not None
    gone_speech = sum(p.speech for p in talk.state.prototypes)
    while (joined := talk.tracker.merge(talk.state)) is not None:
        gone, kept = joined
        assert kept < gone
        assert gone not in talk.state.labels
    assert len(talk.state.labels) == len(talk.state.prototypes) == len(talk.state.belief) - 1 == 1
    assert sum(p.speech for p in talk.state.prototypes) == gone_speech


def test_two_labels_with_names_are_never_merged():
    config = TrackerConfig(merge_cosine=0.5, new_cosine=0.9, pool_cosine=0.4, birth_seconds=0.25)
    talk = Talk(config)
    talk.say(0, 10)
    assert talk.tracker.merge(talk.state, apart=talk.state.labels) is None
    assert talk.tracker.merge(talk.state, apart=talk.state.labels[1:]) is not None


def test_memory_is_bounded():
    config = TrackerConfig(exemplars=8)
    talk = Talk(config, max_speakers=3)
    for number in range(40):
        talk.say(number % 20, 12)
    assert len(talk.state.pending) <= PENDING
    assert all(len(p.weights) <= 8 for p in talk.state.prototypes)


def test_beliefs_stay_probabilities():
    talk = Talk()
    for number in (0, 1, 2, 0, 3):
        talk.say(number, 9)
        assert talk.state.belief.sum() == pytest.approx(1.0)
        assert (talk.state.belief >= 0).all()
