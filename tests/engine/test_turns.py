"""What is said in hops becomes turns: joined, cut, settled once."""

import numpy as np
import pytest

from rtspk.engine.events import ReviseEvent, SegmentEvent
from rtspk.engine.settings import HOP
from rtspk.engine.tracker_state import NEXT, Decision
from rtspk.engine.turns import LONGEST, RECONSIDERED
from rtspk.engine.turns_state import REMEMBERED, Said, TurnsState
from rtspk.types import Segment, samples_of
from tests.engine.conftest import JOIN, VECTOR, Speech


def test_hops_of_one_label_are_one_turn():
    speech = Speech()
    speech.say(0, 5)
    assert speech.settle() == [(0, 5, "S1")]


def test_another_label_begins_another_turn():
    speech = Speech()
    speech.say(0, 5)
    speech.say(1, 3)
    assert speech.settle() == [(0, 5, "S1"), (5, 8, "S2")]


def test_a_pause_ends_a_turn():
    speech = Speech()
    speech.say(0, 4)
    speech.hop += 2
    speech.say(0, 4)
    assert [draft.end for draft in speech.turns.due(4 * HOP)] == [4 * HOP]  # at once
    assert speech.settle() == [(6, 10, "S1")]


@pytest.mark.parametrize(("later", "turns"), [(0, 1), (1, 0)])
def test_a_turn_is_open_until_the_pause_behind_it_is_long_enough(later, turns):
    speech = Speech()
    speech.say(0, 4)
    speech.turns.pause(4 * HOP + JOIN + later)
    assert len(speech.turns.state.open) == turns


def test_speech_without_a_place_is_no_turn():
    speech = Speech()
    speech.turns.extend([Said(Decision(0, 0, 0.5, 0.9, provisional=False), [], VECTOR)])
    assert speech.turns.state == TurnsState()


def test_a_turn_is_as_sure_as_its_windows_in_the_mean():
    speech = Speech()
    for hop, (score, vector) in enumerate([(0.2, [3.0, 0.0]), (0.6, [0.0, 4.0]), (0.9, None)]):
        decision = Decision(hop, 0, score, score / 2, provisional=False)
        heard = None if vector is None else np.array(vector, np.float32)
        speech.turns.extend([Said(decision, [Segment(hop * HOP, (hop + 1) * HOP)], heard)])
    speech.settle()
    turn = speech.turns.state.events[-1].turn
    assert (turn.score, turn.confidence) == pytest.approx((0.4, 0.2))
    assert not turn.overlap
    assert speech.turns.state.finals[-1].vector == pytest.approx([0.6, 0.8])


def test_a_long_turn_is_cut():
    speech = Speech()
    longest = LONGEST // HOP
    speech.say(0, longest + 5)
    assert speech.settle() == [(0, longest, "S1"), (longest, longest + 5, "S1")]


@pytest.mark.parametrize(
    ("length", "labels"),
    [(700, ["S2"]), (3999, ["S2"]), (4000, ["S1", "S2"])],  # of 0.25 s
)
def test_a_sliver_before_a_change_goes_to_who_goes_on(length, labels):
    speech = Speech()
    first = Decision(0, 0, 0.5, 0.9, provisional=False)
    speech.turns.extend([Said(first, [Segment(HOP - length, HOP)], VECTOR)])
    speech.hop = 1
    speech.say(1, 4)
    assert [label for _, _, label in speech.settle()] == labels


@pytest.mark.parametrize(("own", "label"), [((0, 1), "S2"), ((0,), "S1")])
def test_a_turn_is_a_new_voices_where_half_of_it_is(own, label):
    speech, said = Speech(), Speech()
    for one in (speech, said):
        one.say(0, 4, provisional=True)
    said.settle()
    for one in (speech, said):
        one.turns.born(1, own)
    assert speech.settle() == [(0, 4, label)]
    assert said.revised() == ([(1, "S2", "new")] if label == "S2" else [])


def test_a_voice_that_is_born_goes_on_with_its_open_turn():
    speech = Speech()
    speech.say(0, 2, provisional=True)
    speech.turns.born(1, (0, 1))
    assert speech.turns.state.events[-1].turn.label == "S2"
    speech.say(1, 2)
    assert speech.settle() == [(0, 4, "S2")]


