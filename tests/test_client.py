"""The Python client against a real server, also through a line that breaks."""

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

import rtspk.async_client as client_module
from rtspk.audio import read_audio
from rtspk.client import AsyncClient, Client
from rtspk.data import DEMO
from rtspk.engine.events import SpeakerEvent
from rtspk.engine.pipeline import Engine
from rtspk.errors import ConfigError, SessionError
from rtspk.types import FloatArray, samples_of
from tests.conftest import serving

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[int]:
    """The port of a server."""
    with serving(tmp_path_factory.mktemp("server"), RTSPK_TOKEN=TOKEN) as port:
        yield port


@pytest.fixture(scope="module")
def sound() -> FloatArray:
    return read_audio(DEMO / "conversation.opus")[: samples_of(10.0)]


@pytest.fixture(scope="module")
def local(sound) -> list[object]:
    """What a session in this process says."""
    session = Engine.load(":memory:", device="cpu").session()
    return [event.to_json() for event in [*session.push(sound), *session.finish()]]


def chunks(sound: FloatArray, size: int) -> list[FloatArray]:
    return [sound[at : at + size] for at in range(0, len(sound), size)]


def address(port: int) -> str:
    return f"ws://127.0.0.1:{port}"


class BrokenLine:
    """Passes bytes on, and breaks every connection after a random number of them."""

    def __init__(self, port: int, seed: int) -> None:
        self._rng, self._target = random.Random(seed), port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.broken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                left = self._rng.randrange(20_000, 200_000)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other, left), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, left: int) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (data := one.recv(min(left, 4096))):
                other.sendall(data)
                left -= len(data)
        self.broken += left <= 0
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_client_says_what_a_local_session_says(server, sound, local):
    with Client(address(server), token=TOKEN, pace="file") as client:
        events = [event.to_json() for event in client.events(chunks(sound, 5000))]
        assert client.finish() == []
    assert events == local


def test_an_asyncio_client_says_the_same(server, sound, local):
    async def listen():
        async with AsyncClient(address(server), token=TOKEN, pace="file") as client:

            async def send():
                for samples in chunks(sound, 8000):
                    await client.push(samples)
                await client.finish()

            sender = asyncio.create_task(send())
            events = [event.to_json() async for event in client]
            await sender
            return events

    assert asyncio.run(listen()) == local


@pytest.mark.parametrize("seed", [1, 2])
def test_over_a_line_that_breaks_nothing_is_lost_or_told_twice(server, sound, local, seed):
    line = BrokenLine(server, seed)
    with contextlib.closing(line), Client(address(line.port), token=TOKEN, pace="file") as client:
        events = [event.to_json() for event in client.events(chunks(sound, 3000))]
    assert events == local
    assert line.broken > 2


def test_a_label_named_by_the_client_is_named_in_what_follows(server, sound):
    with Client(address(server), token=TOKEN, pace="file") as client:
        client.push(sound)
        client.label("S1", "Zoë")
        events = client.finish()
    assert ("S1", "Zoë") in [(e.label, e.name) for e in events if type(e).__name__ == "SpeakerEvent"]


def test_a_wrong_token_is_one_plain_line(server):
    with (
        pytest.raises(SessionError, match="wanted a token that this server knows"),
        Client(address(server), token="wrong-token-of-the-tests") as client,
    ):
        client.finish()


def test_no_server_is_one_plain_line():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SessionError, match=f"wanted a server at ws://127.0.0.1:{port}/v1/listen"):
        Client(address(port))


@pytest.mark.parametrize("url", ["localhost:8765", "http://localhost:8765", "ws://", "ws://a:b", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="wanted a server as ws://HOST:PORT"):
        Client(url)


@pytest.mark.parametrize("made", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"latency": "1"}, "wanted a latency of 0.5 to 5 seconds, got '1'"),
        ({"latency": float("nan")}, "wanted a latency of 0.5 to 5 seconds, got nan"),
        ({"max_speakers": -1}, "wanted 1 to 100 speakers at most, got -1"),
        ({"max_speakers": 1.5}, "wanted 1 to 100 speakers at most, got 1.5"),
        ({"pace": "fast"}, "wanted a pace of live or file, got 'fast'"),
    ],
)
def test_what_no_session_can_be_asked_for_is_refused_before_a_server_is(made, asked, said):
    with pytest.raises(ConfigError) as caught:
        made("ws://localhost:1", **asked)
    assert str(caught.value) == said


@contextlib.contextmanager
def server_of_our_own(answer, **more):
    """A websocket whose each connection is answered by a function; gives its address."""
    with serve(answer, "127.0.0.1", 0, **more) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield address(listener.socket.getsockname()[1])
        listener.shutdown()


def ready(received=0):
    return json.dumps(
        {"type": "ready", "session": "s", "resume_token": "t", "resume_seconds": 60.0, "model": "m"}
        | {"latency": 1.0, "resumed": received > 0, "received": received, "audio_ms": 0}
    )


