"""More sound than the server can keep up with: files wait, live sound is warned of, then dropped."""

import contextlib
import json
import threading

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from rtspk.engine.pipeline import Engine
from rtspk.server.config import Limits


def test_a_file_that_waits_for_its_turn_is_not_taken_for_dead(
    serve, wire, engine, conversation, local_events
):
    """Its pongs wait behind sound that the server does not read yet."""
    stuck, server = held_up(serve, engine, ping_seconds=0.5, backlog_seconds=1.0)
    socket = server.connect(ping_interval=None)
    socket.send(wire.start(options={"pace": "file", "heartbeat_seconds": 0.5}))
    sender = threading.Thread(target=wire.send, args=(socket, conversation))
    sender.start()
    messages = [message for _ in range(6) for message in wire.said(socket, "heartbeat")]
    stuck.go_on.set()
    messages += wire.said(socket)
    sender.join()
    assert wire.events(messages) == local_events


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
    pieces, codes, said = iter(wire.pieces(np.tile(conversation, 20), 400)), [], {}
    wire.said(socket, "ready")
    while last not in codes:
        with contextlib.suppress(ConnectionClosed):
            socket.send(next(pieces))
        with contextlib.suppress(TimeoutError):
            said = json.loads(socket.recv(timeout=0.01))
            codes.append(said.get("code"))
    stuck.go_on.set()
    assert codes.index("overload") < codes.index(last)
    assert not said.get("retryable")  # nothing is kept that could be resumed
    if policy == "drop-oldest":
        socket.send('{"type":"end"}')
        messages = wire.said(socket)
        assert messages[-1]["audio_ms"] % 25 == 0
        assert server.request("GET", "/metrics")[1].count(b"rtspk_audio_lost_seconds_total 0.0") == 0
