"""Labels: born of enough agreeing speech, kept through pauses, never of scraps."""

import pickle

import numpy as np
import pytest

from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import (
    RECENT,
    Decision,
    Heard,
    Joined,
    LabelChange,
    Regrouped,
    TrackerState,
    piece_of,
)
from rtspk.engine.voicing import Voicing
from rtspk.types import Embedding, FloatArray, Segment, samples_of

DIMENSION = 192
NEVER = 1e6  # seconds between two slow paths


class Talk:
    """Voices as noisy directions, a hop at a time."""

    def __init__(
        self,
        config: TrackerConfig | None = None,
        max_speakers: int = 20,
        seed: int = 0,
        voicing: Voicing | None = None,
    ) -> None:
        self.tracker = Tracker(config or TrackerConfig(), max_speakers, voicing)
        self.state = TrackerState()
        self.rng = np.random.default_rng(seed)
        self.hop = 0

    def voice(self, number: int) -> FloatArray:
        clean = np.zeros(DIMENSION)
        clean[number] = 1.0
        vector = clean + self.rng.normal(0.0, 0.048, DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def say(self, number: int, hops: int, net_speech: int = samples_of(1.5)) -> list[Decision]:
        said = []
        for _ in range(hops):
            window = Embedding(self.voice(number), Segment(self.hop * HOP, (self.hop + 1) * HOP), net_speech)
            said += self.hear(Heard(piece_of(self.hop, 0), HOP, window))[0]
            self.hop += 1
        return said

    def hear(self, *heard: Heard) -> tuple[list[Decision], list[LabelChange]]:
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
    ((decision,), _) = talk.hear(Heard(piece_of(talk.hop, 0), HOP, between(talk, 0, 1, 0.5)))
    assert decision.label == talk.say(0, 1)[0].label


def test_a_hop_without_a_window_follows_its_neighbourhood():
    talk = Talk()
    known = talk.say(0, 10)[-1].label
    ((decision,), births) = talk.hear(Heard(piece_of(talk.hop, 0), 800))
    assert (decision.label, births) == (known, [])


def test_memory_is_bounded():
    talk = Talk(TrackerConfig(memory=30), max_speakers=3)
    for number in range(40):
        talk.say(number % 20, 12)
    assert len(talk.state.memory.weights) == 30
    assert len(talk.state.recent) <= RECENT
    assert len(talk.state.labels) == len(talk.state.speech) == len(talk.state.centroids) == 3


def test_beliefs_stay_probabilities():
    talk = Talk()
    for number in (0, 1, 2, 0, 3):
        talk.say(number, 9)
        assert talk.state.belief.sum() == pytest.approx(1.0)
        assert (talk.state.belief >= 0).all()


def between(talk: Talk, one: int, other: int, share: float) -> Embedding:
    """A window that is so much of the second voice."""
    vector = np.zeros(DIMENSION)
    vector[one], vector[other] = 1.0 - share, share
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Embedding(unit, Segment(talk.hop * HOP, (talk.hop + 1) * HOP), samples_of(1.5))


@pytest.mark.parametrize(("hops", "joined"), [((30, 10), Joined(1, 0)), ((10, 30), Joined(0, 1))])
def test_labels_that_turn_out_to_be_one_voice_are_joined_into_the_one_that_holds_more(hops, joined):
    talk = Talk()
    for number, count in enumerate(hops):
        talk.say(number, count)
    assert talk.state.labels == [0, 1]
    talk.tracker = Tracker(TrackerConfig(group_cosine=-1.0, slow_seconds=NEVER), 20)
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == [joined]
    assert set(talk.state.memory.labels.tolist()) == {joined.kept} == set(talk.state.labels)


def test_what_was_one_label_is_split_when_there_is_enough_of_the_second_voice():
    close = TrackerConfig(group_cosine=-0.2)
    talk = Talk(close)
    talk.say(0, 40)
    assert {d.label for d in talk.say(1, 20)} == {0}
    for split, labels in ((15.0, [0]), (8.0, [0, 1])):  # ten seconds of it, all of which had a label
        talk.tracker = Tracker(TrackerConfig(split_seconds=split), 20)
        talk.say(0, 1)
        assert talk.state.labels == labels
    assert [talk.tracker.nearest(talk.voice(n), talk.state)[0] for n in (0, 1)] == [0, 1]


@pytest.mark.parametrize(("keep", "changes"), [(0.0, [Joined(1, 0)]), (0.3, [])])
def test_labels_hold_on_to_what_they_have(keep, changes):
    talk = Talk()
    known_two(talk)
    talk.tracker = Tracker(TrackerConfig(group_cosine=-0.1, keep_cosine=keep, slow_seconds=NEVER), 20)
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == changes


@pytest.mark.parametrize("named", [(), (0, 1)])
def test_labels_with_names_are_never_joined(named):
    talk = Talk()
    known_two(talk)
    talk.tracker = Tracker(TrackerConfig(group_cosine=-1.0, slow_seconds=NEVER), 20)
    (_, changes) = talk.tracker.observe(
        [Heard(piece_of(talk.hop, 0), HOP, talk.window(0))], talk.state, named
    )
    assert changes == ([] if named else [Joined(1, 0)])


def test_windows_behind_a_stray_one_go_to_their_own_voice_whatever_its_name():
    talk = Talk(TrackerConfig(slow_seconds=NEVER))
    known_two(talk)
    zero, one, sound = np.eye(DIMENSION, dtype=np.float32)[:3]
    stray, behind = 0.55 * zero + 0.6 * one + 0.9 * sound, 0.7 * zero + 0.9 * sound
    for vector in (stray, behind, behind, behind, behind, behind):
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        heard = Heard(piece_of(talk.hop, 0), HOP, Embedding(unit, Segment(0, HOP), samples_of(1.5)))
        _, changes = talk.tracker.observe([heard], talk.state, (0, 1))
        assert changes == []  # nobody new
        talk.hop += 1
        if vector is not stray:
            assert set(talk.state.memory.labels[20:]) == {0}  # the stray one too


@pytest.mark.parametrize(("closer", "labels"), [(0.1, [0, 1]), (0.0, [0])])
def test_voices_must_be_closer_to_be_one_while_little_was_said(closer, labels):
    talk = Talk(TrackerConfig(group_cosine=0.35, young_cosine=closer, slow_seconds=NEVER))
    for share in (0.0, 0.7, 0.0, 0.7):  # the two have a cosine of 0.39
        for _ in range(6):
            talk.hear(Heard(piece_of(talk.hop, 0), HOP, between(talk, 0, 1, share)))
            talk.hop += 1
    assert talk.state.labels == labels


def test_what_is_very_like_a_label_is_nobody_new():
    for known, labels in ((2.0, [0, 1]), (0.7, [0])):
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


def one_voice_under_two_labels(seconds: float) -> Talk:
    """So much speech of one voice under each; the slow path comes with the next hop."""
    talk = Talk(TrackerConfig(slow_seconds=NEVER))
    talk.say(0, round(4 * seconds))
    talk.state.bear(())
    talk.state.memory.labels[1::2] = 1
    talk.state.centre()
    talk.tracker = Tracker(TrackerConfig(), 20)
    return talk


def test_labels_with_much_speech_are_joined_by_the_slow_path_alone():
    talk = one_voice_under_two_labels(10.0)
    slow = pickle.loads(pickle.dumps(talk.state))
    talk.state.since = 0
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == []
    talk.state = slow
    changes = talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1]
    assert changes == [Joined(1, 0), Regrouped()]
    assert talk.state.labels == [0]


