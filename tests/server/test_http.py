"""HTTP on the same port: health, metrics, the page, and requests that are none."""

import contextlib
import gc
import json
import re
import socket as sockets
import ssl
import threading

import pytest

from rtspk.engine.gallery_records import LONGEST_NAME
from rtspk.server import connection
from tests.server.conftest import ADMIN, LISTENER, bearer


def test_health_readiness_and_what_the_page_wants_to_know(serve):
    server = serve(LISTENER)
    assert server.request("GET", "/healthz")[:2] == (200, b"ok\n")
    assert server.request("GET", "/readyz")[:2] == (200, b"ready\n")
    status, body, _ = server.request("GET", "/v1/info")
    assert (status, json.loads(body)["needs_token"]) == (200, True)
    assert b"resume_token" in server.request("GET", "/v1/schema")[1]


def test_metrics_count_sessions_and_hold_no_name(serve, wire, conversation):
    server = serve()
    socket = server.connect()
    socket.send(wire.start())
    wire.send(socket, conversation)
    wire.said(socket)
    text = server.request("GET", "/metrics")[1].decode()
    assert "rtspk_sessions_started_total 1.0" in text
    assert 'rtspk_events_total{type="end"} 1.0' in text
    assert "rtspk_audio_seconds_total 12.0" in text
    assert "S1" not in text


def test_identifications_are_the_gallerys_and_not_names_given_by_hand(serve, wire, conversation, own_engine):
    server = serve(engine=own_engine)
    for count in ("0.0", "1.0"):
        socket = server.connect()
        socket.send(wire.start())
        for piece in wire.pieces(conversation):
            socket.send(piece)
        socket.send('{"type":"flush","id":1}')
        heard = wire.said(socket, "ack")
        while heard[-1].get("flush") != 1:
            heard += wire.said(socket, "ack")
        for scope in ("session", "gallery"):
            socket.send(json.dumps({"type": "label", "speaker": "S1", "name": "Zoë", "scope": scope}))
        socket.send('{"type":"end"}')
        heard += wire.said(socket)
        assert "Zoë" in {message.get("name") for message in heard}
        text = server.request("GET", "/metrics")[1].decode()
        assert f"rtspk_identifications_total {count}" in text


def test_delays_and_lag_are_measured_of_live_sound_alone(serve, wire, conversation):
    server = serve()
    for count, pace in (("0.0", "file"), ("2.0", "live")):
        socket = server.connect()
        socket.send(wire.start(options={"pace": pace, "heartbeat_seconds": 0.5}))
        for number, sound in enumerate(wire.pieces(conversation, 16000)[:2]):
            socket.send(sound)
            socket.send(json.dumps({"type": "flush", "id": number + 1}))
            while wire.said(socket, "ack")[-1].get("flush") != number + 1:
                pass
        wire.said(socket, "heartbeat")
        text = server.request("GET", "/metrics")[1].decode()
        assert f"rtspk_label_delay_seconds_count {count}" in text
        assert ("rtspk_lag_seconds_count 0.0" in text) is (pace == "file")


def test_metrics_want_the_scope_admin(serve):
    server = serve(LISTENER, ADMIN)
    assert server.request("GET", "/metrics")[0] == 401
    assert server.request("GET", "/metrics", **bearer(LISTENER))[0] == 403
    assert server.request("GET", "/metrics", **bearer(ADMIN))[0] == 200


def test_the_page_is_served_with_headers_that_keep_it_safe(serve):
    server = serve()
    status, body, headers = server.request("GET", "/")
    assert status == 200
    assert body.startswith(b"<!doctype html>")
    assert "script-src" not in headers["Content-Security-Policy"]  # default-src 'self' holds: nothing inline
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_takes_names_as_long_as_the_gallery_does(serve):
    body = serve().request("GET", "/")[1].decode()
    assert re.findall(r'maxlength="(\d+)"', body) == [str(LONGEST_NAME)] * 2


