"""The laws of a session: chunking, finality, memory, the end, and sound that is none."""

import pickle
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtspk.engine.events import Change, EndEvent, Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.engine.memory import NOBODY
from rtspk.engine.pipeline import LocalSession
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.settings import HOP
from rtspk.errors import AudioError, ModelError, SessionError
from rtspk.rttm import to_rttm_turns
from rtspk.types import LOUDEST, Embedding, Segment, samples_of
from tests.engine.conftest import cut, json_of

EXCERPT = samples_of(12.0)


@pytest.mark.parametrize("size", [1, 160, 16_000, EXCERPT])
def test_any_regular_chunking_gives_the_same_events(setup, conversation, size):
    whole = setup.events([conversation[:EXCERPT]])
    assert any(isinstance(event, SegmentEvent) for event in whole)
    assert json_of(setup.events(cut(conversation[:EXCERPT], [size]))) == json_of(whole)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=12))
def test_any_random_chunking_gives_the_same_events(setup, conversation, sizes):
    whole = json_of(setup.events([conversation[:EXCERPT]]))
    assert json_of(setup.events(cut(conversation[:EXCERPT], sizes))) == whole


def test_answers_may_come_late_and_in_pieces(setup, conversation):
    sound = conversation[:EXCERPT]
    session = setup.begin()._session
    session.receive_audio(sound)
    session.finish()
    answers = setup.embedder.embed(session.windows_to_embed())
    said = session.events_to_send()
    for answer in answers:
        session.receive_embeddings([answer])
        said += session.events_to_send()
    assert json_of(said) == json_of(setup.events([sound]))


@pytest.mark.parametrize("latency", [0.5, 1.0, 2.0, 5.0])
def test_everything_older_than_the_latency_is_said_and_final_where_it_ended(
    setup_at: Callable[[float], object], conversation, latency
):
    session: LocalSession = setup_at(latency).begin()
    turns = session._session.state.turns
    heard, said_to = 0, 0
    unsaid = 0
    for chunk in cut(conversation[: samples_of(30.0)], [1600]):
        heard += len(chunk)
        for event in session.push(chunk):
            if isinstance(event, SegmentEvent):
                said_to = max(said_to, event.turn.segment.end)
                if event.state == "final":
                    assert event.turn.segment.end <= heard - samples_of(latency)
        old = heard - heard % HOP - samples_of(latency)
        assert all(draft.end > old for draft in turns.closed if draft.label != NOBODY)
        # Whatever was heard up to now is decided but for the latency, and said where it is speech.
        hop = session._session.state.next_hop
        assert hop * HOP >= heard - samples_of(latency) - HOP + 1
        waiting = session._session.state.waiting
        assert not waiting
        traces = session._session.state.traces.kept
        if traces and heard > samples_of(4.0) and traces[-1].active.any():
            spoken = (traces[-1].first + int(np.flatnonzero(traces[-1].active)[-1]) + 1) * ACTIVITY_HOP
            unsaid = max(unsaid, spoken - said_to)
    assert turns.finals
    assert unsaid <= samples_of(0.2)  # a blip of a voice that has no label yet


@pytest.mark.parametrize(("latency", "hops"), [(0.5, 0), (1.0, 1), (1.5, 2), (2.0, 2), (5.0, 2)])
def test_a_longer_latency_lets_more_be_heard_before_a_hop_is_decided_on(
    setup_at: Callable[[float], object], conversation, latency, hops
):
    session: LocalSession = setup_at(latency).begin()
    session.push(conversation[: 20 * HOP])
    assert session._session.state.next_hop == 20 - hops


def test_a_final_segment_changes_only_by_a_revise_event(setup, conversation):
    final: dict[int, int] = {}
    cut: set[int] = set()  # announced, and not said anew yet
    for event in setup.events([conversation]):
        if isinstance(event, SegmentEvent):
            assert event.id not in final or event.id in cut
            cut.discard(event.id)
            if event.state == "final":
                final[event.id] = event.rev
        elif isinstance(event, ReviseEvent):
            for change in event.changes:
                assert change.rev == final[change.id] + 1
                final[change.id] = change.rev
                if change.reason == "split":
                    cut.add(change.id)
    assert final
    assert not cut


def test_revisions_of_a_segment_count_up(setup, conversation):
    revs: dict[int, list[int]] = {}
    for event in setup.events([conversation]):
        said = event.changes if isinstance(event, ReviseEvent) else [event]
        for one in said:
            if isinstance(one, SegmentEvent | Change):
                revs.setdefault(one.id, []).append(one.rev)
    assert all(b == a + 1 for own in revs.values() for a, b in pairwise([0, *own]))


def test_every_segment_ends_final_and_in_rttm_nobody_speaks_twice_at_once(setup, conversation):
    events = [event for event in setup.events([conversation]) if isinstance(event, SegmentEvent)]
    final = [event for event in events if event.state == "final"]
    assert {event.id for event in events} == {event.id for event in final}
    assert all(event.turn.segment.duration > 0 for event in final)
    spans = sorted((t.speaker, t.start, t.end) for t in to_rttm_turns("talk", [e.turn for e in final]))
    assert all(a_end <= b_start for (a, _, a_end), (b, b_start, _) in pairwise(spans) if a == b)


