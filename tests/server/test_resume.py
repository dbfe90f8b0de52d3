"""A session whose connection broke is resumed without loss, kept in its place, and then let go."""

import contextlib
import json
import random
import socket as sockets
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from rtspk.engine.events import SpeakerEvent
from rtspk.server.config import Limits
from rtspk.server.portion import Outcome, Portion
from rtspk.server.round import Result, Round


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


def test_a_client_that_does_not_read_is_cut_off_and_may_come_back(serve, wire):
    server = serve(limits=Limits(outbox_bytes=2000))
    raw = server.connect()
    raw.send(wire.start())
    ready = wire.said(raw, "ready")[-1]
    hub_link = next(iter(server.app._hub._places)).link
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


def test_whoever_does_not_read_misses_nothing_however_much_waited(serve, wire):
    """Nor what was in the buffers of the line, nor where they do not read when they come back."""
    server = serve(limits=Limits(outbox_bytes=2 << 20))
    hub, seq = server.app._hub, 0

    def connect_deaf():
        return server.links.enter_context(connect(server.url, compression=None, proxy=None, max_queue=1))

    def talk(done):
        """A hundred events of one round, about 200 bytes each."""
        nonlocal seq
        place = next(iter(hub._places))
        events = [SpeakerEvent("named", "S1", f"{'x' * 120} {seq + n}") for n in range(1, 101)]
        seq += len(events)
        stream = place.stream
        hub.finish_round(Round([Result(stream, Portion(stream.number), Outcome(events=events))]))
        done.set()

    def resume(socket):
        socket.send(wire.start(resume={"token": token, "seq": 0}))
        return wire.said(socket, "ready")[-1]

    deaf = connect_deaf()
    deaf.send(wire.start())
    token = wire.said(deaf, "ready")[-1]["resume_token"]
    link = next(iter(hub._places)).link
    while not link.is_cut:
        done = threading.Event()
        link.socket.loop.call_soon_threadsafe(talk, done)
        assert done.wait(30)
    for _ in range(20):  # what was still worked on
        link.socket.loop.call_soon_threadsafe(talk, done)
    deaf = [deaf, *(connect_deaf() for _ in range(2))]
    for socket in deaf[1:]:
        assert resume(socket)["resumed"]
        socket.send(bytes(4000))
    back = server.connect()
    assert resume(back)["received"] == 0
    back.send(bytes(4000))
    back.send('{"type":"flush","id":7}')
    heard = [message for message in wire.said(back, "ack") if message["type"] == "speaker"]
    assert [message["seq"] for message in heard] == list(range(1, seq + 1))
    for socket in deaf:
        socket.socket.shutdown(sockets.SHUT_RDWR)


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
    while server.app._hub._places.parked < 3 or server.app._hub.busy:
        assert server.request("GET", "/readyz")[0] == 200
    again = server.connect()
    again.send(wire.start(resume={"token": token, "seq": 0}))
    assert wire.said(again, "ready")[-1]["received"] == len(conversation)


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
