"""The server through real sockets: sessions, faults, resuming, draining, and who may do what."""

import contextlib
import json
import random
import socket as sockets
import threading

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import IdentityConfig, SessionConfig
from rtspk.server.access import TokenEntry
from rtspk.server.app import raise_file_limit
from rtspk.server.config import Limits
from rtspk.types import samples_of

LISTENER = TokenEntry("listener", ("listen",), "listener-secret-token")
ENROLLER = TokenEntry("enroller", ("listen", "enroll"), "enroller-secret-token")
ADMIN = TokenEntry("admin", ("admin",), "admin-secret-token-word")


def bearer(entry):
    return {"Authorization": f"Bearer {entry.token}"}


def send_all(socket, wire, sound):
    socket.send(wire.start())
    for piece in wire.pieces(sound):
        socket.send(piece)
    socket.send('{"type":"end"}')


def test_a_session_says_what_a_local_one_says(serve, wire, conversation, local_events):
    socket = serve().connect()
    send_all(socket, wire, conversation)
    messages = wire.said(socket)
    assert messages[0]["type"] == "ready"
    assert wire.events(messages) == local_events
    assert [m["seq"] for m in messages if m["type"] in {"segment", "speaker", "revise", "end"}] == list(
        range(1, len(local_events) + 1)
    )
    acks = [m for m in messages if m["type"] == "ack"]
    assert acks[-1]["received"] <= len(conversation)
    assert len(acks) >= 11
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=30)
    assert closed.value.rcvd.code == 1000


def test_sessions_at_once_share_nothing(serve, wire, engine, conversation):
    server = serve()
    sounds = [conversation[at : at + samples_of(5.0)] for at in (0, 32000, 64000, 96000)]
    links = [server.connect() for _ in sounds]
    senders = [
        threading.Thread(target=send_all, args=(socket, wire, sound))
        for socket, sound in zip(links, sounds, strict=True)
    ]
    for sender in senders:
        sender.start()
    for socket, sound, sender in zip(links, sounds, senders, strict=True):
        session = engine.session()
        alone = [event.to_json() for event in [*session.push(sound), *session.finish()]]
        assert wire.events(wire.said(socket)) == alone
        sender.join()


@pytest.mark.parametrize(
    ("messages", "code", "closes"),
    [
        (["{"], "bad_message", 1007),
        ([b"sound"], "bad_state", 1008),
        (['{"type":"start","version":2}'], "unsupported_version", 1008),
        (['{"type":"start","format":{"encoding":"mp3"}}'], "unsupported_format", 1008),
        (
            ['{"type":"start","format":{"encoding":"opus","rate":44100,"channels":1}}'],
            "unsupported_format",
            1008,
        ),
        (['{"type":"start"}', '{"type":"start"}'], "bad_state", 1008),
        (['{"type":"start"}', '{"type":"label"}'], "bad_message", 1007),
        (
            ['{"type":"start","format":{"encoding":"f32le"}}', np.full(8000, np.nan, "<f4").tobytes()],
            "bad_audio",
            1007,
        ),
        (['{"type":"start","format":{"encoding":"opus","rate":48000}}', b""], "bad_audio", 1007),
        (['{"type":"start","resume":{"token":"x","seq":0}}'], "resume_unknown", 1008),
    ],
)
def test_a_bad_message_ends_its_session_with_a_reason_and_no_other(
    serve, wire, conversation, local_events, messages, code, closes
):
    server = serve()
    good, bad = server.connect(), server.connect()
    good.send(wire.start())
    for message in messages:
        bad.send(message)
    assert wire.said(bad, "error")[-1]["code"] == code
    with pytest.raises(ConnectionClosed) as closed:
        bad.recv(timeout=30)
    assert closed.value.rcvd.code == closes
    for piece in wire.pieces(conversation):
        good.send(piece)
    good.send('{"type":"end"}')
    assert wire.events(wire.said(good)) == local_events


def test_a_message_that_is_too_long_closes_the_connection(serve, wire):
    socket = serve(limits=Limits(message_bytes=1000)).connect()
    socket.send(wire.start())
    wire.said(socket, "ready")
    socket.send(bytes(2000))
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=30)
    assert closed.value.rcvd.code == 1009


def test_a_socket_that_never_starts_is_let_go(serve, wire):
    socket = serve(limits=Limits(start_seconds=0.1)).connect()
    assert wire.said(socket, "error")[-1]["code"] == "timeout"


