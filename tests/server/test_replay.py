"""Numbered events for a client that comes back."""

import json

import pytest

from rtspk.engine.events import Change, ReviseEvent, SpeakerEvent
from rtspk.server.config import Limits
from rtspk.server.replay import Replay


def filled(count, most=1 << 20):
    replay = Replay(most)
    texts = [replay.add(SpeakerEvent("new", f"S{n}")) for n in range(1, count + 1)]
    return replay, texts


def test_events_are_numbered_from_one():
    _, texts = filled(3)
    assert [json.loads(text)["seq"] for text in texts] == [1, 2, 3]


def test_what_was_missed_is_what_follows_the_number():
    replay, texts = filled(5)
    assert replay.since(0) == texts
    assert replay.since(3) == texts[3:]
    assert replay.since(5) == []


def test_a_number_that_never_was_is_no_place_to_resume():
    replay, _ = filled(5)
    assert replay.since(6) is None
    assert replay.since(-1) is None


def test_what_is_kept_is_bounded_and_what_is_gone_is_not_passed_over():
    replay, texts = filled(1000, most=2000)
    replay.forget(0)
    kept = next(n for n in range(1001) if replay.since(n) is not None)
    assert replay.since(kept) == texts[kept:]
    assert sum(map(len, texts[kept:])) <= 2000
    assert replay.since(kept - 1) is None


@pytest.mark.parametrize("waiting", [0, 1, 20, 999])
def test_what_waits_to_be_sent_is_kept_beside_what_is_kept_anyway(waiting):
    replay, texts = filled(1000, most=2000)
    replay.forget(sum(map(len, texts[1000 - waiting :])))
    kept = next(n for n in range(1001) if replay.since(n) is not None)
    before = texts[kept : 1000 - waiting]
    assert sum(map(len, before)) <= 2000
    assert not kept or sum(map(len, before)) + len(texts[kept - 1]) > 2000


def test_the_last_event_is_kept_however_long_it_is():
    replay, texts = filled(3, most=10)
    replay.forget(0)
    assert replay.since(2) == texts[2:]


def test_the_longest_event_may_wait_for_a_client_beside_one_that_it_missed():
    named = ReviseEvent(tuple(Change(n, 2, "S100", '"' * 300, "corrected") for n in range(100_000, 102_048)))
    text = Replay(1 << 20).add(named)
    assert (1 << 20) < 2 * len(text) <= Limits().outbox_bytes
