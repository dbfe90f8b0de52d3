"""What was on the screen in time, and what later events made of it."""

from rtspk.bench.said import Said
from rtspk.engine.events import Change, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.types import Segment, Turn


def segment(number: int, label: str, end: int, state: str = "tentative", rev: int = 1) -> SegmentEvent:
    return SegmentEvent(number, rev, Turn(Segment(1000, end), label, None, 0.5, 0.9), state)


def test_first_is_the_label_when_the_beginning_was_as_old_as_the_latency():
    said = Said(latency=500)
    said.hear([segment(1, "S1", 1200)], 1400)
    said.hear([segment(1, "S2", 1400)], 1500)
    said.hear([segment(1, "S3", 2000, "final")], 2500)
    assert (said.first, said.revised) == ({1: "S2"}, {1: "S3"})
    assert said.flipped() == said.said() == 1000
    assert said.delays == {1: 400 / 16_000}


def test_a_segment_that_is_final_early_is_first_said_then():
    said = Said(latency=5000)
    said.hear([segment(1, "S1", 1200, "final")], 1400)
    said.hear([ReviseEvent((Change(1, 2, "S2", None, "new"),))], 1500)
    assert (said.first, said.revised) == ({1: "S1"}, {1: "S2"})


def test_a_merged_label_is_another_from_then_on():
    said = Said(latency=100)
    said.hear([segment(1, "S2", 1200, "final")], 1400)
    said.hear([SpeakerEvent("merged", "S2", into="S1")], 1500)
    assert (said.first, said.revised) == ({1: "S2"}, {1: "S1"})


def test_what_never_became_final_is_no_turn():
    said = Said(latency=100)
    said.hear([segment(1, "S1", 1200, "final"), segment(2, "S2", 1300)], 1400)
    assert [turn.speaker for turn in said.turns("talk", said.revised)] == ["S1"]
    assert said.said() == 200