def test_a_line_that_is_silent_for_long_is_left_for_a_new_one(monkeypatch):
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.3)
    over, starts = threading.Event(), []

    def answer(line):
        starts.append(json.loads(line.recv()))
        line.send(ready())
        if len(starts) == 1:
            over.wait(30)  # neither a word nor a closed connection
        else:
            line.send('{"type":"end","seq":1,"audio_ms":0,"speakers":0}')

    with server_of_our_own(answer) as url, Client(url) as client:
        events = client.finish()
        over.set()
    assert [type(event).__name__ for event in events] == ["EndEvent"]
    assert [("resume" in start) for start in starts] == [False, True]


def test_sound_for_a_session_that_the_server_has_ended_is_refused_with_its_reason():
    def answer(line):
        line.recv()
        line.send(ready())
        line.recv()
        line.send('{"type":"warning","code":"draining","message":"the server is going down"}')
        line.send('{"type":"end","seq":1,"audio_ms":1000,"speakers":0}')

    said = r"the server ended the session: the server is going down$"
    sound = [np.zeros(16000, np.float32)] * 1000
    with server_of_our_own(answer) as url, Client(url) as client, pytest.raises(SessionError, match=said):
        list(client.events(sound))


def test_the_cookies_of_a_balancer_lead_back_to_the_server_that_has_the_session():
    cookies = []

    def answer(line):
        cookies.append(line.request.headers.get("Cookie"))
        line.recv()
        line.send(ready())
        if len(cookies) == 1:
            line.socket.shutdown(socket.SHUT_RDWR)
        else:
            while line.recv() != '{"type":"end"}':
                pass
            line.send('{"type":"end","seq":1,"audio_ms":0,"speakers":0}')

    def mark(_line, _request, response):
        response.headers["Set-Cookie"] = "pod=2; Path=/; Secure; HttpOnly"
        response.headers["Set-Cookie"] = "=; what"

    with server_of_our_own(answer, process_response=mark) as url, Client(url) as client:
        client.finish()
    assert cookies == [None, "pod=2"]


@pytest.mark.parametrize(("code", "said"), [(4000, "resumed by somebody else"), (1009, "as long as")])
def test_where_another_attempt_would_come_to_the_same_there_is_none(code, said):
    starts = []

    def answer(line):
        starts.append(line.recv())
        line.send(ready())
        line.close(code)

    with server_of_our_own(answer) as url, Client(url) as client, pytest.raises(SessionError, match=said):
        client.finish()
    assert len(starts) == 1


def gone_behind_a_word(line):
    """Says one event, and is gone for good once the sound is over."""
    line.recv()
    line.send(ready())
    line.send('{"type":"speaker","seq":1,"event":"new","speaker":"S1"}')
    line.recv()
    line.close(4000)


def test_what_a_server_said_before_it_failed_is_there_behind_the_error():
    with server_of_our_own(gone_behind_a_word) as url, Client(url) as client:
        with pytest.raises(SessionError, match="resumed by somebody else"):
            client.finish()
        assert client.finish() == [SpeakerEvent("new", "S1")]
        assert client.finish() == []


def test_events_come_before_the_error_that_ends_them():
    with server_of_our_own(gone_behind_a_word) as url, Client(url) as client:
        events = client.events([])
        assert next(events) == SpeakerEvent("new", "S1")
        with pytest.raises(SessionError, match="resumed by somebody else"):
            next(events)


def test_the_longest_message_of_a_server_is_heard():
    name = "\N{GRINNING FACE}" * 300
    changes = [{"id": n, "rev": 2, "speaker": "S1", "name": name, "reason": "named"} for n in range(2048)]

    def answer(line):
        line.recv()
        line.send(ready())
        line.send(json.dumps({"type": "revise", "seq": 1, "changes": changes}, ensure_ascii=False))
        line.send('{"type":"end","seq":2,"audio_ms":0,"speakers":1}')

    with server_of_our_own(answer) as url, Client(url) as client:
        revised, _ = client.finish()
    assert [change.name for change in revised.changes] == [name] * 2048


@pytest.mark.parametrize("after", [0, 1])
def test_a_server_of_another_kind_is_one_plain_line(after):
    def answer(line):
        line.recv()
        for text in [ready(), "hello"][1 - after :]:
            line.send(text)
        with contextlib.suppress(ConnectionClosed):
            line.recv()

    with (
        server_of_our_own(answer) as url,
        pytest.raises(SessionError, match="wanted a server of this protocol"),
        Client(url) as client,
    ):
        client.finish()


def test_sound_after_finish_is_refused(server):
    with Client(address(server), token=TOKEN, pace="file") as client:
        client.finish()
        with pytest.raises(SessionError, match="wanted no audio after finish"):
            client.push(np.zeros(10, np.float32))