@pytest.mark.parametrize("seed", range(3))
def test_a_session_cut_at_random_moments_loses_and_repeats_nothing(
    serve, wire, conversation, local_events, seed
):
    server, rng = serve(), random.Random(seed)
    events, token, received, seq = [], None, 0, 0
    data = conversation.astype("<f4").tobytes()
    while not events or events[-1]["type"] != "end":
        socket = server.connect()
        socket.send(wire.start(resume={"token": token, "seq": seq}) if token else wire.start())
        ready = wire.said(socket, "ready")[-1]
        assert ready["resumed"] is (token is not None)
        token, received = ready["resume_token"], ready["received"]
        with contextlib.suppress(ConnectionClosed):  # a session that is over says so and closes
            for at in range(received * 4, len(data), 12000):
                socket.send(data[at : at + 12000])
                if rng.random() < 0.1:
                    break
            else:
                socket.send('{"type":"end"}')
        left, heard = rng.randrange(40), []
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            while left:
                heard.append(json.loads(socket.recv(timeout=0.05)))
                left -= 1
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sockets.SHUT_RDWR)  # no closing handshake
        rest = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                rest.append(json.loads(socket.recv(timeout=30)))
        if socket.close_code == 1000:  # it was closed in order before the cut: all of it arrived
            heard += rest
        for message in heard:
            if "seq" in message and message["type"] != "ack":
                assert message["seq"] == seq + 1
                seq = message["seq"]
                events.append(message)
    assert wire.events(events) == local_events


def test_a_session_resumed_elsewhere_leaves_its_old_connection(serve, wire):
    server = serve()
    old, new = server.connect(), server.connect()
    old.send(wire.start())
    token = wire.said(old, "ready")[-1]["resume_token"]
    new.send(wire.start(resume={"token": token, "seq": 0}))
    assert wire.said(new, "ready")[-1]["resumed"]
    with pytest.raises(ConnectionClosed) as closed:
        old.recv(timeout=30)
    assert closed.value.rcvd.code == 4000


def test_a_session_that_was_closed_in_order_is_not_kept(serve, wire):
    server = serve()
    socket = server.connect()
    socket.send(wire.start())
    token = wire.said(socket, "ready")[-1]["resume_token"]
    socket.send(bytes(4000))
    socket.send('{"type":"flush","id":9}')
    assert wire.said(socket, "ack")[-1]["flush"] == 9
    socket.close()
    again = server.connect()
    again.send(wire.start(resume={"token": token, "seq": 0}))
    assert wire.said(again, "error")[-1]["code"] == "resume_unknown"


def test_flush_answers_behind_all_that_was_heard_before(serve, wire, conversation):
    socket = serve().connect()
    socket.send(wire.start())
    for piece in wire.pieces(conversation[: samples_of(4.0)]):
        socket.send(piece)
    socket.send('{"type":"flush","id":3}')
    messages = []
    while not messages or messages[-1].get("flush") != 3:
        messages.append(json.loads(socket.recv(timeout=60)))
    assert any(message["type"] == "segment" for message in messages)
    assert messages[-1]["received"] == samples_of(4.0)


def test_naming_a_label_and_merging_two_revise_what_was_said(serve, wire, conversation):
    socket = serve().connect()
    socket.send(wire.start())
    for piece in wire.pieces(conversation):
        socket.send(piece)
    socket.send('{"type":"label","speaker":"S1","name":"Zoë"}')
    socket.send('{"type":"label","speaker":"S77","name":"Nobody"}')
    socket.send('{"type":"end"}')
    messages = wire.said(socket)
    named = [m for m in messages if m["type"] == "speaker" and m["event"] == "named"]
    assert [(m["speaker"], m["name"]) for m in named] == [("S1", "Zoë")]
    refused = [m for m in messages if m["type"] == "warning"]
    assert [m["code"] for m in refused] == ["refused"]
    assert "S77" in refused[0]["message"]
    last = [m for m in messages if m["type"] == "segment" and m["speaker"] == "S1"][-1]
    assert last["name"] == "Zoë" or any(m["type"] == "revise" for m in messages)


