import random

import pytest

from rtspk.engine.events import Change, EndEvent, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.transcript import Transcript, joined
from rtspk.types import Segment, Turn


def said(number, rev, start, end, label, name=None, state="final", confidence=0.9):
    turn = Turn(Segment(start, end), label, name, 0.5, confidence)
    return SegmentEvent(number, rev, turn, state)


def transcript_of(*events):
    transcript = Transcript()
    transcript.apply_all(events)
    return transcript


def who(transcript):
    return [(t.segment.start, t.segment.end, t.label, t.name) for t in transcript.turns()]


def test_a_later_revision_replaces_an_earlier_one_and_never_the_other_way_round():
    transcript = transcript_of(said(1, 2, 0, 20, "S2"), said(1, 1, 0, 10, "S1"))
    assert who(transcript) == [(0, 20, "S2", None)]


def test_turns_come_by_start_however_they_were_said():
    events = [said(number, 1, 10 * number, 10 * number + 5, "S1") for number in range(20)]
    shuffled = random.Random(3).sample(events, len(events))
    assert who(transcript_of(*shuffled)) == who(transcript_of(*events))


def test_a_revise_event_changes_the_segments_that_it_names_and_no_others():
    change = Change(1, 2, "S2", "Anna", "merged")
    transcript = transcript_of(said(1, 1, 0, 10, "S1"), said(2, 1, 10, 20, "S1"), ReviseEvent((change,)))
    assert who(transcript) == [(0, 10, "S2", "Anna"), (10, 20, "S1", None)]


def test_a_revise_event_that_is_older_than_what_is_known_or_names_nothing_changes_nothing():
    stale, unknown = Change(1, 1, "S9", None, "merged"), Change(7, 3, "S9", None, "merged")
    transcript = transcript_of(said(1, 2, 0, 10, "S1"), ReviseEvent((stale, unknown)))
    assert who(transcript) == [(0, 10, "S1", None)]


def test_a_name_holds_for_all_segments_of_its_label_however_old():
    transcript = transcript_of(
        said(1, 1, 0, 10, "S1"), said(2, 1, 10, 20, "S2"), SpeakerEvent("named", "S1", name="Anna")
    )
    assert who(transcript) == [(0, 10, "S1", "Anna"), (10, 20, "S2", None)]


def test_a_name_that_is_taken_back_is_gone_from_all_segments():
    transcript = transcript_of(
        said(1, 1, 0, 10, "S1", "Anna"), SpeakerEvent("named", "S1", name="Anna"), SpeakerEvent("named", "S1")
    )
    assert who(transcript) == [(0, 10, "S1", None)]


def test_merged_labels_become_one_with_the_name_of_the_one_that_stays():
    transcript = transcript_of(
        said(1, 1, 0, 10, "S1"),
        SpeakerEvent("named", "S1", name="Anna"),
        said(2, 1, 10, 20, "S2"),
        said(3, 1, 20, 30, "S3"),
        SpeakerEvent("merged", "S3", into="S2"),
        SpeakerEvent("merged", "S2", into="S1"),
    )
    assert who(transcript) == [(0, 10, "S1", "Anna"), (10, 20, "S1", "Anna"), (20, 30, "S1", "Anna")]
    assert [speaker.label for speaker in transcript.speakers()] == ["S1"]


def test_only_final_turns_are_given_where_only_they_are_asked_for():
    transcript = transcript_of(said(1, 1, 0, 10, "S1"), said(2, 1, 10, 20, "S1", state="tentative"))
    assert [turn.segment.end for turn in transcript.turns(final=True)] == [10]
    assert [turn.segment.end for turn in transcript.turns()] == [10, 20]


def test_the_end_tells_how_long_the_stream_was():
    assert Transcript().samples is None
    assert transcript_of(EndEvent(480000, 2)).samples == 480000


