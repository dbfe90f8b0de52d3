"""Turns that turn out to be two people's are cut, in the open."""

import numpy as np
import pytest

from rtspk.engine.memory import NOBODY
from rtspk.engine.parts import SHORTEST
from rtspk.engine.settings import HOP
from rtspk.engine.tracker_state import NEXT, Decision
from rtspk.engine.turns import RECONSIDERED, YOUNG
from rtspk.engine.turns_state import Said
from rtspk.types import Segment
from tests.engine.conftest import VECTOR, Speech

LATER = dict.fromkeys(range(10), 10_000)  # when labels were given: behind all that was said


def nothing(_pieces):
    return None


def span_of(hop: int) -> Segment:
    return Segment(hop * HOP, (hop + 1) * HOP)


def test_a_final_turn_of_two_people_is_cut_in_the_open():
    speech = Speech()
    speech.turns.name(1, "Ben")
    speech.say(0, 6)
    speech.settle()
    before = len(speech.turns.state.events)
    speech.turns.part({0: 0, 3: 1}, LATER, lambda pieces: np.full(4, len(pieces), np.float32))
    assert [event.to_json() for event in speech.turns.state.events[before:-1]] == [
        {
            "type": "revise",
            "changes": [{"id": 1, "rev": 8, "speaker": "S1", "name": None, "reason": "split"}],
        },
        {**speech.turns.state.events[before - 1].to_json(), "rev": 9, "end": 1.5},
    ]
    other = speech.turns.state.events[-1]
    assert (other.id, other.rev, other.state) == (2, 1, "final")
    assert (other.turn.segment, other.turn.label) == (Segment(3 * HOP, 6 * HOP), "S2")
    assert other.turn.name == "Ben"
    assert [(final.id, final.rev, final.vector[0]) for final in speech.turns.state.finals] == [
        (1, 9, 3),
        (2, 1, 3),
    ]


def test_parts_of_a_turn_are_turns_of_their_own():
    speech = Speech()
    speech.say(0, 6)
    speech.settle()
    speech.turns.part({0: 1, 2: 2, 4: 1}, LATER, nothing)
    assert [final.label for final in speech.turns.state.finals] == [1, 2, 1]
    before = len(speech.turns.state.events)
    speech.turns.part({0: 1, 2: 2, 4: 1}, LATER, nothing)
    assert len(speech.turns.state.events) == before
    speech.turns.merge(1, 2)
    assert speech.revised()[-2:] == [(1, "S3", "merged"), (3, "S3", "merged")]


def test_what_is_of_one_label_throughout_is_not_cut():
    speech = Speech()
    speech.say(0, 4)
    speech.settle()
    before = len(speech.turns.state.events)
    speech.turns.part({0: 1, 3: 1}, LATER, nothing)
    assert len(speech.turns.state.events) == before


def test_what_is_too_short_to_be_somebody_elses_cuts_nothing():
    speech = Speech()
    for hop, length in enumerate((HOP, SHORTEST - 1, HOP)):
        span = Segment(hop * HOP, hop * HOP + length)
        speech.turns.extend([Said(Decision(hop, 0, 0.5, 0.9, provisional=False), [span], VECTOR)])
    speech.settle()
    before = len(speech.turns.state.events)
    speech.turns.part({0: 0, 1: 1, 2: 0}, LATER, nothing)
    assert len(speech.turns.state.events) == before


@pytest.mark.parametrize("label", [NEXT, NOBODY])
def test_what_has_no_label_yet_is_not_cut(label):
    speech = Speech()
    speech.say(label, 4, provisional=True)
    before = list(speech.turns.state.events)
    speech.turns.part({0: 0, 2: 1}, LATER, nothing)
    assert speech.turns.state.events == before


def test_nobody_gets_a_part_of_a_turn_who_speaks_at_its_time():
    for others, cut in (([1, 2], False), ([0, 1], True)):
        speech = Speech()
        for hop in range(3):
            own = Said(Decision(3 * hop, 0, 0.5, 0.9, provisional=False), [span_of(hop)], VECTOR)
            beside = Said(Decision(3 * hop + 1, 1, 0.5, 0.9, provisional=False), [span_of(hop)], VECTOR)
            speech.turns.extend([own, beside] if hop in others else [own])
        speech.settle()
        speech.turns.part({0: 0, 6: 1}, LATER, nothing)
        assert (speech.revised() != []) == cut