def test_a_client_that_does_not_read_is_cut_off_and_may_come_back(serve, wire):
    server = serve(limits=Limits(outbox_bytes=2000))
    raw = server.connect()
    raw.send(wire.start())
    ready = wire.said(raw, "ready")[-1]
    hub_link = next(iter(server.app._hub._places.values())).link
    hub_link.socket.transport.pause_reading()
    for _ in range(200):  # what a full socket does: nothing leaves the outbox
        hub_link.socket.loop.call_soon_threadsafe(hub_link.outbox.append, "")
        hub_link.socket.loop.call_soon_threadsafe(hub_link.say_text, "{}" * 20)
    with contextlib.suppress(ConnectionClosed):
        while True:
            raw.recv(timeout=30)
    again = server.connect()
    again.send(wire.start(resume={"token": ready["resume_token"], "seq": 0}))
    assert again.recv(timeout=30)


def test_draining_finishes_sessions_and_refuses_new_ones(serve, wire, conversation, local_events):
    server = serve()
    socket, late = server.connect(), server.connect()
    socket.send(wire.start())
    for piece in wire.pieces(conversation):
        socket.send(piece)
    socket.send('{"type":"flush"}')
    heard = []
    while not any("flush" in message for message in heard):
        heard += wire.said(socket, "ack")
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    rest = wire.said(socket)
    assert wire.events(heard + rest) == local_events
    assert "draining" in [message.get("code") for message in rest]
    assert wire.said(late, "error")[-1]["code"] == "draining"
    stopper.join()


def test_a_file_that_waits_for_its_turn_is_not_taken_for_dead(
    serve, wire, engine, conversation, local_events
):
    """Its pongs wait behind sound that the server does not read yet."""
    stuck, server = held_up(serve, engine, ping_seconds=0.5, backlog_seconds=1.0)
    socket = server.connect(ping_interval=None)
    socket.send(wire.start(options={"pace": "file", "heartbeat_seconds": 0.5}))
    sender = threading.Thread(target=send_rest, args=(socket, wire, conversation))
    sender.start()
    messages = [message for _ in range(6) for message in wire.said(socket, "heartbeat")]
    stuck.go_on.set()
    messages += wire.said(socket)
    sender.join()
    assert wire.events(messages) == local_events


def send_rest(socket, wire, sound):
    for piece in wire.pieces(sound):
        socket.send(piece)
    socket.send('{"type":"end"}')


def test_a_peer_that_does_not_even_answer_pings_is_let_go_and_its_session_kept(serve):
    server = serve(limits=Limits(ping_seconds=0.1))
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as dead:
        dead.sendall(upgrade(server.port))
        dead.sendall(b"\x81\x90\0\0\0\0" + b'{"type":"start"}')
        with contextlib.suppress(ConnectionResetError):
            while dead.recv(4096):
                pass
    again = server.connect()
    again.close()
    while server.app._hub.busy:
        assert server.request("GET", "/readyz")[0] == 200
    assert len(server.app._hub._parked) == 1


