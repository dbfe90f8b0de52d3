"""The gallery over HTTP: voices enrolled, shown, renamed, forgotten; clips and callers that are refused."""

import contextlib
import json
import socket as sockets
import sqlite3
import tempfile

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.data import DEMO
from rtspk.engine.gallery import Gallery
from rtspk.engine.pipeline import Engine
from rtspk.server import speakers
from rtspk.server.config import Limits
from tests.server.conftest import ADMIN, ENROLLER, LISTENER, bearer


@pytest.fixture
def clip():
    return (DEMO / "Anna.opus").read_bytes()


def test_a_voice_is_enrolled_shown_renamed_and_forgotten(serve, own_engine, clip):
    server = serve(engine=own_engine)
    status, body, _ = server.request("POST", "/v1/speakers/J%C3%BCrgen%20%C3%9F", clip)
    assert status == 201
    assert json.loads(body)["name"] == "Jürgen ß"
    assert 0.1 < json.loads(body)["complete"] <= 1.0
    names = json.loads(server.request("GET", "/v1/speakers")[1])["speakers"]
    assert [one["name"] for one in names] == ["Jürgen ß"]
    detail = json.loads(server.request("GET", "/v1/speakers/J%C3%BCrgen%20%C3%9F")[1])
    assert detail["exemplars"][0]["net_speech"] > 1.0
    assert "vector" not in json.dumps(detail)
    status, body, _ = server.request("PATCH", "/v1/speakers/J%C3%BCrgen%20%C3%9F", b'{"name":"Anna"}')
    assert (status, json.loads(body)["name"]) == (200, "Anna")
    assert server.request("DELETE", "/v1/speakers/Anna")[0] == 204
    assert server.request("DELETE", "/v1/speakers/Anna")[0] == 404
    assert json.loads(server.request("GET", "/v1/speakers")[1]) == {"speakers": []}


def test_two_names_of_one_voice_are_merged(serve, own_engine, clip):
    server = serve(engine=own_engine)
    kept = 0
    for name in ("A", "B"):
        status, body, _ = server.request("POST", f"/v1/speakers/{name}", clip)
        assert status == 201
        kept += json.loads(body)["exemplars"]
    status, body, _ = server.request("PATCH", "/v1/speakers/A", b'{"into":"B"}')
    assert (status, json.loads(body)["exemplars"]) == (200, kept)
    assert server.request("GET", "/v1/speakers/A")[0] == 404


def test_what_is_wrong_with_the_gallerys_file_is_said_without_its_path(serve, engine, clip, tmp_path):
    path, card = tmp_path / "voices.db", engine.embedder.card
    gallery = Gallery.open(path, card.id, card.dimension)
    server = serve(engine=Engine(engine.embedder, engine.segmenter, gallery))
    assert server.request("POST", "/v1/speakers/Anna", clip)[0] == 201
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE exemplars SET vector = zeroblob(1)")
    status, body, _ = server.request("GET", "/v1/speakers/Anna")
    assert (status, json.loads(body)["error"]["code"]) == (503, "unavailable")
    assert str(tmp_path) not in body.decode()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/speakers/Anna", b"no sound", 422),
        ("POST", "/v1/speakers/Anna", b"", 422),
        ("POST", "/v1/speakers", b"x", 405),
        ("PUT", "/v1/speakers/Anna", b"x", 405),
        ("PATCH", "/v1/speakers/Anna", b"{", 422),
        ("PATCH", "/v1/speakers/Anna", b'{"name":"A","into":"B"}', 422),
        ("PATCH", "/v1/speakers/Anna", b'{"name":"A"}', 404),
        ("POST", "/v1/speakers/%00", b"x", 422),
        ("POST", "/v1/speakers/%ff", b"x", 400),
        ("POST", "/healthz", b"", 405),
    ],
)
def test_what_makes_no_sense_gets_a_status_and_no_exception(serve, own_engine, method, path, body, status):
    got, said, headers = serve(engine=own_engine).request(method, path, body)
    assert got == status
    assert ("GET, HEAD" in headers.get("Allow", "")) == (status == 405)
    message = json.loads(said)["error"]["message"]
    for word in ("Traceback", "/tmp", "Error", "sqlite"):
        assert word not in message


