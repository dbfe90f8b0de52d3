"""Labels: born of enough agreeing speech, kept through pauses, never of scraps."""

import pickle

import numpy as np
import pytest

from rtspk.engine.prototype import Prototype
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import (
    PENDING,
    RECENT,
    Birth,
    Decision,
    Heard,
    Joined,
    TrackerState,
    piece_of,
)
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
            said += self.hear(Heard(piece_of(self.hop, 0), HOP, window))[0]
            self.hop += 1
        return said

    def hear(self, *heard: Heard) -> tuple[list[Decision], list[Birth]]:
        return self.tracker.observe(heard, self.state)

    def window(self, number: int) -> Embedding:
        return Embedding(self.voice(number), Segment(0, HOP), samples_of(1.5))

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
    scrap = talk.say(1, 1)
    assert [d.label for d in scrap] == [known]
    assert scrap[-1].provisional
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
    ((decision,), _) = talk.hear(Heard(piece_of(talk.hop, 0), HOP, window))
    assert decision.label == talk.say(0, 1)[0].label


def test_a_hop_without_a_window_follows_its_neighbourhood():
    talk = Talk()
    known = talk.say(0, 10)[-1].label
    ((decision,), births) = talk.hear(Heard(piece_of(talk.hop, 0), 800))
    assert (decision.label, births) == (known, [])


def test_prototypes_of_one_voice_are_merged_into_the_older():
    config = TrackerConfig(merge_cosine=0.5, new_share=2.0, pool_cosine=0.4, birth_seconds=0.25)
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
    config = TrackerConfig(merge_cosine=0.5, new_share=2.0, pool_cosine=0.4, birth_seconds=0.25)
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
    assert len(talk.state.recent) <= RECENT
    assert all(len(p.weights) <= 8 for p in talk.state.prototypes)


def test_beliefs_stay_probabilities():
    talk = Talk()
    for number in (0, 1, 2, 0, 3):
        talk.say(number, 9)
        assert talk.state.belief.sum() == pytest.approx(1.0)
        assert (talk.state.belief >= 0).all()


def test_a_label_of_two_voices_is_split_by_the_slow_path():
    talk = Talk(TrackerConfig(new_share=-3.0))  # nobody is new to the fast path
    talk.say(0, 16)
    assert {d.label for d in talk.say(1, 16)} == {0}
    assert talk.tracker.review(4, talk.state) == []  # not yet
    changes = talk.tracker.review(talk.hop, talk.state)
    assert changes == [Birth(1, ())]
    assert [talk.tracker.nearest(talk.voice(n), talk.state)[0] for n in (0, 1)] == [0, 1]
    assert talk.state.belief.shape == (3,)


def between_two_voices(heard_seconds):
    """A talk whose one label holds voices as alike as some are, after so much speech."""
    talk = Talk(TrackerConfig(new_share=-3.0, split_share=0.9, join_share=0.9, late_share=0.5))
    for alike in (1.0, 0.4):
        for _ in range(16):
            vector = (
                np.sqrt(1.0 - alike**2) * talk.voice(1) + alike * talk.voice(0) if alike else talk.voice(0)
            )
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            window = Embedding(unit, Segment(talk.hop * HOP, (talk.hop + 1) * HOP), samples_of(1.5))
            talk.hear(Heard(piece_of(talk.hop, 0), HOP, window))
            talk.hop += 1
    talk.state.prototypes[0].speech = samples_of(heard_seconds)
    return talk


def test_what_would_be_joined_again_at_once_is_not_split():
    early, late = between_two_voices(20.0), between_two_voices(600.0)
    assert early.tracker.review(early.hop, early.state) == [Birth(1, ())]
    assert late.tracker.review(late.hop, late.state) == []
    for talk in (early, late):  # and neither changes its mind
        assert talk.tracker.review(talk.hop + 20, talk.state) == []


