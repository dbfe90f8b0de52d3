"""Labels: kept through pauses and strays, by who speaks at once and who spoke before."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from rtspk.engine.memory import NOBODY
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import RECENT, Decision, Heard, piece_of
from rtspk.engine.unit import unit
from rtspk.types import Embedding, Segment, samples_of
from tests.engine.conftest import NEVER, Talk, between, known_two
from tests.engine.conftest import VOICE_DIMENSION as DIMENSION


def test_two_voices_get_two_labels_and_keep_them():
    talk = Talk()
    first, second = talk.say(0, 10)[-1].label, talk.say(1, 10)[-1].label
    assert first != second
    for _ in range(5):
        assert talk.say(0, 6)[-1].label == first
        talk.pause(8)
        assert talk.say(1, 6)[-1].label == second
    assert talk.state.born == 2


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


def test_before_anybody_is_known_nothing_is_said_of_anybody():
    talk = Talk()
    (decision,), _ = talk.hear(Heard(piece_of(0, 0), HOP, talk.window(0), alone=False))
    assert decision == Decision(piece_of(0, 0), NOBODY, 0.0, 0.0, provisional=True)


@pytest.mark.parametrize(("speech", "heard"), [(0, True), (HOP, False)])
def test_what_holds_no_speech_or_was_not_heard_is_not_remembered_and_brings_no_slow_path_nearer(
    speech, heard
):
    talk = Talk()
    talk.say(0, 10)
    before, since = talk.state.memory.pieces.tolist(), talk.state.since
    talk.hear(Heard(piece_of(talk.hop, 0), speech, talk.window(1) if heard else None))
    assert (talk.state.memory.pieces.tolist(), talk.state.since) == (before, since)


@pytest.mark.parametrize("speech", [(HOP, 800), (800, HOP)])
def test_of_two_who_speak_at_once_who_says_most_is_expected_to_go_on(speech):
    talk = Talk()
    known = known_two(talk)
    talk.hear(*(Heard(piece_of(talk.hop, n), speech[n], talk.window(n), shared=HOP) for n in range(2)))
    ((decision,), _) = talk.hear(Heard(piece_of(talk.hop + 1, 0), 800))
    assert decision.label == known[int(np.argmax(speech))]


@pytest.mark.parametrize("pause", [0, 3, 30])
def test_the_longer_a_pause_the_likelier_somebody_else_goes_on(pause):
    talk = Talk()
    known_two(talk)
    talk.pause(pause)
    ((decision,), _) = talk.hear(Heard(piece_of(talk.hop, 0), 800))
    stay = (1.0 - talk.tracker.config.switch) ** min(pause + 1, 20)
    assert (decision.label, decision.confidence) == (1, pytest.approx(stay + (1.0 - stay) / 2, abs=1e-3))


def test_memory_is_bounded():
    talk = Talk(TrackerConfig(memory=30), max_speakers=3)
    for number in range(40):
        talk.say(number % 20, 12)
    assert len(talk.state.memory.weights) == 30
    assert len(talk.state.recent) == RECENT
    assert len(talk.state.labels) == len(talk.state.speech) == len(talk.state.centroids) == 3


def test_beliefs_stay_probabilities():
    talk = Talk()
    for number in (0, 1, 2, 0, 3):
        talk.say(number, 9)
        assert talk.state.belief.sum() == pytest.approx(1.0)
        assert (talk.state.belief >= 0).all()


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


def test_who_speaks_after_another_in_one_hop_is_somebody_however_faint():
    talk = Talk()
    known_two(talk)
    decisions, _ = talk.hear(
        Heard(piece_of(talk.hop, 0), 4000, talk.window(0), shared=800),
        Heard(piece_of(talk.hop, 1), 4000, between(talk, 1, 5, 0.95), alone=False, shared=800),
    )
    assert [d.label for d in decisions] == [0, 1]


def test_who_speaks_at_once_with_another_and_was_not_heard_is_the_other_label():
    talk = Talk()
    known_two(talk)
    decisions, _ = talk.hear(
        Heard(piece_of(talk.hop, 0), HOP, talk.window(1), shared=HOP),
        Heard(piece_of(talk.hop, 1), HOP, shared=HOP),
    )
    assert [d.label for d in decisions] == [1, 0]


def test_the_segmenter_speaks_for_linked_pieces_and_against_others_and_those_beside():
    talk = Talk()
    talk.say(0, 3)
    links, others = ((piece_of(2, 0), samples_of(0.3)),), (piece_of(1, 0),)
    talk.hear(
        Heard(piece_of(3, 0), HOP, talk.window(0), links=links, others=others),
        Heard(piece_of(3, 1), HOP, talk.window(1)),
    )
    config, hints = talk.tracker.config, talk.state.memory.hints
    assert hints[3] == pytest.approx([0.0, -config.parted_cosine, config.linked_cosine / 2, 0.0, hints[3, 4]])
    assert hints[4] == pytest.approx([0.0, 0.0, 0.0, -config.parted_cosine, 0.0])


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


@pytest.mark.parametrize(("share", "label"), [(0.5, 1), (0.95, 1), (1.3, -1)])
def test_who_is_heard_beside_somebody_and_is_unlike_their_label_is_nobody(share, label):
    talk = Talk()
    known_two(talk)
    other = between(talk, 1, 5, share)
    decisions, _ = talk.hear(
        Heard(piece_of(talk.hop, 0), HOP, talk.window(0), shared=HOP),
        Heard(piece_of(talk.hop, 1), HOP, other, alone=False, shared=HOP),
    )
    assert [d.label for d in decisions] == [0, label]


def test_who_is_heard_alone_or_sounds_most_like_a_label_is_somebody():
    talk = Talk()
    known_two(talk)
    faint = between(talk, 1, 5, 0.95)
    heard = Heard(piece_of(talk.hop, 0), HOP, faint, alone=False)
    state = pickle.dumps(talk.state)
    ((alone,), _) = talk.hear(heard)
    talk.state = pickle.loads(state)
    one, other = (between(talk, label, 6, 1.3) for label in (0, 1))
    unlike = replace(one, vector=unit(one.vector + other.vector))
    fainter = Heard(piece_of(talk.hop, 1), HOP, unlike, alone=False, shared=HOP)
    ((best, nobody), _) = talk.hear(replace(heard, shared=HOP), fainter)
    assert (alone.label, best.label, nobody.label) == (1, 1, -1)


def test_a_window_with_less_than_a_second_of_speech_says_less():
    talk = Talk()
    known_two(talk)
    vector, state = between(talk, 0, 1, 0.45).vector, pickle.dumps(talk.state)

    def odds(seconds: float) -> float:
        talk.state = pickle.loads(state)
        window = Embedding(vector, Segment(0, HOP), samples_of(seconds))
        talk.hear(Heard(piece_of(talk.hop, 0), HOP, window, alone=False))
        return float(np.log(talk.state.belief[0] / talk.state.belief[1]))

    nothing, half, whole, much = map(odds, (0.0, 0.5, 1.0, 4.0))
    assert nothing < half < whole
    assert half - nothing == pytest.approx(0.5 * (whole - nothing), rel=1e-5)
    assert much == pytest.approx(whole)


@pytest.mark.parametrize(("linked", "label"), [(1, 1), (2, 0)])
def test_links_count_by_the_speech_that_they_share(linked, label):
    talk = Talk()
    known_two(talk)
    links = tuple((piece_of(9 - n, 0), HOP) for n in range(linked))
    ((decision,), _) = talk.hear(Heard(piece_of(talk.hop, 0), 800, links=links))
    config, seconds = talk.tracker.config, 0.5 * linked
    trust = (1.0 - config.link_switch) * seconds / (seconds + config.link_seconds)
    first = trust + (1.0 - trust) * config.switch / 2
    assert (decision.label, decision.confidence) == (
        label,
        pytest.approx((first, 1 - first)[label], abs=1e-3),
    )


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


def test_a_turn_is_judged_to_be_another_labels_only_where_that_is_much_nearer():
    talk = Talk()
    first, second = known_two(talk)
    shares = np.array([0.0, 0.49, 0.6, 1.0, 1.0, 0.0])
    turns = np.stack([between(talk, 0, 1, share).vector for share in shares])
    now = [first, first, first, first, NOBODY, second]
    assert talk.tracker.judge(now, turns, talk.state) == [first, first, second, second, NOBODY, first]


def test_before_anybody_is_known_a_turn_keeps_its_label():
    talk = Talk()
    assert talk.tracker.judge([NOBODY], talk.window(0).vector[None], talk.state) == [NOBODY]