def test_labels_with_little_speech_are_joined_at_once():
    talk = one_voice_under_two_labels(5.0)
    talk.state.since = 0
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == [Joined(1, 0)]


def test_the_slow_path_joins_no_labels_with_names():
    talk = one_voice_under_two_labels(10.0)
    heard = Heard(piece_of(talk.hop, 0), HOP, talk.window(0))
    assert talk.tracker.observe([heard], talk.state, (0, 1))[1] == [Regrouped()]
    assert talk.state.labels == [0, 1]


def test_the_slow_path_comes_every_four_seconds_of_talk():
    talk = Talk()
    came = []
    for number in range(60):
        if talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1][-1:] == [Regrouped()]:
            came.append(number)
        talk.hop += 1 + 20 * (number % 2)  # pauses are no talk
    assert np.diff(came).tolist() == [8] * (len(came) - 1)
    assert came[0] == 20  # when more than ten seconds are remembered


def test_labels_that_somebody_joined_stay_one():
    talk = Talk()
    gone, kept = known_two(talk)[::-1]
    talk.tracker.join(gone, kept, talk.state)
    for _ in range(6):
        assert {d.label for n in (0, 1) for d in talk.say(n, 4)} == {kept}
    assert talk.state.labels == [kept]


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


def known_two(talk: Talk) -> tuple[int, int]:
    return talk.say(0, 10)[-1].label, talk.say(1, 10)[-1].label


def test_two_who_speak_at_once_are_two_people():
    talk = Talk(TrackerConfig(slow_seconds=NEVER))
    known = known_two(talk)
    # The second one's window sounds like the first, but not as much as the first one's own.
    second = between(talk, 0, 1, 0.4)
    for shared, labels in ((HOP, list(known)), (0, [known[0], known[0]])):
        decisions, changes = talk.hear(
            Heard(piece_of(talk.hop, 0), HOP, talk.window(0), shared=shared),
            Heard(piece_of(talk.hop, 1), HOP, second, alone=False, shared=shared),
        )
        talk.hop += 1
        assert [d.label for d in decisions] == labels
        assert changes == []


def test_a_local_speaker_stays_who_they_were():
    talk = Talk()
    first, second = known_two(talk)
    talk.say(0, 2)
    window = between(talk, 0, 1, 0.52)  # a little nearer to the second
    before = tuple((piece_of(talk.hop - back, 0), HOP) for back in (1, 2))
    others = tuple((piece_of(talk.hop - back, 0), HOP) for back in (4, 5))
    piece = piece_of(talk.hop, 0)
    state = pickle.dumps(talk.state)
    ((linked,), _) = talk.hear(Heard(piece, HOP, window, alone=False, links=before))
    talk.state = pickle.loads(state)
    ((other,), _) = talk.hear(Heard(piece, HOP, window, alone=False, links=others))
    assert (linked.label, other.label) == (first, second)


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


def test_joining_keeps_every_belief_a_probability():
    talk = Talk()
    gone, kept = known_two(talk)[::-1]
    talk.state.join(gone, kept)
    assert talk.state.labels == [kept]
    for belief in [talk.state.belief, *talk.state.recent.values()]:
        assert belief.shape == (1,)
        assert belief.sum() == pytest.approx(1.0)


def test_the_slow_path_joins_no_known_voices_that_are_not_alike():
    talk = Talk()
    known = known_two(talk)
    talk.say(0, 20)
    talk.say(1, 20)
    everybody = TrackerConfig(part_cosine=-1.0)  # the slow path starts with all in one group
    talk.tracker = Tracker(everybody, 20)
    talk.state.since = 8
    changes = talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1]
    assert changes == [Regrouped()]
    assert talk.state.labels == list(known)
    assert [talk.tracker.nearest(talk.voice(n), talk.state)[0] for n in (0, 1)] == list(known)
