"""Workers that are processes: the same answers as a thread's; one that dies takes its own streams alone."""

import asyncio
import json
import multiprocessing
import os
import signal
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed

from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import ConfigError
from rtspk.server import lane
from rtspk.server.access import Access
from rtspk.server.app import App
from rtspk.server.config import Limits, ServerConfig
from rtspk.server.messages import AudioFormat, EndRequest, Options, Start
from rtspk.server.stream import Stream
from rtspk.server.workers import ProcessWorker, WorkerError


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    path = tmp_path_factory.mktemp("gallery") / "voices.db"
    Engine.load(path, device="cpu")
    return partial(Engine.load, path, device="cpu")


@pytest.fixture
def worker(load):
    one = ProcessWorker(load)
    one.start()
    yield one
    one.close()


def stream_of(number="number"):
    start = Start(format=AudioFormat(encoding="f32le"), options=Options(pace="file"))
    return Stream(number, "owner", start, SessionConfig(), Limits())


def test_a_process_says_what_a_local_session_says_and_signals_are_not_for_it(
    worker, conversation, local_events
):
    stream, events = stream_of(), []
    stream.receive(conversation.astype("<f4").tobytes(), 0.0)
    stream.order(EndRequest())
    while stream.is_ready():
        (outcome,) = worker.work([stream.take()], []).outcomes
        stream.give_back(outcome.heard, 0.0)
        events += [event.to_json() for event in outcome.events]
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.process_id, number)
    assert events == local_events
    assert stream.heard == len(conversation)


def test_behind_a_process_that_died_comes_another_which_knows_none_of_its_streams(worker):
    known, new = stream_of("known"), stream_of("new")
    for stream in (known, new):
        stream.receive(bytes(4 * 32000), 0.0)
    first = worker.process_id
    assert worker.work([known.take()], []).outcomes[0].failure is None
    known.give_back(16000, 0.0)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(WorkerError, match="its process ended with status -9"):
        worker.work([known.take()], [])
    known.give_back(0, 0.0)
    known.receive(bytes(4 * 16000), 0.0)
    old_one, new_one = worker.work([known.take(), new.take()], []).outcomes
    assert worker.process_id != first
    assert (old_one.failure.code, new_one.failure) == ("internal", None)


def test_a_process_that_died_while_it_had_nothing_to_do_costs_a_new_stream_nothing(worker):
    first = worker.process_id
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    stream = stream_of()
    stream.receive(bytes(4 * 32000), 0.0)
    assert worker.work([stream.take()], []).outcomes[0].failure is None
    assert worker.process_id != first


def test_a_process_that_cannot_load_says_why(tmp_path):
    worker = ProcessWorker(partial(Engine.load, tmp_path, device="cpu"))
    with pytest.raises(ConfigError, match="wanted a gallery"):
        worker.start()


def test_a_server_whose_workers_cannot_load_says_why_and_lets_nobody_in(engine, tmp_path):
    config = ServerConfig(port=0, workers=2)
    app = App(engine, config, Access((), config), partial(Engine.load, tmp_path, device="cpu"))

    async def serve():
        async with app.serving():
            pytest.fail("it serves")

    with pytest.raises(ConfigError, match="wanted a worker process, got: wanted a gallery"):
        asyncio.run(serve())
    assert not multiprocessing.active_children()


