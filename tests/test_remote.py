"""A client's side of a session by hand: what goes out, what is kept, and what is sent again."""

import json

import numpy as np
import pytest

from rtspk import remote
from rtspk.engine.events import EndEvent, SpeakerEvent
from rtspk.errors import AudioError, SessionError
from rtspk.remote import Remote
from rtspk.server.messages import Flush, Label, Merge, Options
from rtspk.types import samples_of


def ready(received=0, resumed=False):
    message = {
        "type": "ready",
        "version": 1,
        "session": "s",
        "resume_token": "token",
        "resume_seconds": 60.0,
        "model": "m",
        "latency": 1.0,
        "resumed": resumed,
        "received": received,
        "audio_ms": 0,
    }
    return json.dumps(message)


def ack(received, **more):
    return json.dumps({"type": "ack", "seq": 0, "received": received, "audio_ms": 0} | more)


def opened():
    client = Remote(Options())
    client.receive(ready())
    return client


def sent(client):
    messages = []
    while (message := client.next_message()) is not None:
        messages.append(message)
    return messages


def ramp(start, end):
    return np.arange(start, end, dtype=np.float32)


def sound_of(messages):
    return np.frombuffer(b"".join(m for m in messages if isinstance(m, bytes)), "<f4")


def test_nothing_is_sent_before_the_server_is_ready():
    client = Remote(Options())
    client.push(ramp(0, 10))
    assert sent(client) == []
    client.receive(ready())
    assert sound_of(sent(client)).tolist() == list(range(10))


@pytest.mark.parametrize(
    "samples",
    [
        np.ones(10, np.int16),
        np.ones(10),
        np.ones((10, 2), np.float32),
        np.full(3, np.nan, np.float32),
        [0.0],
    ],
)
def test_what_a_local_session_would_not_hear_is_refused(samples):
    client = opened()
    with pytest.raises(AudioError, match="wanted"):
        client.push(samples)
    assert sent(client) == []


