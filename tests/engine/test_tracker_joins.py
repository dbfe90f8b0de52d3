"""Labels that turn out to be one voice are joined, one that holds two is split; names stay apart."""

import pickle

import numpy as np
import pytest

from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import Heard, Joined, Regrouped, piece_of
from tests.engine.conftest import NEVER, Talk, known_two


@pytest.mark.parametrize(("hops", "joined"), [((30, 10), Joined(1, 0)), ((10, 30), Joined(0, 1))])
def test_labels_that_turn_out_to_be_one_voice_are_joined_into_the_one_that_holds_more(hops, joined):
    talk = Talk()
    for number, count in enumerate(hops):
        talk.say(number, count)
    assert talk.state.labels == [0, 1]
    talk.tracker = Tracker(TrackerConfig(group_cosine=-1.0, slow_seconds=NEVER), 20)
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == [joined]
    assert set(talk.state.memory.labels.tolist()) == {joined.kept} == set(talk.state.labels)


def test_a_label_that_two_others_share_goes_to_the_one_that_has_more_of_it():
    talk = Talk(TrackerConfig(keep_cosine=0.0, slow_seconds=NEVER))
    talk.say(0, 12)
    talk.say(1, 12)
    shared = talk.state.bear(())
    talk.state.memory.labels[[0, 12, 13, 14]] = shared
    talk.state.centre()
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == [Joined(shared, 1)]


def two_voices_under_one_label(split: float, slow: float = 4.0, share: float = 0.0) -> Talk:
    """Ten seconds of a second voice, all of which has the first one's label; then it would be told apart."""
    talk = Talk(TrackerConfig(group_cosine=-0.2, clear_cosine=-1.0, slow_seconds=NEVER))
    talk.say(0, 40)
    assert {d.label for d in talk.say(1, 20)} == {0}
    config = TrackerConfig(split_seconds=split, split_share=share, slow_seconds=slow)
    talk.tracker = Tracker(config, 20)
    talk.state.since = 0
    return talk


def test_what_was_one_label_is_split_when_there_is_enough_of_the_second_voice():
    for split, labels in ((15.0, [0]), (8.0, [0, 1])):
        talk = two_voices_under_one_label(split)
        talk.say(0, 16)
        assert talk.state.labels == labels
    assert [talk.tracker.nearest(talk.voice(n), talk.state)[0] for n in (0, 1)] == [0, 1]


@pytest.mark.parametrize(("share", "labels"), [(0.3, [0, 1]), (0.5, [0])])
def test_the_longer_a_label_was_one_person_the_more_has_to_leave_it(share, labels):
    talk = two_voices_under_one_label(8.0, share=share)
    talk.say(0, 16)  # ten seconds of another voice for 28 that stay
    assert talk.state.labels == labels


def test_a_label_is_split_by_two_slow_paths_in_a_row():
    talk = two_voices_under_one_label(8.0)
    talk.say(0, 8)
    assert talk.state.labels == [0]
    assert len(talk.state.leaving) == 20
    talk.say(0, 7)
    assert talk.state.labels == [0]
    talk.say(0, 1)
    assert talk.state.labels == [0, 1]
    assert not talk.state.leaving


def test_the_fast_path_alone_never_splits_a_label():
    talk = two_voices_under_one_label(8.0, slow=NEVER)
    talk.say(0, 40)
    assert talk.state.labels == [0]


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


@pytest.mark.parametrize("slow", [4.0, NEVER])
def test_labels_that_somebody_joined_stay_one(slow):
    talk = Talk(TrackerConfig(slow_seconds=slow))
    gone, kept = known_two(talk)[::-1]
    talk.tracker.join(gone, kept, talk.state)
    assert np.array_equal(talk.state.centroids, talk.state.memory.centroids([kept]))
    for _ in range(6):
        assert {d.label for n in (0, 1) for d in talk.say(n, 4)} == {kept}
    assert talk.state.labels == [kept]
    assert set(talk.state.memory.labels.tolist()) == {kept}  # the newest windows of either voice too


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


@pytest.mark.parametrize(("seconds", "changes"), [(9.0, [Joined(1, 0), Regrouped()]), (60.0, [Regrouped()])])
def test_the_longer_labels_are_known_the_closer_they_have_to_be_to_be_joined(seconds, changes):
    """Two labels whose means have a cosine of 0.62, by a slow path that starts with all in one group."""
    talk = Talk(TrackerConfig(slow_seconds=NEVER))
    assert known_two(talk) == (0, 1)
    memory = talk.state.memory
    for label, clean in ((0, (1.0, 0.0)), (1, (0.62, 0.785))):
        own = memory.labels == label
        memory.vectors[own] = 0.0
        memory.vectors[np.ix_(own, [0, 1])] = clean
        memory.weights[own] = seconds / own.sum()
    memory.products[:] = memory.vectors @ memory.vectors.T
    talk.state.centre()
    assert talk.state.centroids[0] @ talk.state.centroids[1] == pytest.approx(0.62, abs=0.01)
    talk.tracker = Tracker(TrackerConfig(part_cosine=-1.0), 20)
    assert talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0)))[1] == changes