def test_a_closed_worker_leaves_no_process_behind(load):
    worker = ProcessWorker(load)
    worker.start()
    number = worker.process_id
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_sessions_on_processes_outlive_the_process_of_another(serve, wire, load, conversation, local_events):
    server = serve(engine=load(), load=load)
    good, bad = server.connect(), server.connect()
    for socket in (good, bad):
        socket.send(wire.start())
        wire.said(socket, "ready")
        socket.send(wire.pieces(conversation)[0])
        socket.send('{"type":"flush","id":1}')
    heard_until_flush(bad)  # its process knows it: one that does not would be begun anew, and nothing lost
    os.kill(processes_of(server)[1], signal.SIGKILL)
    bad.send('{"type":"flush"}')
    error = wire.said(bad, "error")[-1]
    assert (error["code"], error["message"]) == ("internal", "the server failed at this session")
    with pytest.raises(ConnectionClosed):
        bad.recv(timeout=30)
    for piece in wire.pieces(conversation)[1:]:
        good.send(piece)
    good.send('{"type":"end"}')
    assert wire.events(wire.said(good)) == local_events
    third = server.connect()
    third.send(wire.start())
    wire.send(third, conversation)
    assert wire.events(wire.said(third)) == local_events


def processes_of(server):
    return [one._worker.process_id for one in server.app._hub.rounds._lanes]


def test_a_process_that_hangs_is_ended_with_its_sessions_and_another_follows(
    serve, wire, load, conversation, local_events, monkeypatch
):
    monkeypatch.setattr(lane, "LOST_SECONDS", 0.5)
    server = serve(engine=load(), load=load, workers=1)
    first = server.connect()
    first.send(wire.start())
    wire.said(first, "ready")
    os.kill(processes_of(server)[0], signal.SIGSTOP)
    first.send(wire.pieces(conversation, 16000)[0])
    assert wire.said(first, "error")[-1]["code"] == "internal"
    monkeypatch.undo()
    second = server.connect()
    second.send(wire.start())
    wire.send(second, conversation)
    assert wire.events(wire.said(second)) == local_events


def test_new_sessions_go_to_workers_that_do_not_hang(serve, wire, load, monkeypatch):
    monkeypatch.setattr(lane, "STUCK_SECONDS", 0.0)
    server = serve(engine=load(), load=load, drain_seconds=0.1)
    hung = processes_of(server)[0]
    os.kill(hung, signal.SIGSTOP)
    sessions = [server.connect() for _ in range(4)]
    for number, session in enumerate(sessions):
        session.send(wire.start())
        wire.said(session, "ready")
        session.send(bytes(4 * 16000))
        session.send('{"type":"flush","id":1}')
        if number:
            assert heard_until_flush(session)
    os.kill(hung, signal.SIGCONT)


def test_a_server_ends_although_a_worker_hangs(serve, wire, load, monkeypatch):
    monkeypatch.setattr(lane, "CLOSE_SECONDS", 0.1)
    server = serve(engine=load(), load=load, drain_seconds=0.1)
    session = server.connect()
    session.send(wire.start())
    wire.said(session, "ready")
    for number in processes_of(server):
        os.kill(number, signal.SIGSTOP)
    session.send(bytes(4 * 16000))
    wire.said(session, "ack")
    server.stop()
    assert not multiprocessing.active_children()


def test_a_name_that_one_session_keeps_is_known_to_a_session_of_another_process(
    serve, wire, load, conversation
):
    server = serve(engine=load(), load=load)
    first, second = server.connect(), server.connect()
    for socket in (first, second):  # one on each process
        socket.send(wire.start())
        wire.said(socket, "ready")
    for piece in wire.pieces(conversation):
        first.send(piece)
    first.send('{"type":"flush","id":1}')
    speaker = next(m["speaker"] for m in heard_until_flush(first) if m["type"] == "speaker")
    first.send(json.dumps({"type": "label", "speaker": speaker, "name": "Zoë", "scope": "gallery"}))
    first.send('{"type":"flush","id":1}')
    heard_until_flush(first)
    wire.send(second, conversation)
    assert "Zoë" in {m.get("name") for m in wire.said(second)}
    speakers = json.loads(server.request("GET", "/v1/speakers")[1])["speakers"]
    assert [one["name"] for one in speakers] == ["Zoë"]


def heard_until_flush(socket):
    messages = []
    while not messages or messages[-1].get("flush") != 1:
        messages.append(json.loads(socket.recv(timeout=60)))
    return messages
