"""Who may do what: tokens, their scopes and limits, and pages of other sites."""

import json
import socket as sockets

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rtspk.server.access import TokenEntry
from rtspk.server.config import Limits
from tests.server.conftest import ADMIN, LISTENER, bearer


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


@pytest.mark.parametrize("tokens", [(), (LISTENER,)])
def test_where_a_token_has_no_limit_of_its_own_the_servers_holds(serve, wire, tokens):
    server, said = serve(*tokens, limits=Limits(sessions=2, sessions_per_token=0)), []
    for _ in range(3):
        socket = server.connect(additional_headers=bearer(LISTENER) if tokens else {})
        socket.send(wire.start())
        said.append(json.loads(socket.recv(timeout=30))["type"])
    assert said == ["ready", "ready", "error"]


def test_broken_sessions_are_not_resumed_beyond_what_a_token_may_have_at_once(serve, wire):
    few = TokenEntry("few", ("listen",), "few-secret-token-word", sessions=1)
    server, resumes = serve(few), []
    for number in range(2):
        socket = server.connect(additional_headers=bearer(few))
        socket.send(wire.start())
        resumes.append({"token": wire.said(socket, "ready")[-1]["resume_token"], "seq": 0})
        socket.socket.shutdown(sockets.SHUT_RDWR)
        while server.app._hub._places.parked <= number:
            assert server.request("GET", "/readyz")[0] == 200
    one, other = (server.connect(additional_headers=bearer(few)) for _ in resumes)
    one.send(wire.start(resume=resumes[0]))
    assert wire.said(one, "ready")[-1]["resumed"]
    other.send(wire.start(resume=resumes[1]))
    refused = json.loads(other.recv(timeout=30))
    assert (refused["type"], refused.get("code")) == ("error", "too_many_sessions")
    assert refused["retryable"]
    one.send('{"type":"end"}')
    wire.said(one)
    with pytest.raises(ConnectionClosed):
        one.recv(timeout=30)
    while server.app._hub.busy:
        assert server.request("GET", "/readyz")[0] == 200
    later = server.connect(additional_headers=bearer(few))
    later.send(wire.start(resume=resumes[1]))
    assert wire.said(later, "ready")[-1]["resumed"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"])
def test_a_page_of_another_site_may_not_connect(serve, origin):
    with pytest.raises(InvalidStatus) as refused:
        serve().connect(additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403