def test_scopes_hold_for_the_gallery_before_a_body_is_read(serve, own_engine, clip):
    server = serve(LISTENER, ENROLLER, ADMIN, engine=own_engine)
    assert server.request("GET", "/v1/speakers")[0] == 401
    assert server.request("GET", "/v1/speakers", **bearer(LISTENER))[0] == 403
    assert server.request("POST", "/v1/speakers/Anna", clip, **bearer(LISTENER))[0] == 403
    assert server.request("POST", "/v1/speakers/Anna", clip, **bearer(ENROLLER))[0] == 201
    assert server.request("DELETE", "/v1/speakers/Anna", **bearer(ENROLLER))[0] == 403
    assert server.request("DELETE", "/v1/speakers/Anna", **bearer(ADMIN))[0] == 204


def test_a_clip_that_is_too_long_is_refused(serve, own_engine, clip):
    server = serve(engine=own_engine, limits=Limits(clip_bytes=1000))
    status, said, _ = server.request("POST", "/v1/speakers/Anna", clip)
    assert (status, json.loads(said)["error"]["code"]) == (413, "too_large")


def test_a_small_clip_that_holds_hours_is_refused(serve, own_engine, clip, monkeypatch):
    monkeypatch.setattr(speakers, "LONGEST", 16_000)
    status, said, _ = serve(engine=own_engine).request("POST", "/v1/speakers/Anna", clip)
    assert (status, json.loads(said)["error"]["code"]) == (422, "bad_audio")
    assert own_engine.gallery.speakers() == []


def test_a_clip_that_names_another_file_does_not_make_the_server_read_it(
    serve, own_engine, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the server puts the clip
    write_wav(tmp_path / "secret.wav", read_audio(DEMO / "Anna.opus"))
    server = serve(engine=own_engine)
    status, said, _ = server.request("POST", "/v1/speakers/Eve", b"ffconcat version 1.0\nfile secret.wav\n")
    assert (status, json.loads(said)["error"]["code"]) == (422, "bad_audio")
    assert own_engine.gallery.speakers() == []


def test_a_clip_of_one_sample_is_refused(serve, own_engine, tmp_path):
    write_wav(tmp_path / "one.wav", np.zeros(1, np.float32), 48_000)
    status, said, _ = serve(engine=own_engine).request(
        "POST", "/v1/speakers/Anna", (tmp_path / "one.wav").read_bytes()
    )
    assert (status, json.loads(said)["error"]["code"]) == (422, "bad_audio")


def test_another_sites_page_may_not_change_the_gallery(serve):
    server = serve()
    assert server.request("POST", "/v1/speakers/Eve", b"x", Origin="http://evil.example")[0] == 403
    assert server.request("GET", "/v1/speakers", Host="evil.example:8765")[0] == 403


@pytest.mark.parametrize("headers", [{"Host": "["}, {"Origin": "http://["}])
def test_a_host_or_origin_that_is_none_is_nobodys(serve, headers):
    assert serve().request("POST", "/v1/speakers/Eve", b"x", **headers)[0] == 403


def test_a_fault_of_ours_at_a_request_is_logged_by_its_kind_alone(serve, own_engine, caplog, monkeypatch):
    def fail():
        raise RuntimeError("a secret")

    monkeypatch.setattr(own_engine.gallery, "speakers", fail)
    status, said, _ = serve(engine=own_engine).request("GET", "/v1/speakers")
    assert (status, json.loads(said)["error"]["code"]) == (500, "internal")
    assert "a request failed by RuntimeError" in caplog.text
    assert "secret" not in caplog.text + said.decode()


def test_a_body_in_pieces_behind_100_continue_arrives_whole(serve, own_engine, clip):
    server = serve(engine=own_engine)
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        head = (
            f"POST /v1/speakers/Anna HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
            f"Content-Length: {len(clip)}\r\nExpect: 100-continue\r\n\r\n"
        ).encode()
        raw.sendall(head[:30])
        raw.sendall(head[30:])
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for at in range(0, len(clip), 5000):
            raw.sendall(clip[at : at + 5000])
        assert raw.recv(100).startswith(b"HTTP/1.1 201")


def test_a_clip_that_is_too_large_is_told_so_behind_its_last_byte(serve, own_engine):
    server = serve(engine=own_engine, limits=Limits(clip_bytes=1 << 20))
    status, said, _ = server.request("POST", "/v1/speakers/Anna", bytes(30 << 20))
    assert (status, json.loads(said)["error"]["code"]) == (413, "too_large")