def test_a_label_is_announced_before_it_speaks(setup, conversation):
    known: set[str] = set()
    for event in setup.events([conversation]):
        if isinstance(event, SpeakerEvent) and event.event == "new":
            known.add(event.label)
        if isinstance(event, SegmentEvent):
            assert event.turn.label in known
    assert known


def test_a_session_does_not_grow_with_its_stream(setup, conversation):
    session = setup.begin()
    sizes = []
    for _ in range(3):
        for _ in range(3):
            session.push(conversation)
        state = session._session.state
        state.turns.finals.clear()  # bounded by its own limit, far above what this test has time for
        sizes.append(len(pickle.dumps(state)))
    assert state.turns.finals.maxlen is not None
    assert sizes[2] < sizes[0] * 1.1


def test_finish_is_idempotent(setup, conversation):
    session = setup.begin()
    session.push(conversation[:EXCERPT])
    assert isinstance(session.finish()[-1], EndEvent)
    assert session.finish() == []


def test_a_finished_session_refuses_audio(setup):
    session = setup.begin()
    session.finish()
    with pytest.raises(SessionError, match="wanted no audio after finish, got 5 samples"):
        session.push(np.zeros(5, np.float32))


def test_a_stream_without_sound_just_ends(setup):
    (end,) = setup.events([])
    assert end.to_json() == {"type": "end", "audio_ms": 0, "speakers": 0}


@pytest.mark.parametrize("more", [0, 3_000, 7_000])
def test_what_is_said_up_to_the_end_of_a_stream_is_heard_up_to_there(setup, conversation, more):
    length = 4 * HOP + more  # somebody speaks there
    ends = [e.turn.segment.end for e in setup.events([conversation[:length]]) if isinstance(e, SegmentEvent)]
    assert length - samples_of(0.1) < max(ends) <= length


def test_silence_has_no_speakers(setup):
    (end,) = setup.events([np.zeros(samples_of(10.0), np.float32)])
    assert end.to_json() == {"type": "end", "audio_ms": 10_000, "speakers": 0}


def test_the_end_is_told_to_the_millisecond(setup, conversation):
    assert setup.events([conversation[:12_345]])[-1].to_json()["audio_ms"] == round(12_345 / 16)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, LOUDEST, -1e30])
def test_a_sample_that_no_sound_has_is_refused_and_the_session_goes_on(setup, conversation, bad):
    sound = conversation[:EXCERPT]
    spoilt = sound[8000:9000].copy()
    spoilt[7] = bad
    session = setup.begin()
    said = session.push(sound[:8000])
    with pytest.raises(AudioError, match="at sample 8007"):
        session.push(spoilt)
    said += session.push(sound[8000:]) + session.finish()
    assert json_of(said) == json_of(setup.events([sound]))


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 100), np.float32), np.zeros(100, np.int16), np.zeros(100), [0.0], b"\0" * 8]
)
def test_samples_of_another_shape_or_type_are_refused(setup, bad):
    with pytest.raises(AudioError, match=r"wanted .*, got (shape \(2, 100\)|int16|float64|list|bytes)$"):
        setup.begin().push(bad)


def test_more_answers_than_questions_are_refused(setup):
    session = setup.begin()._session
    with pytest.raises(SessionError, match="wanted at most 0 embeddings, got 1"):
        session.receive_embeddings([Embedding(np.ones(160, np.float32), Segment(0, 1), 1)])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1.0])
def test_a_vector_that_is_no_unit_vector_never_enters(setup, conversation, value):
    session = setup.begin()._session
    session.receive_audio(conversation[:EXCERPT])
    first, *_ = session.windows_to_embed()
    with pytest.raises(ModelError, match="wanted voices as unit vectors, got one of length"):
        session.receive_embeddings([Embedding(np.full(160, value, np.float32), first.segment, 1)])
    assert not len(session.state.tracker.memory.weights)


def test_a_session_can_be_parked_and_resumed(setup, conversation):
    sound = conversation[:EXCERPT]
    first = setup.begin()
    said = first.push(sound[:70_001])
    parked = pickle.dumps(first._session.state)
    second = setup.begin(pickle.loads(parked))
    said += second.push(sound[70_001:]) + second.finish()
    assert json_of(said) == json_of(setup.events([sound]))


def test_a_session_with_its_networks_is_not_pickled_and_says_so(setup):
    with pytest.raises(SessionError, match=r"^wanted something that can be pickled, got a session with its"):
        pickle.dumps(setup.begin())


def test_sessions_do_not_know_each_other(setup, conversation):
    alone = json_of(setup.events([conversation[:EXCERPT]]))
    one, other = setup.begin(), setup.begin()
    said: list[Event] = []
    for chunk in cut(conversation[:EXCERPT], [5000]):
        said += one.push(chunk)
        other.push(-chunk[::-1].copy())
    assert json_of(said + one.finish()) == alone
