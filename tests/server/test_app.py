"""The server through real sockets: sessions that say what local ones say, their options, draining."""

import asyncio
import json
import re
import socket as sockets
import subprocess
import threading
import unicodedata

import pytest
from websockets.exceptions import ConnectionClosed

from rtspk.engine.settings import IdentityConfig, SessionConfig
from rtspk.errors import ConfigError
from rtspk.server.access import Access
from rtspk.server.app import App
from rtspk.server.config import Limits, ServerConfig
from rtspk.server.descriptors import most_sockets, raise_file_limit
from rtspk.types import samples_of


def send_all(socket, wire, sound):
    socket.send(wire.start())
    wire.send(socket, sound)


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


@pytest.mark.parametrize("scope", ["session", "gallery"])
def test_a_name_that_is_too_long_is_refused_and_the_session_goes_on(
    serve, wire, conversation, own_engine, scope
):
    socket = serve(engine=own_engine).connect()
    socket.send(wire.start())
    for piece in wire.pieces(conversation):
        socket.send(piece)
    composed = "\u1e17" * 300  # two marks on a letter: 900 characters as they are sent
    for name in ("x" * 301, "x" * 401, "x" * 16_000, unicodedata.normalize("NFD", composed)):
        socket.send(json.dumps({"type": "label", "speaker": "S1", "name": name, "scope": scope}))
    socket.send('{"type":"end"}')
    messages = wire.said(socket)
    refused = [message for message in messages if message["type"] == "warning"]
    assert [message["code"] for message in refused] == ["refused"] * 3
    lengths = (301, 401, 16_000)
    wanted = [f"wanted a name of at most 300 characters, got {length}" for length in lengths]
    assert [message["message"] for message in refused] == wanted
    named = [m["name"] for m in messages if m["type"] == "speaker" and m["event"] == "named"]
    assert named == [composed]
    kept = [record.name for record in own_engine.gallery.speakers()]
    assert kept == ([composed] if scope == "gallery" else [])


def test_a_session_that_lingers_is_named_and_kept_behind_its_end(serve, wire, conversation, own_engine):
    server = serve(engine=own_engine)
    socket = server.connect()
    socket.send(wire.start(options={"pace": "file", "linger_seconds": 600, "heartbeat_seconds": 0.5}))
    for piece in wire.pieces(conversation):
        socket.send(piece)
    socket.send('{"type":"end"}')
    ready, *_, end = wire.said(socket)
    wire.said(socket, "heartbeat")
    socket.socket.shutdown(sockets.SHUT_RDWR)  # broken, and resumed behind the end
    socket = server.connect()
    resume = {"token": ready["resume_token"], "seq": end["seq"]}
    socket.send(wire.start(resume=resume))
    wire.said(socket, "ready")
    socket.send('{"type":"label","speaker":"S1","name":"Zoë","scope":"gallery"}')
    socket.send('{"type":"flush","id":5}')
    named, revised = wire.said(socket, "revise")
    assert (named["name"], named["seq"]) == ("Zoë", end["seq"] + 1)
    assert {change["name"] for change in revised["changes"]} == {"Zoë"}
    assert wire.said(socket, "ack")[-1]["flush"] == 5
    assert json.loads(server.request("GET", "/v1/speakers")[1])["speakers"][0]["name"] == "Zoë"
    server.stop()  # it does not wait for who lingers
    with pytest.raises(ConnectionClosed):
        wire.said(socket)


def test_a_session_that_lingered_for_long_enough_is_closed(serve, wire):
    socket = serve().connect()
    socket.send(wire.start(options={"linger_seconds": 0.1}))
    socket.send('{"type":"end"}')
    assert wire.said(socket)[-1]["type"] == "end"
    with pytest.raises(ConnectionClosed):
        wire.said(socket)


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


def test_there_are_never_more_sockets_than_files_for_them():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert 200 <= most_sockets() < 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert most_sockets() <= 4096


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


def test_the_gates_of_the_server_hold_and_latency_is_the_clients(serve, wire):
    gates = SessionConfig(identity=IdentityConfig(probability=0.9))
    server = serve(session=gates)
    socket = server.connect()
    socket.send(wire.start(options={"latency": 2.0, "max_speakers": 3}))
    wire.said(socket, "ready")
    config = next(iter(server.app._hub._places)).stream.take().opening.config
    assert (config.identity.probability, config.latency, config.max_speakers) == (0.9, 2.0, 3)


def test_who_chooses_nothing_has_what_the_server_is_set_to(serve, wire):
    socket = serve(session=SessionConfig(latency=3.5)).connect()
    socket.send(wire.start())
    assert wire.said(socket, "ready")[-1]["latency"] == 3.5


def test_a_key_that_wants_a_pass_phrase_and_one_that_is_not_there_are_named(engine, tmp_path):
    key, open_key = tmp_path / "key.pem", tmp_path / "open.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    make += ["-passout", "pass:secret", "-keyout", key, "-out", tmp_path / "cert.pem"]
    subprocess.run(make, check=True, capture_output=True)
    for file, said in ((key, "a TLS key without a pass phrase"), (open_key, "got: No such file")):
        config = ServerConfig(port=0, tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(file))

        async def serve(app):
            async with app.serving():
                pytest.fail("it serves")

        with pytest.raises(ConfigError, match=re.escape(said)):
            asyncio.run(serve(App(engine, config, Access((), config))))
