"""What people say of a session's labels, by names and merges, and what its tracker is told of who speaks."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rtspk.engine.anchors import Anchors
from rtspk.engine.events import Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import Heard
from rtspk.errors import GalleryError, SessionError
from rtspk.types import samples_of
from tests.engine.conftest import cut, json_of


def labels_of(events: list[Event]) -> set[str]:
    return {event.label for event in events if isinstance(event, SpeakerEvent) and event.event == "new"}


def test_a_label_that_a_person_names_keeps_that_name(setup, conversation):
    session = setup.begin()
    said = session.push(conversation[: samples_of(20.0)])
    named = session.label("S1", "Anna")
    session._session.label("S1", "Anna")
    assert setup.parts.identities.gallery.speakers() == []  # unless it is wanted, no voice is stored
    assert [e.to_json() for e in named if isinstance(e, SpeakerEvent)] == [
        {"type": "speaker", "event": "named", "speaker": "S1", "name": "Anna"}
    ]
    earlier = {
        e.id for e in said if isinstance(e, SegmentEvent) and e.state == "final" and e.turn.label == "S1"
    }
    assert earlier
    assert {change.id for e in named if isinstance(e, ReviseEvent) for change in e.changes} == earlier
    later = session.push(conversation[samples_of(20.0) :]) + session.finish()
    assert {e.turn.name for e in later if isinstance(e, SegmentEvent) and e.turn.label == "S1"} <= {"Anna"}


def test_a_name_that_is_kept_is_known_to_the_next_session(setup_at, conversation):
    setup = setup_at(1.0)
    first = setup.begin()
    first.push(conversation[: samples_of(20.0)])
    first.label("S1", "Anna", keep=True)
    again = setup.events([conversation])
    assert "Anna" in {e.name for e in again if isinstance(e, SpeakerEvent)}
    assert json_of(setup.events(cut(conversation, [4321]))) == json_of(again)


class Listening(Tracker):
    """Decides as ever, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(TrackerConfig(), 20)
        self.told: list[tuple[Sequence[Heard], Anchors | None]] = []

    def observe(self, heard, state, apart=(), anchors=None):
        self.told.append((heard, anchors))
        return super().observe(heard, state, apart, anchors)


def test_what_one_local_speaker_said_before_is_somebody_elses_for_the_others(setup, conversation):
    tracker = Listening()
    replace(setup, parts=replace(setup.parts, tracker=tracker)).events([conversation])
    at_once = [heard for heard, _ in tracker.told if len(heard) > 1]
    assert any(one.others for heard in at_once for one in heard)
    for heard in at_once:
        for one in heard:
            for other in heard:
                if other is not one:
                    assert {piece for piece, _ in other.links} <= set(one.others)


def test_the_tracker_is_told_who_of_the_enrolled_may_be_there(setup_at, conversation):
    setup, tracker = setup_at(1.0), Listening()
    listening = replace(setup, parts=replace(setup.parts, tracker=tracker))
    listening.events([conversation])
    assert not any(anchors for _, anchors in tracker.told)
    first = setup.begin()
    first.push(conversation[: samples_of(20.0)])
    first.label("S1", "Anna", keep=True)
    tracker.told.clear()
    listening.events([conversation])
    assert any(anchors for _, anchors in tracker.told)


def test_labels_that_a_person_merges_are_one(setup, conversation):
    config = TrackerConfig(group_cosine=0.97, birth_seconds=0.5, keep_cosine=0.5, slow_seconds=1e6)  # many
    several = replace(setup, parts=replace(setup.parts, tracker=Tracker(config, 20)))
    session = several.begin()
    known = sorted(labels_of(session.push(conversation)))
    assert len(known) >= 2
    events = session.merge(known[1], known[0])
    assert SpeakerEvent("merged", known[1], into=known[0]) in events
    with pytest.raises(SessionError, match=f"got '{known[1]}'"):
        session.label(known[1], "Ben")


def test_whoever_may_be_new_can_be_named(setup, conversation):
    config = TrackerConfig(group_cosine=0.97, clear_cosine=0.99, early_seconds=4.0, slow_seconds=1e6)
    slow = replace(setup, parts=replace(setup.parts, tracker=Tracker(config, 20)))
    session = slow.begin()
    tracker = session._session.state.tracker
    hops = (conversation[start : start + HOP] for start in range(0, len(conversation), HOP))
    assert any("S2" in labels_of(session.push(hop)) for hop in hops)
    with pytest.raises(GalleryError):
        session.label("S2", "")
    assert tracker.labels == [0]  # a name that is none makes nobody new
    events = session.label("S2", "Ben")
    assert SpeakerEvent("named", "S2", name="Ben") in events
    assert tracker.labels == [0, 1]


def test_a_label_that_is_none_cannot_be_named(setup):
    with pytest.raises(SessionError, match=r"wanted a label of this session \(none yet\), got 'S7'"):
        setup.begin().label("S7", "Anna")
