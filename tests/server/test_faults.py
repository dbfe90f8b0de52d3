"""Faults of clients, and one of the server, end one session with a reason and no other."""

import contextlib
import socket as sockets
import threading

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from rtspk.server import app
from rtspk.server.config import Limits


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
    wire.send(good, conversation)
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
    assert server.app._hub._places.parked == 1


def test_a_refused_client_that_went_on_sending_is_closed_at_once(serve, wire, monkeypatch):
    monkeypatch.setattr(app, "CLOSE_SECONDS", 3600.0)
    server = serve()
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        start = wire.start(format={"encoding": "opus", "rate": 44100}).encode()
        raw.sendall(upgrade(server.port))
        assert raw.recv(4096).startswith(b"HTTP/1.1 101")
        raw.sendall(frame(0x81, start) + frame(0x82, bytes(3200)) * 8)
        answer = b""
        while (0x3F0).to_bytes(2, "big") not in answer:  # 1008, in its close frame
            answer += raw.recv(4096)
        assert b"unsupported_format" in answer
        raw.sendall(frame(0x88, (0x3F0).to_bytes(2, "big")))
        assert raw.recv(4096) == b""


@pytest.mark.parametrize("opcode", [0x89, 0x8A])
def test_a_peer_that_does_nothing_but_ping_or_pong_is_cut_off(serve, opcode):
    server = serve()
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as busy:
        busy.sendall(upgrade(server.port))
        ping = bytes([opcode]) + b"\x80\0\0\0\0"
        with contextlib.suppress(ConnectionError):
            busy.sendall(ping * 20_000)
        answers = b""
        with contextlib.suppress(ConnectionError):
            while more := busy.recv(65536):
                answers += more
    assert answers.count(b"\x8a\x00") < 10_000


def frame(opcode, data):
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return bytes([opcode]) + size + bytes(4) + data


def upgrade(port):
    return (
        f"GET /v1/listen HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def test_heartbeats_go_on_behind_a_fault_of_the_server_at_its_links(serve, wire, caplog, monkeypatch):
    server, calls, twice = serve(), [], threading.Event()

    def fail(now):
        calls.append(now)
        if len(calls) > 1:
            twice.set()
        raise RuntimeError("a secret")

    monkeypatch.setattr(server.app, "_let_go", fail)
    socket = server.connect()
    socket.send(wire.start(options={"heartbeat_seconds": 0.5}))
    assert twice.wait(30)
    monkeypatch.undo()
    assert wire.said(socket, "heartbeat")
    assert "a tick failed by RuntimeError" in caplog.text
    assert "secret" not in caplog.text


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
    server.app._hub._places.get(number).stream.replay = Broken()
    for piece in wire.pieces(conversation):
        bad.send(piece)
    error = wire.said(bad, "error")[-1]
    assert (error["code"], error["message"]) == ("internal", "the server failed at this session")
    wire.send(good, conversation)
    assert wire.events(wire.said(good)) == local_events