def test_long_sound_is_cut_into_messages_of_a_second():
    client = opened()
    client.push(ramp(0, 40_000))
    assert [len(message) // 4 for message in sent(client)] == [16_000, 16_000, 8_000]


def test_of_a_file_no_more_is_on_its_way_than_can_be_sent_again():
    client = Remote(Options(pace="file"))
    client.receive(ready())
    client.push(np.zeros(samples_of(100.0), np.float32))
    client.finish()
    assert len(sound_of(sent(client))) == samples_of(30.0)
    client.receive(ack(samples_of(10.0)))
    assert len(sound_of(sent(client))) == samples_of(10.0)
    client.lost()
    client.receive(ready(samples_of(12.0), resumed=True))
    assert len(sound_of(sent(client))) == samples_of(30.0)
    client.receive(ack(samples_of(100.0 - 30.0)))
    assert json.loads(sent(client)[-1]) == {"type": "end"}


def test_orders_go_before_sound_that_waits_and_the_end_behind_all():
    client = opened()
    client.push(ramp(0, 10))
    client.order(Flush(id=4))
    client.finish()
    flush, sound, end = sent(client)
    assert json.loads(flush)["id"] == 4
    assert len(sound) == 40
    assert json.loads(end) == {"type": "end"}


def test_an_order_is_sent_again_until_the_flush_behind_it_is_answered():
    client = opened()
    client.order(Label(speaker="S1", name="Anna"))
    client.order(Merge(speaker="S2", into="S1"))
    first = [json.loads(message) for message in sent(client)]
    assert [message["type"] for message in first] == ["label", "flush", "merge", "flush"]
    client.receive(ack(0, flush=first[1]["id"]))
    client.lost()
    assert sent(client) == []
    client.receive(ready(resumed=True))
    assert [json.loads(message) for message in sent(client)] == first[2:]
    client.receive(ack(0, flush=first[3]["id"]))
    client.lost()
    client.receive(ready(resumed=True))
    assert sent(client) == []


def test_an_order_given_while_the_line_is_broken_is_sent_once_it_stands():
    client = opened()
    client.lost()
    client.order(Label(speaker="S1", name="Anna"))
    client.receive(ready(resumed=True))
    assert [json.loads(message)["type"] for message in sent(client)] == ["label", "flush"]


def test_a_merge_that_was_done_before_the_line_broke_is_refused_without_a_word():
    client = opened()
    client.order(Merge(speaker="S2", into="S1"))
    flush = json.loads(sent(client)[1])["id"]
    refused = json.dumps({"type": "warning", "code": "refused", "message": "wanted a label"})
    client.lost()
    client.receive(ready(resumed=True))
    client.receive(refused)
    client.receive(ack(0, flush=flush))
    assert client.warnings == []
    client.receive(refused)
    assert [warning.code for warning in client.warnings] == ["refused"]


def test_flushes_of_the_caller_confirm_no_order_of_another_number():
    client = opened()
    client.order(Label(speaker="S1", name="Anna"))
    client.order(Flush(id=1))
    client.receive(ack(0, flush=3))
    client.lost()
    client.receive(ready(resumed=True))
    assert [json.loads(message)["type"] for message in sent(client)] == ["label", "flush", "flush"]


@pytest.mark.parametrize("received", [0, 7, 100, 130, 299, 300])
def test_a_resumed_session_gets_the_sound_from_where_the_server_is(received):
    client = opened()
    for start in (0, 100, 200):
        client.push(ramp(start, start + 100))
        sent(client)
    client.finish()
    assert sent(client) == ['{"type":"end"}']
    client.lost()
    assert sent(client) == []
    assert json.loads(client.greeting())["resume"] == {"token": "token", "seq": 0}
    client.receive(ready(received, resumed=True))
    again = sent(client)
    assert sound_of(again).tolist() == list(range(received, 300))
    assert again[-1] == '{"type":"end"}'


def test_acknowledged_sound_is_forgotten_and_what_came_behind_it_is_not():
    client = opened()
    for start in (0, 100, 200):
        client.push(ramp(start, start + 100))
    sent(client)
    client.receive(ack(150))
    client.lost()
    client.receive(ready(150, resumed=True))
    assert sound_of(sent(client)).tolist() == list(range(150, 300))


def test_what_is_kept_is_bounded_and_a_server_that_misses_more_is_no_place_to_resume(monkeypatch):
    monkeypatch.setattr(remote, "KEPT", 1000)
    client = opened()
    for start in range(0, 5000, 100):
        client.push(ramp(start, start + 100))
        sent(client)
    assert sum(map(len, client._kept)) <= 4 * 1100
    client.lost()
    with pytest.raises(SessionError, match="no longer kept"):
        client.receive(ready(2000, resumed=True))


def test_events_are_the_engines_own_and_none_is_told_twice():
    client = opened()
    text = '{"type":"speaker","seq":1,"event":"new","speaker":"S1"}'
    assert client.receive(text) == [SpeakerEvent("new", "S1")]
    assert client.receive(text) == []
    end = '{"type":"end","seq":2,"audio_ms":1500,"speakers":1}'
    assert client.receive(end) == [EndEvent(24_000, 1)]
    assert client.ended


def test_what_a_newer_server_says_is_passed_over_and_counted():
    client = opened()
    assert client.receive('{"type":"mood","mood":"good"}') == []
    assert client.receive('{"type":"speaker","seq":1,"event":"left","speaker":"S1"}') == []
    assert client.receive('{"type":"speaker","seq":2,"event":"new","speaker":"S2"}') == [
        SpeakerEvent("new", "S2")
    ]
    assert client.receive('{"type":"mood","seq":3}') == []
    client.lost()
    assert json.loads(client.greeting())["resume"]["seq"] == 3


@pytest.mark.parametrize("retryable", [True, False])
def test_an_error_of_the_server_is_one_line(retryable):
    client = opened()
    error = {"type": "error", "code": "overloaded", "message": "too much", "retryable": retryable}
    with pytest.raises(SessionError, match=r"too much \(overloaded\)"):
        client.receive(json.dumps(error))
    assert client.refused is not retryable


def test_heartbeats_and_warnings_are_there_to_be_asked_for():
    client = opened()
    client.receive('{"type":"heartbeat","audio_ms":5,"processed_ms":4,"lag_ms":3,"realtime_factor":0.5}')
    assert (client.status.lag_ms, client.status.realtime_factor) == (3, 0.5)
    client.receive('{"type":"warning","code":"silence","message":"quiet"}')
    assert [warning.code for warning in client.warnings] == ["silence"]
