"""Messages: what is accepted, what is refused, and that nothing of a refused one is repeated."""

import json
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from rtspk.engine.events import Change, EndEvent, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.errors import FormatError
from rtspk.server.messages import (
    EventMessage,
    Label,
    Options,
    Start,
    Unknown,
    WarningMessage,
)
from rtspk.server.wire import read_client_message, read_server_message, schema, to_text
from rtspk.types import Segment, Turn

EVENTS = [
    SegmentEvent(7, 2, Turn(Segment(16000, 40000), "S2", "Анна", 0.71, 0.97), "final"),
    SegmentEvent(1, 1, Turn(Segment(0, 4000), "S1", None, 0.0, 0.5, overlap=True), "tentative"),
    ReviseEvent((Change(5, 2, "S2", "Анна", "named"), Change(6, 3, "S2", None, "merged"))),
    ReviseEvent((Change(9, 2, "S1", None, "corrected"),)),
    SpeakerEvent("new", "S3"),
    SpeakerEvent("named", "S3", name="Ben"),
    SpeakerEvent("named", "S3", name=None),
    SpeakerEvent("merged", "S3", into="S1"),
    EndEvent(16000 * 60, 3),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_on_the_wire_is_the_engines_own_with_a_number(event):
    message = TypeAdapter(EventMessage).validate_python({**event.to_json(), "seq": 4})
    assert json.loads(to_text(message)) == {**event.to_json(), "seq": 4}


def test_the_smallest_start_means_16_bit_sound_at_16_khz():
    start = read_client_message('{"type":"start"}')
    assert isinstance(start, Start)
    assert (start.format.encoding, start.format.rate, start.format.channels) == ("s16le", 16000, 1)
    assert start.options == Options()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"type":"shout"}',
        '{"type":"start","format":{"encoding":"mp3"}}',
        '{"type":"start","format":{"rate":"fast"}}',
        '{"type":"start","format":{"rate":"16000"}}',
        '{"type":"start","version":true}',
        '{"type":"start","options":{"latency":0.1}}',
        '{"type":"start","options":{"latncy":1.0}}',
        '{"type":"label","speaker":"S1"}',
        '{"type":"merge","speaker":"S1","into":7}',
        '{"type":"flush","id":1e400}',
        "\x00" * 100,
        '{"type":"start","token":"' + "x" * 501 + '"}',
    ],
)
def test_what_is_no_message_is_refused_in_one_line(text):
    with pytest.raises(FormatError) as refused:
        read_client_message(text)
    assert "\n" not in str(refused.value)


def test_a_refusal_does_not_repeat_what_may_be_a_secret():
    with pytest.raises(FormatError) as refused:
        read_client_message('{"type":"start","tokn":"a-very-secret-word"}')
    assert "a-very-secret-word" not in str(refused.value)
    assert "tokn" in str(refused.value)


def test_a_refusal_repeats_no_type_and_no_long_key():
    assert "secret" not in refusal_of('{"type":"a-secret-word"}')
    assert len(refusal_of('{"type":"start","' + "key" * 1000 + '":1}')) < 200


def test_a_megabyte_of_keys_is_refused_unread():
    text = "{" + ",".join(f'"key{number}":1' for number in range(80_000)) + "}"
    assert refusal_of(text) == f"wanted a message of at most 16384 characters, got {len(text)}"


def refusal_of(text):
    with pytest.raises(FormatError) as refused:
        read_client_message(text)
    return str(refused.value)


def test_a_client_passes_over_what_a_newer_server_adds():
    text = '{"type":"ack","seq":1,"received":2,"audio_ms":3,"colour":"blue"}'
    assert read_server_message(text).type == "ack"


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"warning","code":"damp","message":"the air is damp"}',
        '{"type":"error","code":"tired","message":"the server is tired","retryable":true}',
        '{"type":"revise","seq":3,"changes":[{"id":1,"rev":2,"speaker":"S1","name":null,"reason":"dreamt"}]}',
    ],
)
def test_a_client_takes_codes_and_reasons_of_a_newer_server_as_they_are(text):
    message = read_server_message(text)
    said = getattr(message, "code", None) or message.changes[0].reason
    assert f'"{said}"' in text


@pytest.mark.parametrize(
    ("text", "seq"),
    [
        ('{"type":"mood","seq":4,"mood":"good"}', 4),
        ('{"type":"mood"}', None),
        ('{"type":"speaker","seq":5,"event":"left","speaker":"S1"}', 5),
    ],
)
def test_a_client_passes_over_messages_of_a_newer_server_but_for_their_number(text, seq):
    assert read_server_message(text) == Unknown(type=json.loads(text)["type"], seq=seq)


def test_the_server_itself_says_no_word_that_the_schema_does_not_have():
    with pytest.raises(ValidationError):
        WarningMessage(code="damp", message="the air is damp")


def test_a_message_that_is_written_reads_the_same():
    label = Label(speaker="S2", name="Анна", scope="gallery")
    assert read_client_message(to_text(label)) == label


def test_the_schema_has_every_message_of_both_directions():
    text = json.dumps(schema())
    client = ["start", "label", "merge", "flush", "end"]
    server = ["ready", "ack", "segment", "revise", "speaker", "heartbeat", "warning", "error", "end"]
    assert set(schema()["client"]["discriminator"]["mapping"]) == set(client)
    assert set(schema()["server"]["discriminator"]["mapping"]) == set(server)
    assert '"s16le", "f32le", "opus"' in text
    for side in ("client", "server"):
        for name, one in schema()[side]["$defs"].items():
            assert ("type" in one.get("required", [])) is ("type" in one["properties"]), name


def examples(side):
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    return re.findall(rf"```json {side}\n(.*?)```", text, re.DOTALL)


def test_every_example_of_the_manual_is_a_message_and_every_message_has_one():
    client = [read_client_message(example) for example in examples("client")]
    server = [read_server_message(example) for example in examples("server")]
    assert {message.type for message in client} == set(schema()["client"]["discriminator"]["mapping"])
    assert {message.type for message in server} == set(schema()["server"]["discriminator"]["mapping"])


def test_the_manual_explains_every_code():
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    definitions = schema()["server"]["$defs"]
    for name in ("Error", "WarningMessage"):
        for code in definitions[name]["properties"]["code"]["enum"]:
            assert f"`{code}`" in text, code