def test_who_may_be_new_and_is_somebody_known_goes_on_with_the_open_turn():
    speech = Speech()
    speech.say(NEXT, 2, provisional=True)
    speech.turns.recast(lambda _pieces, _vector: 0)
    speech.say(0, 2)
    assert speech.settle() == [(0, 4, "S1")]


def test_who_may_be_the_first_is_shown_as_the_first():
    speech = Speech()
    speech.say(NEXT, 1, provisional=True)
    assert speech.turns.state.events[-1].turn.label == "S1"


def test_provisional_turns_are_their_own_and_become_the_new_voice():
    speech = Speech()
    speech.say(0, 4)
    speech.say(0, 4, provisional=True)
    assert speech.settle() == [(0, 4, "S1"), (4, 8, "S1")]
    speech.turns.born(1, (4, 5, 6, 7))
    (revise,) = [e for e in speech.turns.state.events if isinstance(e, ReviseEvent)]
    assert revise.to_json() == {
        "type": "revise",
        "changes": [{"id": 2, "rev": 6, "speaker": "S2", "name": None, "reason": "new"}],
    }


def test_a_pause_within_a_hop_leaves_no_turn_to_just_any_new_voice():
    speech = Speech()
    halves = [Segment(100, 300), Segment(300 + JOIN + 1, 300 + JOIN + 500)]
    speech.turns.extend([Said(Decision(7, 0, 0.5, 0.9, provisional=True), halves, VECTOR)])
    speech.turns.born(1, (1, 2, 3))
    assert [label for _, _, label in speech.settle()] == ["S1", "S1"]
    speech.turns.born(1, (6, 7))
    (revise,) = [e for e in speech.turns.state.events if isinstance(e, ReviseEvent)]
    assert [change.id for change in revise.changes] == [1, 2]


def test_a_hop_with_a_short_pause_counts_once():
    speech = Speech()
    for hop in (0, 1):
        begin = hop * HOP
        spans = [Segment(begin, begin + 3000), Segment(begin + 3500, begin + HOP)]
        speech.turns.extend([Said(Decision(hop, 0, 0.5, 0.9, provisional=True), spans, VECTOR)])
    assert [draft.pieces for draft in speech.turns.state.open] == [[0, 1]]


def test_a_turn_without_a_voice_is_not_said_until_it_has_one():
    speech = Speech()
    speech.say(-1, 3, provisional=True)
    assert speech.turns.state.events == []
    speech.turns.born(0, (0, 1, 2))
    assert speech.settle() == [(0, 3, "S1")]


def test_a_turn_that_never_gets_a_voice_is_dropped():
    speech = Speech()
    speech.say(-1, 2, provisional=True)
    speech.turns.close()
    speech.turns.drop_unknown(samples_of(100.0))
    assert speech.turns.state.closed == []


def test_naming_revises_what_was_final():
    speech = Speech()
    speech.say(0, 4)
    speech.settle()
    speech.turns.name(0, "Anna")
    (revise,) = [e for e in speech.turns.state.events if isinstance(e, ReviseEvent)]
    assert [(c.id, c.name, c.reason) for c in revise.changes] == [(1, "Anna", "named")]
    speech.hop += 8
    speech.say(0, 2)
    assert speech.turns.state.events[-1].turn.name == "Anna"


def test_a_name_that_is_taken_back_is_gone():
    speech = Speech()
    speech.turns.name(0, "Anna")
    speech.turns.name(0, None)
    speech.say(0, 1)
    assert speech.turns.state.events[-1].turn.name is None


def finals_of(count: int) -> Speech:
    """Final turns of one hop each, provisional ones of the first label."""
    speech = Speech()
    for _ in range(count):
        speech.say(0, 1, provisional=True)
        speech.hop += 2
    speech.settle()
    return speech


def test_final_turns_are_judged_anew_by_what_was_heard_of_them():
    speech = finals_of(3)
    speech.turns.state.finals[1].vector = None
    asked = []

    def judge(labels, vectors):
        asked.append((labels, vectors.tolist()))
        return [2, labels[1]]

    speech.turns.reconsider(judge)
    assert asked == [([0, 0], [[0.5] * 4] * 2)]
    assert speech.revised() == [(1, "S3", "corrected")]


def test_where_nothing_was_heard_of_final_turns_nobody_is_asked():
    speech = finals_of(1)
    speech.turns.state.finals[0].vector = None
    speech.turns.reconsider(lambda _labels, _vectors: pytest.fail("asked"))


