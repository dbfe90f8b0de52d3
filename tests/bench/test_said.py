"""What was on the screen in time, and what later events made of it."""

from rtspk.bench.said import Said
from rtspk.engine.events import Change, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.types import Segment, Turn, samples_of


def segment(number, label, start, end, state="tentative", rev=1):
    return SegmentEvent(number, rev, Turn(Segment(start, end), label, None, 0.5, 0.9), state)


def first(said):
    return [(piece.label, piece.span.start, piece.span.end) for piece in said.first]


def test_first_said_of_a_moment_is_what_stood_there_when_it_was_as_old_as_the_latency():
    said = Said(latency=500)
    said.hear([segment(1, "S1", 1000, 1400)], 1400)
    said.hear([segment(1, "S2", 1000, 2000)], 1800)  # 1000 to 1300 were too old by then
    said.hear([segment(1, "S2", 1000, 2000, "final")], 2600)
    said.end()
    assert first(said) == [("S1", 1000, 1300), ("S2", 1300, 2000)]
    assert said.revised == {1: "S2"}
    assert (said.said(), said.flipped()) == (1000, 300)
    assert said.delays == {1: 400 / 16_000}


def test_what_is_said_too_late_was_not_said_in_time():
    said = Said(latency=500)
    said.hear([], 1800)
    said.hear([segment(1, "S1", 1000, 2000, "final")], 1800)
    said.end()
    assert first(said) == [("S1", 1300, 2000)]
    assert [(t.start, t.end) for t in said.revised_turns("talk")] == [(1000 / 16_000, 2000 / 16_000)]


def test_a_change_within_the_latency_is_as_good_as_said_at_once():
    said = Said(latency=5000)
    said.hear([segment(1, "S1", 1000, 1200, "final")], 1400)
    said.hear([ReviseEvent((Change(1, 2, "S2", None, "new"),))], 1500)
    said.end()
    assert first(said) == [("S2", 1000, 1200)]
    assert said.flipped() == 0


def test_a_merged_label_is_another_from_then_on():
    said = Said(latency=400)
    said.hear([segment(1, "S2", 1000, 1200, "final")], 1400)
    said.hear([], 1600)
    said.hear([SpeakerEvent("merged", "S2", into="S1")], 1500)
    said.end()
    assert first(said) == [("S2", 1000, 1200)]
    assert said.revised == {1: "S1"}


def test_two_who_speak_at_once_are_both_said():
    said = Said(latency=400)
    said.hear([segment(1, "S1", 1000, 1400), segment(2, "S2", 1200, 1300)], 1400)
    said.end()
    assert sorted(first(said)) == [("S1", 1000, 1400), ("S2", 1200, 1300)]


def test_however_often_it_is_asked_the_answer_is_of_the_same_time():
    whole, often = Said(latency=900), Said(latency=900)
    whole.hear([segment(1, "S1", 0, 900)], 900)
    often.hear([segment(1, "S1", 0, 900)], 900)
    for now in range(900, 2100, 7):
        often.hear([], now)
    for said in (whole, often):
        said.end()
    assert whole.said() == often.said() == 900


def test_what_never_became_final_is_no_turn_in_the_end():
    said = Said(latency=400)
    said.hear([segment(1, "S1", 1000, 1200, "final"), segment(2, "S2", 1000, 1300)], 1400)
    assert [turn.speaker for turn in said.revised_turns("talk")] == ["S1"]
    assert said.first_turns("talk") == []  # until the stream goes on or ends
    said.end()
    assert sum(samples_of(t.end) - samples_of(t.start) for t in said.first_turns("talk")) == 500


def test_a_part_of_a_segment_that_is_cut_is_no_new_word_and_what_was_said_of_it_stays():
    said = Said(latency=2500)
    said.hear([segment(1, "S1", 1000, 3000)], 3200)
    said.hear([segment(1, "S1", 1000, 3000, "final", 2)], 3600)
    parts = [segment(1, "S1", 1000, 2000, "final", 4), segment(2, "S2", 2000, 3000, "final")]
    said.hear([ReviseEvent((Change(1, 3, "S1", None, "split"),)), *parts], 9000)
    said.end()
    assert first(said) == [("S1", 1000, 1100), ("S1", 1100, 3000)]
    assert said.delays == {1: 2200 / 16_000}
    assert (said.said(), said.flipped()) == (2000, 1000)