def test_parts_that_may_be_a_new_voices_are_so_still():
    speech = Speech()
    speech.say(0, 4, provisional=True)
    speech.settle()
    speech.turns.part({0: 0, 2: 1}, LATER, nothing)
    speech.turns.born(5, (2, 3))
    assert speech.revised()[-1] == (2, "S6", "new")


def test_parts_that_are_somebodys_for_sure_are_so_still():
    speech = Speech()
    speech.say(0, 4)
    speech.settle()
    speech.turns.part({0: 0, 2: 1}, LATER, nothing)
    speech.turns.born(5, (2, 3))
    assert [reason for _, _, reason in speech.revised()] == ["split"]


def test_only_the_last_final_turns_are_cut():
    speech = Speech()
    for _ in range(RECONSIDERED + 1):
        speech.say(0, 2)
        speech.hop += 2
    speech.settle()
    speech.turns.part({piece: piece % 2 for piece in range(speech.hop)}, LATER, nothing)
    assert [number for number, _, _ in speech.revised()] == list(range(2, RECONSIDERED + 2))
    assert not any(final.parts for final in list(speech.turns.state.finals)[:-RECONSIDERED])


@pytest.mark.parametrize("over", [False, True])
def test_a_turn_that_goes_on_is_cut_likewise_and_its_last_part_goes_on(over):
    speech = Speech()
    speech.say(0, 4)
    if over:
        speech.turns.close()
    before = len(speech.turns.state.events)
    speech.turns.part({0: 0, 2: 1}, LATER, lambda _: np.full(4, 0.5, np.float32))
    events = speech.turns.state.events[before:]
    assert [(e.id, e.rev, e.turn.label, e.state) for e in events] == [
        (1, 5, "S1", "tentative"),
        (2, 1, "S2", "tentative"),
    ]
    assert [e.turn.confidence for e in events] == pytest.approx([0.9, 0.9])
    speech.say(1, 2)
    behind = [(2, 4, "S2"), (4, 6, "S2")] if over else [(2, 6, "S2")]
    assert speech.settle() == [(0, 2, "S1"), *behind]
    assert speech.turns.state.finals[0].vector == pytest.approx([0.5] * 4)


def test_what_goes_on_behind_a_cut_counts_by_its_windows():
    speech = Speech()
    for hop, score in enumerate((0.2, 0.4, 0.4, 0.6, 0.9)):
        if hop == 4:
            speech.turns.part({0: 0, 1: 1}, LATER, lambda _: np.array([1.0, 0.0], np.float32))
        decision = Decision(hop, int(hop > 3), score, score / 2, provisional=False)
        heard = np.array([0.0, float(hop > 3)], np.float32)
        speech.turns.extend([Said(decision, [span_of(hop)], heard)])
    assert speech.settle() == [(0, 1, "S1"), (1, 5, "S2")]
    first, rest = (event.turn for event in speech.turns.state.events[-2:])
    assert (first.score, first.confidence) == pytest.approx((0.4, 0.2))
    assert (rest.score, rest.confidence) == pytest.approx(((3 * 0.4 + 0.9) / 4, (3 * 0.2 + 0.45) / 4))
    assert speech.turns.state.finals[-1].vector == pytest.approx(np.array([3.0, 1.0]) / np.sqrt(10.0))


def test_a_turn_that_was_not_heard_is_cut_all_the_same():
    speech = Speech()
    speech.say(0, 4)
    speech.turns.part({0: 0, 2: 1}, LATER, nothing)
    assert speech.settle() == [(0, 2, "S1"), (2, 4, "S2")]
    assert [final.vector for final in speech.turns.state.finals] == [None, None]


@pytest.mark.parametrize(
    ("births", "cut"),
    [((0, 1), False), ((0, 2), True), ((2, 0), True), ((0, 9), True)],
)
def test_what_was_said_when_both_had_had_labels_for_long_stays_as_it_was_decided(births, cut):
    speech = Speech()
    speech.hop = YOUNG
    speech.say(0, 4)
    speech.settle()
    speech.turns.part({YOUNG: 0, YOUNG + 2: 1}, dict(enumerate(births)), nothing)
    assert (speech.revised() != []) == cut
