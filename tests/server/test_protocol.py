"""The state machine of a connection, without sockets or sound."""

import json
import random

import pytest

from rtspk.server.config import Limits
from rtspk.server.protocol import Audio, Begin, Do, Protocol, Refuse


def opened(**options) -> Protocol:
    protocol = Protocol(Limits())
    assert isinstance(protocol.receive_text(json.dumps({"type": "start", "options": options}), 0.0), Begin)
    return protocol


def code_of(command) -> str:
    assert isinstance(command, Refuse)
    return command.error.code


def test_a_session_starts_hears_obeys_and_ends():
    protocol = opened()
    assert protocol.receive_audio(b"ab", 0.1) == Audio(b"ab", 0.0)
    assert isinstance(protocol.receive_text('{"type":"label","speaker":"S1","name":"Anna"}', 0.2), Do)
    assert isinstance(protocol.receive_text('{"type":"merge","speaker":"S2","into":"S1"}', 0.2), Do)
    assert isinstance(protocol.receive_text('{"type":"flush","id":4}', 0.2), Do)
    assert isinstance(protocol.receive_text('{"type":"end"}', 0.3), Do)
    assert protocol.state == "ending"


@pytest.mark.parametrize(
    ("before", "message", "wanted"),
    [
        ([], b"ab", "wanted start before the first sound, got 2 bytes of it"),
        ([], '{"type":"end"}', "wanted start, got end"),
        (['{"type":"start"}'], '{"type":"start"}', "wanted one start, got a second one"),
        (['{"type":"start"}', '{"type":"end"}'], b"ab", "wanted no sound after end, got 2 bytes of it"),
        (['{"type":"start"}', '{"type":"end"}'], '{"type":"flush"}', "wanted nothing after end, got flush"),
    ],
)
def test_what_does_not_come_in_its_turn_is_refused_for_good(before, message, wanted):
    protocol = Protocol(Limits())
    for text in before:
        protocol.receive_text(text, 0.1)
    receive = protocol.receive_audio if isinstance(message, bytes) else protocol.receive_text
    command = receive(message, 0.2)
    assert code_of(command) == "bad_state"
    assert (command.error.message, command.error.retryable) == (wanted, False)


def test_a_start_that_does_not_read_is_no_matter_of_its_version():
    command = Protocol(Limits()).receive_text('{"type":"start","version":1,"language":"nl"}', 0.0)
    assert code_of(command) == "bad_message"


def test_a_session_that_lingers_obeys_behind_its_end_too_and_passes_over_what_comes_again():
    protocol = opened(linger_seconds=60)
    protocol.receive_text('{"type":"end"}', 0.1)
    assert protocol.receive_text('{"type":"end"}', 0.2) is None
    assert protocol.receive_audio(b"ab", 0.2) is None
    assert isinstance(protocol.receive_text('{"type":"label","speaker":"S1","name":"Anna"}', 0.2), Do)
    again = opened()
    again.resume(lingers=True, ending=True)
    assert isinstance(again.receive_text('{"type":"flush"}', 0.1), Do)


def test_another_version_is_told_which_one_there_is():
    for more in ("", ',"language":"nl"', ',"format":{"encoding":"flac"}'):
        command = Protocol(Limits()).receive_text(f'{{"type":"start","version":9{more}}}', 0.0)
        assert code_of(command) == "unsupported_version"
        assert command.error.message == "wanted protocol version 1, got 9"


def test_a_wrong_format_is_told_what_is_accepted():
    text = '{"type":"start","format":{"encoding":"mp3","rate":16000,"channels":1}}'
    command = Protocol(Limits()).receive_text(text, 0.0)
    assert code_of(command) == "unsupported_format"
    for word in ("s16le", "f32le", "384000", "opus at 8000, 12000, 16000, 24000, 48000 Hz"):
        assert word in command.error.message


def test_while_the_server_drains_what_comes_is_passed_over():
    protocol = opened()
    protocol.drain()
    assert protocol.receive_audio(b"ab", 1.0) is None
    assert protocol.receive_text('{"type":"end"}', 1.0) is None


def test_a_burst_of_orders_is_allowed_and_a_flood_is_not():
    protocol = Protocol(Limits(orders_per_second=2.0))
    protocol.receive_text('{"type":"start"}', 0.0)
    answers = [protocol.receive_text('{"type":"flush"}', 0.0) for _ in range(10)]
    assert isinstance(answers[8], Do)
    assert code_of(answers[9]) == "rate_limited"


def test_orders_at_the_allowed_rate_never_run_out():
    protocol = Protocol(Limits(orders_per_second=2.0))
    protocol.receive_text('{"type":"start"}', 0.0)
    assert all(isinstance(protocol.receive_text('{"type":"flush"}', n / 2), Do) for n in range(1, 200))


def test_what_was_spent_comes_back_with_time_alone():
    protocol = Protocol(Limits(orders_per_second=2.0))
    protocol.receive_text('{"type":"start"}', 1000.0)
    burst = [protocol.receive_text('{"type":"flush"}', 1000.0) for _ in range(9)]
    later = [protocol.receive_text('{"type":"flush"}', 1001.0 + n / 10) for n in range(2)]
    assert all(isinstance(one, Do) for one in burst + later)
    assert code_of(protocol.receive_text('{"type":"flush"}', 1001.2)) == "rate_limited"


def test_a_burst_of_sound_is_read_at_once_and_a_flood_slowly():
    protocol = Protocol(Limits(messages_per_second=10.0))
    protocol.receive_text('{"type":"start"}', 0.0)
    waits = [protocol.receive_audio(b"ab", 0.0).wait for _ in range(60)]
    assert waits[:50] == [0.0] * 50
    assert waits[50:] == pytest.approx([n / 10 for n in range(1, 11)])
    assert protocol.receive_audio(b"ab", 10.0).wait == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_ten_thousand_malformed_messages_are_each_refused_and_never_raise(seed):
    """Random bytes, and real messages with a piece cut out, doubled or changed."""
    rng = random.Random(seed)
    whole = [
        '{"type":"start","version":1,"format":{"encoding":"s16le","rate":16000,"channels":1}}',
        '{"type":"label","speaker":"S1","name":"Anna","scope":"session"}',
        '{"type":"merge","speaker":"S2","into":"S1"}',
        '{"type":"flush","id":1}',
        '{"type":"end"}',
    ]
    refused = 0
    for _ in range(2500):
        protocol = opened() if rng.random() < 0.5 else Protocol(Limits())
        text = rng.choice(whole)
        at = rng.randrange(len(text))
        match rng.randrange(4):
            case 0:
                text = text[:at]
            case 1:
                text = text[:at] + text[at + rng.randrange(1, 9) :]
            case 2:
                text = text[:at] + chr(rng.randrange(0x110000) % 0xD800) + text[at:]
            case _:
                text = "".join(chr(rng.randrange(256)) for _ in range(at))
        command = protocol.receive_text(text, 1.0)
        assert isinstance(command, Begin | Do | Refuse)
        if isinstance(command, Refuse):
            refused += 1
            assert protocol.state == "closed"
            assert "\n" not in command.error.message
            assert len(command.error.message) < 400
    assert refused > 2000