def test_only_the_last_final_turns_are_judged_anew():
    speech = finals_of(RECONSIDERED + 2)
    speech.turns.reconsider(lambda labels, _vectors: [1] * len(labels))
    assert [number for number, _, _ in speech.revised()] == list(range(3, RECONSIDERED + 3))


def test_of_a_stream_without_end_so_many_final_turns_are_remembered():
    speech = finals_of(REMEMBERED + 3)
    state = speech.turns.state
    assert (state.open, state.closed) == ([], [])
    assert [final.id for final in state.finals] == list(range(4, REMEMBERED + 4))


def test_what_was_corrected_may_still_be_a_new_voices_and_what_was_named_may_not():
    speech = finals_of(2)
    speech.turns.reconsider(lambda labels, _vectors: labels)
    speech.turns.state.finals[0].vector = None
    speech.turns.reconsider(lambda labels, _vectors: [1] * len(labels))
    speech.turns.name(0, "Anna")
    speech.turns.born(2, (0, 3))
    assert speech.revised() == [(2, "S2", "corrected"), (1, "S1", "named"), (2, "S3", "new")]


@pytest.mark.parametrize(
    ("other", "speaks"),
    [(Segment(2 * HOP, 4 * HOP), True), (Segment(0, HOP), False), (Segment(3 * HOP, 4 * HOP), False)],
)
def test_a_label_speaks_at_the_time_of_another_turn_where_the_two_overlap(other, speaks):
    speech = Speech()
    speech.hop = 1
    speech.say(0, 2)  # hops 1 and 2
    (draft,) = speech.turns.state.open
    speech.turns.extend([Said(Decision(9, 1, 0.5, 0.9, provisional=False), [other], VECTOR)])
    assert speech.turns.speaks(1, draft) == speaks
    assert not speech.turns.speaks(0, draft)
    assert not speech.turns.speaks(2, draft)


def test_merging_moves_final_and_open_turns():
    speech = Speech()
    speech.say(0, 4)
    speech.say(1, 4)
    speech.settle()
    speech.say(1, 4)
    speech.turns.merge(1, 0)
    (revise,) = [e for e in speech.turns.state.events if isinstance(e, ReviseEvent)]
    assert [(c.id, c.label, c.reason) for c in revise.changes] == [(2, "S1", "merged")]
    assert speech.settle()[-1][2] == "S1"


def test_a_label_that_is_merged_leaves_no_name_behind():
    speech = Speech()
    for label, name in enumerate(("Anna", "Ben")):
        speech.turns.name(label, name)
    speech.turns.merge(1, 0)
    assert speech.turns.state.names == {0: "Anna"}


def test_only_what_is_behind_the_horizon_is_due():
    speech = Speech()
    speech.say(0, 4)
    speech.say(1, 4)
    speech.turns.close()
    assert [d.label for d in speech.turns.due(5 * HOP)] == [0]
    assert [d.label for d in speech.turns.due(8 * HOP)] == [1]


def both(hop: int, *, overlap: bool = True) -> list[Said]:
    span = Segment(hop * HOP, (hop + 1) * HOP)
    return [
        Said(Decision(3 * hop + n, n, 0.5, 0.9, provisional=False), [span], VECTOR, overlap) for n in range(2)
    ]


def test_two_who_speak_at_once_have_a_turn_each():
    speech = Speech()
    for hop in range(4):
        speech.turns.extend(both(hop))
    assert sorted(speech.settle()) == [(0, 4, "S1"), (0, 4, "S2")]
    final = [e for e in speech.turns.state.events if isinstance(e, SegmentEvent) and e.state == "final"]
    assert all(event.turn.overlap for event in final)


def test_a_turn_goes_on_while_another_comes_and_goes():
    speech = Speech()
    speech.say(0, 2)
    speech.turns.extend(both(2))
    speech.hop = 3
    speech.say(0, 3)
    assert sorted(speech.settle()) == [(0, 6, "S1"), (2, 3, "S2")]


def test_a_turn_is_settled_once_when_its_beginning_is_old():
    speech = Speech()
    speech.say(0, 3)
    assert speech.turns.ageing(0) == []
    (draft,) = speech.turns.ageing(1)
    speech.turns.relabel(draft, 4)
    assert speech.turns.ageing(2 * HOP) == []
    assert speech.turns.state.events[-1].turn.label == "S5"