def test_a_shell_that_allows_few_files_does_not_limit_the_sockets():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 600:
        pytest.skip("this machine allows fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_peer_that_does_nothing_but_ping_is_cut_off(serve):
    server = serve()
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as busy:
        busy.sendall(upgrade(server.port))
        ping = b"\x89\x80\0\0\0\0"
        with contextlib.suppress(ConnectionError):
            busy.sendall(ping * 20_000)
        answers = b""
        with contextlib.suppress(ConnectionError):
            while more := busy.recv(65536):
                answers += more
    assert answers.count(b"\x8a\x00") < 10_000


def upgrade(port):
    return (
        f"GET /v1/listen HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def test_who_comes_and_goes_does_not_cost_a_long_session_its_place(serve, wire, conversation):
    server = serve(limits=Limits(parked=3))
    long = server.connect()
    long.send(wire.start())
    token = wire.said(long, "ready")[-1]["resume_token"]
    for piece in wire.pieces(conversation):
        long.send(piece)
    long.send('{"type":"flush"}')
    while "flush" not in wire.said(long, "ack")[-1]:
        pass
    long.socket.shutdown(sockets.SHUT_RDWR)
    for _ in range(6):
        short = server.connect()
        short.send(wire.start())
        wire.said(short, "ready")
        short.socket.shutdown(sockets.SHUT_RDWR)
    while len(server.app._hub._parked) < 3 or server.app._hub.busy:
        assert server.request("GET", "/readyz")[0] == 200
    again = server.connect()
    again.send(wire.start(resume={"token": token, "seq": 0}))
    assert wire.said(again, "ready")[-1]["received"] == len(conversation)


def test_one_client_that_sends_too_much_does_not_shut_the_door_for_others(serve, wire, engine, conversation):
    stuck, server = held_up(serve, engine, lag_seconds=0.2)
    socket = server.connect()
    socket.send(wire.start(options={"pace": "live", "heartbeat_seconds": 0.5}))
    for piece in wire.pieces(conversation):  # 12 s of sound at once
        socket.send(piece)
    while wire.said(socket, "heartbeat")[-1]["lag_ms"] < 200:
        pass
    other = server.connect()
    other.send(wire.start())
    assert json.loads(other.recv(timeout=30))["type"] == "ready"
    stuck.go_on.set()


def test_a_server_that_is_behind_with_all_takes_no_more(serve, wire, engine, conversation):
    stuck, server = held_up(serve, engine, lag_seconds=2.0)
    socket = server.connect()
    socket.send(wire.start(options={"pace": "live", "heartbeat_seconds": 0.5}))
    wire.said(socket, "ready")
    pieces = iter(wire.pieces(conversation, 4000))
    lag = 0
    while lag < 1000:
        socket.send(next(pieces))
        lag = wire.said(socket, "heartbeat")[-1]["lag_ms"]
    other = server.connect()
    other.send(wire.start())
    error = wire.said(other, "error")[-1]
    assert (error["code"], error["retryable"]) == ("overloaded", True)
    stuck.go_on.set()


def test_a_session_that_is_as_long_as_allowed_ends_in_order(serve, wire):
    socket = serve(limits=Limits(session_seconds=0.1)).connect()
    socket.send(wire.start())
    socket.send(bytes(8000))
    messages = wire.said(socket)
    assert [m["code"] for m in messages if m["type"] == "warning"] == ["time_limit"]
    assert messages[-1]["audio_ms"] == 125


def test_heartbeats_say_how_far_the_server_is(serve, wire):
    socket = serve().connect()
    socket.send(wire.start(options={"heartbeat_seconds": 0.5}))
    for _ in range(4):
        socket.send(bytes(4 * 4000))
    beat = wire.said(socket, "heartbeat")[-1]
    assert beat["audio_ms"] == 1000
    assert 0 <= beat["processed_ms"] <= 1000


def test_a_token_is_wanted_where_there_are_tokens(serve, wire):
    server = serve(LISTENER, ADMIN)
    for more, headers, code in [
        ({}, {}, "unauthorized"),
        ({"token": "wrong-secret-token-word"}, {}, "unauthorized"),
        ({}, {"Authorization": "Bearer wrong-secret-token-word"}, "unauthorized"),
    ]:
        socket = server.connect(additional_headers=headers)
        socket.send(wire.start(**more))
        assert wire.said(socket, "error")[-1]["code"] == code
    for more, headers in [({"token": LISTENER.token}, {}), ({}, bearer(ADMIN))]:
        socket = server.connect(additional_headers=headers)
        socket.send(wire.start(**more))
        assert wire.said(socket, "ready")


def test_another_scope_does_not_listen_and_a_listener_keeps_no_voice(serve, wire):
    reader = TokenEntry("reader", ("enroll",), "reader-secret-token")
    server = serve(LISTENER, reader)
    socket = server.connect(additional_headers=bearer(reader))
    socket.send(wire.start())
    assert wire.said(socket, "error")[-1]["code"] == "forbidden"
    socket = server.connect(additional_headers=bearer(LISTENER))
    socket.send(wire.start())
    socket.send('{"type":"label","speaker":"S1","name":"Anna","scope":"gallery"}')
    warning = wire.said(socket, "warning")[-1]
    assert (warning["code"], "enroll" in warning["message"]) == ("refused", True)


def test_nobody_resumes_a_session_with_another_token(serve, wire):
    server = serve(LISTENER, ADMIN)
    socket = server.connect(additional_headers=bearer(LISTENER))
    socket.send(wire.start())
    token = wire.said(socket, "ready")[-1]["resume_token"]
    thief = server.connect(additional_headers=bearer(ADMIN))
    thief.send(wire.start(resume={"token": token, "seq": 0}))
    assert wire.said(thief, "error")[-1]["code"] == "resume_unknown"


def test_sessions_are_limited_in_all_and_for_each_token(serve, wire):
    few = TokenEntry("few", ("listen",), "few-secret-token-word", sessions=1)
    server = serve(few, LISTENER, limits=Limits(sessions=2))
    codes = []
    for entry in (few, few, LISTENER, LISTENER):
        socket = server.connect(additional_headers=bearer(entry))
        socket.send(wire.start())
        message = json.loads(socket.recv(timeout=30))
        codes.append(message.get("code", "ready"))
    assert codes == ["ready", "too_many_sessions", "ready", "too_many_sessions"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"])
def test_a_page_of_another_site_may_not_connect(serve, origin):
    with pytest.raises(InvalidStatus) as refused:
        serve().connect(additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403


def test_a_thousand_connections_come_and_go_and_nothing_is_left(serve, wire):
    server = serve(limits=Limits(parked=5))
    for number in range(120):
        socket = server.connect()
        socket.send(wire.start())
        if number % 3:
            socket.recv(timeout=30)
        if number % 3 == 2:
            socket.socket.shutdown(sockets.SHUT_RDWR)
        socket.close()
    socket = server.connect()
    socket.send(wire.start())
    wire.said(socket, "ready")
    assert len(server.app._hub._places) <= 7
    assert server.app._hub.rounds.waiting == 0


def held_up(serve, engine, **limits):
    """A server that does nothing until its embedder is let go, and the embedder."""
    stuck = Stuck(engine.embedder)
    slow = Engine(stuck, engine.segmenter, engine.gallery)
    return stuck, serve(engine=slow, limits=Limits(**limits))


class Stuck:
    """An embedder that does nothing until it is let go: more load than any machine carries."""

    def __init__(self, embedder):
        self.card, self.cohort, self.voicing = embedder.card, embedder.cohort, embedder.voicing
        self._embedder, self.trunk = embedder, embedder.trunk
        self.go_on = threading.Event()

    def embed(self, windows):
        assert self.go_on.wait(60)
        return self._embedder.embed(windows)


@pytest.mark.parametrize(("policy", "last"), [("drop-oldest", "lost_audio"), ("close", "overloaded")])
def test_live_sound_that_cannot_be_kept_up_with_is_warned_of_then_dropped_or_refused(
    serve, wire, engine, conversation, policy, last
):
    stuck = Stuck(engine.embedder)
    slow = Engine(stuck, engine.segmenter, engine.gallery)
    limits = Limits(lag_seconds=0.5)
    server = serve(engine=slow, limits=limits, overload=policy)
    socket = server.connect()
    socket.send(wire.start(options={"pace": "live"}))
    pieces, codes = iter(wire.pieces(np.tile(conversation, 20), 400)), []
    wire.said(socket, "ready")
    while last not in codes:
        with contextlib.suppress(ConnectionClosed):
            socket.send(next(pieces))
        with contextlib.suppress(TimeoutError):
            codes.append(json.loads(socket.recv(timeout=0.01)).get("code"))
    stuck.go_on.set()
    assert codes.index("overload") < codes.index(last)
    if policy == "drop-oldest":
        socket.send('{"type":"end"}')
        messages = wire.said(socket)
        assert messages[-1]["audio_ms"] % 25 == 0
        assert server.request("GET", "/metrics")[1].count(b"rtspk_audio_lost_seconds_total 0.0") == 0


class Broken:
    """A log of events that takes none: what a fault of ours would be like."""

    seq = 0

    def add(self, event):
        raise RuntimeError(f"a secret of {event}")


def test_a_fault_of_the_server_ends_one_session_without_its_text_and_no_other(
    serve, wire, conversation, local_events
):
    server = serve()
    good, bad = server.connect(), server.connect()
    good.send(wire.start())
    wire.said(good, "ready")
    bad.send(wire.start())
    number = wire.said(bad, "ready")[-1]["session"]
    server.app._hub._places[number].stream.replay = Broken()
    for piece in wire.pieces(conversation):
        bad.send(piece)
    error = wire.said(bad, "error")[-1]
    assert (error["code"], error["message"]) == ("internal", "the server failed at this session")
    for piece in wire.pieces(conversation):
        good.send(piece)
    good.send('{"type":"end"}')
    assert wire.events(wire.said(good)) == local_events


def test_the_gates_of_the_server_hold_and_latency_is_the_clients(serve, wire):
    gates = SessionConfig(identity=IdentityConfig(probability=0.9))
    server = serve(session=gates)
    socket = server.connect()
    socket.send(wire.start(options={"latency": 2.0, "max_speakers": 3}))
    wire.said(socket, "ready")
    config = next(iter(server.app._hub._places.values())).stream.take().opening.config
    assert (config.identity.probability, config.latency, config.max_speakers) == (0.9, 2.0, 3)