@pytest.mark.parametrize(
    "path", ["/nothing", "/../config.py", "/%2e%2e/config.py", "/web/index.html", "/__init__.py", "/app.py"]
)
def test_what_is_not_a_file_of_the_page_is_not_there(serve, path):
    assert serve().request("GET", path)[0] == 404


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"x" * 100_000,
        b"POST /v1/speakers/A HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_closed_and_the_server_goes_on(serve, data):
    server = serve()
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(data)
        raw.shutdown(sockets.SHUT_WR)
        answer = b""
        try:
            while more := raw.recv(4096):
                answer += more
        except ConnectionResetError:
            pass
        assert b"200 OK" not in answer
    assert server.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    ("request_line", "header", "status"),
    [
        (b"POST /v1/speakers/A", b"Transfer-Encoding: chunked", 411),
        (b"POST /v1/speakers/A", b"Content-Length: -5", 400),
        (b"POST /v1/speakers/A", b"Content-Length: 5\r\nContent-Length: 6", 400),
        (b"GET /\xff", b"Accept: */*", 400),
    ],
)
def test_a_request_that_cannot_be_read_is_told_why(serve, request_line, header, status):
    with sockets.create_connection(("127.0.0.1", serve().port), timeout=30) as raw:
        raw.sendall(request_line + b" HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n12345")
        answer = raw.makefile("rb").read()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'"message": "wanted ' in answer


@pytest.mark.parametrize(("path", "status"), [("/v1/speakers/Anna", 401), ("/", 405)])
def test_who_sends_a_large_body_that_is_refused_reads_why(serve, path, status):
    assert serve(ADMIN).request("POST", path, bytes(30 << 20))[0] == status


def test_who_speaks_tls_to_a_server_without_it_learns_so_at_once(serve, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 3600.0)
    server = serve()
    raw = sockets.create_connection(("127.0.0.1", server.port), timeout=30)
    with raw, pytest.raises((ssl.SSLError, ConnectionError)):
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")


def test_of_several_requests_at_once_the_first_is_answered(serve):
    with sockets.create_connection(("127.0.0.1", serve().port), timeout=30) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        assert raw.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")


def test_a_length_of_five_thousand_digits_is_too_long_like_any_other(serve):
    with sockets.create_connection(("127.0.0.1", serve().port), timeout=30) as raw:
        head = b"POST /v1/speakers/A HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        raw.sendall(head + b"9" * 5000 + b"\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    server = serve()
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        with contextlib.suppress(ConnectionError):
            assert raw.recv(4096) == b""
    assert server.request("GET", "/healthz")[0] == 200


def test_sockets_beyond_what_the_process_may_hold_are_closed_at_once(serve, monkeypatch):
    monkeypatch.setattr(connection, "most_sockets", lambda: 3)
    server = serve()
    with contextlib.ExitStack() as links:
        for _ in range(3):
            links.enter_context(sockets.create_connection(("127.0.0.1", server.port), timeout=30))
        beyond = links.enter_context(sockets.create_connection(("127.0.0.1", server.port), timeout=30))
        with contextlib.suppress(ConnectionResetError):
            assert beyond.recv(10) == b""


def test_requests_that_come_as_the_server_ends_leave_no_task_and_no_socket_behind(serve):
    """Each server asserts the first as it ends; whoever is let in meanwhile is answered or refused."""
    for _ in range(4):
        server, over = serve(), threading.Event()
        asked = threading.Barrier(7)

        def ask(port=server.port, over=over, asked=asked):
            first = True
            while not over.is_set():
                with contextlib.suppress(OSError), sockets.create_connection(("127.0.0.1", port), 5.0) as one:
                    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    one.recv(1 << 16)
                if first:
                    asked.wait(30.0)
                    first = False

        callers = [threading.Thread(target=ask) for _ in range(6)]
        for caller in callers:
            caller.start()
        asked.wait(30.0)  # all have been answered once, and go on asking
        server.stop()
        over.set()
        for caller in callers:
            caller.join(30.0)
        gc.collect()  # a socket that nobody closed warns now
