"""Names that a session says, held against the truth."""

import pytest

from rtspk.bench.named_stream import NamedStream, StreamResult, percentiles
from rtspk.engine.events import Change, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.rttm import SpeakerTurn
from rtspk.types import Segment, Turn, samples_of

# Anna from 0 to 4, a stranger from 5 to 9, Ben from 10 to 14.
TURNS = [SpeakerTurn("t", 0, 4, "Anna"), SpeakerTurn("t", 5, 9, "Who"), SpeakerTurn("t", 10, 14, "Ben")]
LENGTH = samples_of(15.0)


def segment(number, start, end, label, name=None, state="final"):
    return SegmentEvent(
        number, 1, Turn(Segment(samples_of(start), samples_of(end)), label, name, 0.5, 0.9), state
    )


def heard(*timed):
    stream = NamedStream(TURNS, {"Anna", "Ben"})
    for at, *events in timed:
        stream.hear(events, samples_of(at))
    return stream.result(LENGTH)


def test_names_that_are_all_right_have_no_error():
    result = heard(
        (2.5, segment(1, 0, 2, "S1", "Anna", "tentative")),
        (5, segment(1, 0, 4, "S1", "Anna")),
        (10, segment(2, 5, 9, "S2")),
        (14, segment(3, 10, 14, "S3", "Ben")),
    )
    assert result.detection_error == result.revised_detection_error == result.stranger_named == 0.0
    assert result.enrolled_speech == pytest.approx(8.0)
    assert result.stranger_speech == pytest.approx(4.0)
    assert result.delays == pytest.approx((2.5, 4.0))
    assert result.waits == pytest.approx((2.5, 4.0))
    assert (result.strangers, result.strangers_named) == (1, 0)
    assert result.named_within(3.0) == 0.5


def test_a_name_that_comes_later_counts_for_what_is_revised_and_not_for_what_was_said():
    result = heard(
        (5, segment(1, 0, 4, "S1")),
        (6, SpeakerEvent("named", "S1", name="Anna"), ReviseEvent((Change(1, 2, "S1", "Anna", "named"),))),
        (14.5, segment(3, 10, 14, "S3", "Ben")),
    )
    assert result.missed == pytest.approx(4.0)
    assert result.revised_missed == 0.0
    assert result.delays == pytest.approx((4.0, 4.0))
    assert result.waits == pytest.approx((6.0, 4.5))


def test_the_event_of_a_label_alone_names_all_its_segments_also_after_a_merge():
    result = heard(
        (5, segment(1, 0, 4, "S2")),
        (6, SpeakerEvent("merged", "S2", into="S1")),
        (7, SpeakerEvent("named", "S1", name="Anna")),
    )
    assert result.revised_missed == pytest.approx(4.0)  # Ben's
    assert result.delays[0] == pytest.approx(4.0)


def test_a_label_that_is_merged_gets_the_name_of_the_other():
    result = heard(
        (5, segment(1, 0, 4, "S2")),
        (14.5, segment(2, 10, 14, "S1")),
        (15, SpeakerEvent("named", "S1", name="Anna"), SpeakerEvent("merged", "S2", into="S1")),
    )
    assert result.revised_missed == pytest.approx(4.0)  # all of Ben's
    assert result.delays == pytest.approx((4.0, float("inf")))


def test_a_stranger_with_a_name_and_a_wrong_name_are_errors():
    result = heard((9, segment(2, 5, 9, "S1", "Anna")), (14, segment(3, 10, 14, "S3", "Anna")))
    assert result.missed == pytest.approx(8.0)
    assert result.wrong == pytest.approx(8.0)
    assert result.stranger_named == pytest.approx(4.0)
    assert result.strangers_named == 1
    assert result.delays == (float("inf"), float("inf"))
    assert result.detection_error == pytest.approx(2.0)


def test_a_stranger_whose_name_was_taken_back_had_one_all_the_same():
    result = heard(
        (7, segment(2, 5, 7, "S1", "Anna", "tentative")),
        (9, SpeakerEvent("named", "S1", name=None), segment(2, 5, 9, "S1")),
    )
    assert result.stranger_named == 0.0
    assert result.strangers_named == 1


def test_recordings_are_pooled():
    one = heard((5, segment(1, 0, 4, "S1", "Anna")))
    both = one + one
    assert both.enrolled_speech == pytest.approx(2 * one.enrolled_speech)
    assert both.delays == one.delays * 2
    assert one + StreamResult() == one


def test_a_segment_that_is_cut_counts_as_it_was_for_what_was_said_and_by_its_parts_for_what_is_revised():
    split = ReviseEvent((Change(1, 2, "S1", "Anna", "split"),))
    result = heard(
        (9.5, segment(1, 0, 9, "S1", "Anna")),
        (20, split, segment(1, 0, 4, "S1", "Anna"), segment(2, 5, 9, "S2")),
    )
    assert (result.wrong, result.stranger_named) == pytest.approx((5.0, 4.0))
    assert (result.revised_wrong, result.revised_stranger_named) == (0.0, 0.0)


def test_blanks_of_a_name_are_underscores_in_its_reference():
    stream = NamedStream([SpeakerTurn("t", 0, 4, "Ana_Jose\u0301")], {"Ana Jos\u00e9"})
    stream.hear([segment(1, 0, 4, "S1", "Ana Jos\u00e9")], samples_of(4.5))
    result = stream.result(samples_of(5.0))
    assert result.delays == pytest.approx((4.0,))
    assert (result.missed, result.wrong) == (0.0, 0.0)


def test_a_piece_that_is_mostly_somebody_elses_gives_nobody_their_name():
    result = heard((9.5, segment(1, 3, 9, "S1", "Anna")), (14, segment(3, 4, 10.5, "S3", "Ben")))
    assert result.delays == (float("inf"), float("inf"))
    assert result.named == 0


def test_who_speaks_behind_the_end_alone_is_nobody_to_be_named():
    stream = NamedStream(TURNS, {"Anna", "Ben"})
    stream.hear([segment(1, 0, 4, "S1", "Anna")], samples_of(4.0))
    result = stream.result(samples_of(9.0))
    assert result.delays == pytest.approx((4.0,))
    assert (result.strangers, result.missed) == (1, 0.0)


def test_times_to_names_are_told_of_all_and_never_is_none():
    one = heard((5, segment(1, 0, 4, "S1", "Anna")))
    assert one.named == 1
    assert one.time_to_name() == {
        "enrolled": 2,
        "named": 1,
        "p50": 4.0,
        "p95": None,
        "within_3s": 0.0,
        "ever": 0.5,
        "wait_p50": 5.0,
        "wait_p95": None,
    }
    assert StreamResult().time_to_name()["p50"] is None
    assert percentiles([3.0, 1.0, 2.0, float("inf")]) == (2.0, None)
    assert percentiles([float(n) for n in range(1, 21)]) == (10.0, 19.0)