def test_a_speaker_sums_up_his_turns():
    transcript = transcript_of(
        said(1, 1, 100, 200, "S1", "Anna", confidence=0.5),
        said(2, 1, 200, 500, "S1", "Anna", confidence=0.9),
        said(3, 1, 800, 900, "S1", "Anna", confidence=0.9),
        said(4, 1, 0, 50, "S2"),
    )
    second, anna = transcript.speakers()
    assert (second.shown, second.spoken, second.first) == ("S2", 50, 0)
    assert (anna.shown, anna.spoken, anna.first) == ("Anna", 500, 100)
    assert anna.confidence == pytest.approx(0.82)


def test_turns_of_one_speaker_that_touch_are_joined_and_others_are_not():
    turns = transcript_of(
        said(1, 1, 0, 10, "S1"),
        said(2, 1, 10, 20, "S1"),
        said(3, 1, 15, 25, "S2"),
        said(4, 1, 20, 30, "S1"),
        said(5, 1, 31, 40, "S1"),
    ).turns()
    assert [(t.segment.start, t.segment.end, t.label) for t in joined(turns)] == [
        (0, 30, "S1"),
        (15, 25, "S2"),
        (31, 40, "S1"),
    ]


def test_joining_loses_no_sample_of_anybody():
    rng = random.Random(5)
    turns = []
    for _ in range(200):
        start = rng.randrange(1000)
        turns.append(
            Turn(Segment(start, start + rng.randrange(1, 40)), f"S{rng.randrange(3)}", None, 0.0, 1.0)
        )

    def spoken(those, label):
        return {s for t in those if t.label == label for s in range(t.segment.start, t.segment.end)}

    for label in ("S0", "S1", "S2"):
        assert spoken(joined(turns), label) == spoken(turns, label)
    assert len(joined(turns)) < len(turns)


def summed_up(transcript):
    """The slow twin of `speakers`: adds up the turns themselves."""
    own = {}
    for turn in transcript.turns():
        own.setdefault(turn.label, []).append(turn)
    return {
        label: (
            sum(t.segment.duration for t in turns),
            turns[0].segment.start,
            round(
                sum(t.confidence * t.segment.duration for t in turns)
                / sum(t.segment.duration for t in turns),
                6,
            ),
        )
        for label, turns in own.items()
    }


@pytest.mark.parametrize("seed", range(5))
def test_speakers_and_recent_turns_are_those_that_all_turns_give_after_any_events(seed):
    rng = random.Random(seed)
    transcript = Transcript()
    for step in range(600):
        label = f"S{rng.randrange(4)}"
        kind = rng.random()
        if kind < 0.8:
            number, start = step // 3, 30_000 * (step // 3)
            transcript.apply(
                said(number, step, start, start + rng.randrange(1, 5000), label, confidence=rng.random())
            )
        elif kind < 0.9:
            number = rng.randrange(step // 3 + 1)
            transcript.apply(ReviseEvent((Change(number, step, label, None, "new"),)))
        elif kind < 0.95:
            transcript.apply(SpeakerEvent("named", label, name=rng.choice(["Anna", None])))
        else:
            transcript.apply(SpeakerEvent("merged", label, into=f"S{rng.randrange(4)}"))
        if step % 7 == 0:
            found = {s.label: (s.spoken, s.first, round(s.confidence, 6)) for s in transcript.speakers()}
            assert found == summed_up(transcript)
    for since in (0, 1_000_000, 5_900_000):
        assert transcript.turns_since(since) == [t for t in transcript.turns() if t.segment.end > since]


def test_what_is_cut_out_of_an_old_turn_hides_no_later_one():
    late = said(2, 1, 5_000_000, 5_000_100, "S1")
    transcript = transcript_of(said(1, 1, 0, 10, "S1"), late, said(1, 2, 0, 5, "S1"), said(3, 1, 5, 10, "S2"))
    assert transcript.turns_since(5_000_000) == [late.turn]
    assert who(transcript)[:2] == [(0, 5, "S1", None), (5, 10, "S2", None)]