def test_labels_of_one_voice_are_joined_by_the_slow_path():
    talk = Talk(TrackerConfig(merge_cosine=2.0))
    talk.say(0, 10)
    talk.state.labels.append(1)
    talk.state.born = 2
    talk.state.prototypes.append(Prototype.of([talk.voice(0)], [1.0], 40))
    talk.state.belief = np.append(talk.state.belief, 0.0)
    for _ in range(6):
        talk.state.memory.add(talk.voice(0), 0.5, 1, 160)
    talk.state.recent.clear()
    assert talk.tracker.review(talk.hop, talk.state, apart=(0, 1)) == []
    assert talk.tracker.review(talk.hop + 20, talk.state) == [Joined(1, 0)]
    assert set(talk.state.memory.labels.tolist()) == {0}


def test_labels_that_spoke_at_once_are_never_joined():
    talk = Talk(TrackerConfig(merge_cosine=-1.0, group_share=-5.0))
    known_two(talk)
    for _ in range(4):
        talk.hear(
            Heard(piece_of(talk.hop, 0), HOP, talk.window(0)),
            Heard(piece_of(talk.hop, 1), HOP, talk.window(1)),
        )
        talk.hop += 1
    assert talk.tracker.merge(talk.state) is None
    assert talk.tracker.review(talk.hop, talk.state) == []


def test_local_speakers_tell_how_alike_voices_are():
    talk = Talk()
    usual = talk.state.likeness.same, talk.state.likeness.other
    for _ in range(30):
        links = tuple((piece_of(talk.hop - back, 0), HOP) for back in (4, 5))
        apart = tuple((piece_of(talk.hop - back, 1), HOP) for back in (1, 4))
        talk.hear(
            Heard(piece_of(talk.hop, 0), HOP, talk.window(0), links=links, apart=apart),
            Heard(piece_of(talk.hop, 1), HOP, talk.window(1), links=apart, apart=links),
        )
        talk.hop += 1
    likeness = talk.state.likeness
    assert likeness.same > usual[0] + 0.2
    assert likeness.other < usual[1] - 0.05


def known_two(talk: Talk) -> tuple[int, int]:
    return talk.say(0, 10)[-1].label, talk.say(1, 10)[-1].label


def test_two_who_speak_at_once_are_two_people():
    talk = Talk()
    known = known_two(talk)
    # The second one's window sounds like the first, but not as much as the first one's own.
    mixed = talk.voice(0) + 0.7 * talk.voice(1)
    second = Embedding((mixed / np.linalg.norm(mixed)).astype(np.float32), Segment(0, HOP), samples_of(1.0))
    decisions, births = talk.hear(
        Heard(piece_of(talk.hop, 0), HOP, talk.window(0)),
        Heard(piece_of(talk.hop, 1), HOP, second, alone=False),
    )
    assert [d.label for d in decisions] == list(known)
    assert births == []


def test_a_local_speaker_stays_who_they_were():
    talk = Talk()
    first, second = known_two(talk)
    talk.say(0, 2)
    between = talk.voice(0) + 1.2 * talk.voice(1)  # a little nearer to the second
    window = Embedding(
        (between / np.linalg.norm(between)).astype(np.float32), Segment(0, HOP), samples_of(1.0)
    )
    before = tuple((piece_of(talk.hop - back, 0), HOP) for back in (1, 2))
    piece = piece_of(talk.hop, 0)
    state = pickle.dumps(talk.state)
    ((linked,), _) = talk.hear(Heard(piece, HOP, window, links=before))
    talk.state = pickle.loads(state)
    ((apart,), _) = talk.hear(Heard(piece, HOP, window, apart=before))
    assert (linked.label, apart.label) == (first, second)


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
        assert decisions[1].provisional
    assert talk.state.born == 1


def test_what_is_hardly_speech_gives_birth_to_nobody():
    talk = Talk()
    for _ in range(20):
        decisions, births = talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0), certainty=0.6))
        talk.hop += 1
        assert (decisions[0].label, births) == (-1, [])


def test_joining_keeps_every_belief_a_probability():
    talk = Talk()
    gone, kept = known_two(talk)[::-1]
    talk.state.join(gone, kept, 40)
    assert talk.state.labels == [kept]
    for belief in [talk.state.belief, *talk.state.recent.values()]:
        assert belief.shape == (2,)
        assert belief.sum() == pytest.approx(1.0)
