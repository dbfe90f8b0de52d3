"""A server in this process on a free port, and a conversation to send to it."""

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from websockets.sync.client import ClientConnection, connect

from rtspk.audio import read_audio
from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.server.access import Access, TokenEntry
from rtspk.server.app import App
from rtspk.server.config import Limits, ServerConfig
from rtspk.types import FloatArray, samples_of
from tests.server.chromium import browser, chromium, known, watched

__all__ = ["browser", "chromium", "known", "watched"]  # fixtures of the page's tests

PATIENCE = 60.0  # s; a machine may be busy

LISTENER = TokenEntry("listener", ("listen",), "listener-secret-token")
ENROLLER = TokenEntry("enroller", ("enroll",), "enroller-secret-token")
ADMIN = TokenEntry("admin", ("admin",), "admin-secret-token-word")


def bearer(entry: TokenEntry) -> dict[str, str]:
    return {"Authorization": f"Bearer {entry.token}"}


@dataclass
class Running:
    """A server that runs, as its clients see it."""

    port: int
    app: App
    stop: Callable[[], None]
    links: contextlib.ExitStack

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/listen"

    def connect(self, **options) -> ClientConnection:
        return self.links.enter_context(
            connect(self.url, compression=None, max_queue=None, proxy=None, **options)
        )

    def request(self, method: str, path: str, body: bytes = b"", **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(
                method, path, body or None, {k.replace("_", "-"): v for k, v in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers


@contextlib.contextmanager
def running(app: App) -> Iterator[Running]:
    """Serve from a thread of its own until the context ends."""
    begun, ports, failures = threading.Event(), [], []
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with app.serving() as port:
            ports.append(port)
            begun.set()
            await over.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
            assert not asyncio.all_tasks(loop), "the server ended before its connections"
        except Exception as error:  # told to the test
            failures.append(error)
        finally:
            begun.set()

    def stop() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(PATIENCE)
    assert not failures, failures
    try:
        with contextlib.ExitStack() as links:
            yield Running(ports[0], app, stop, links)
    finally:
        stop()
        loop.close()
    assert not failures, failures


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load(":memory:", device="cpu")


@pytest.fixture
def own_engine(engine):
    """The shared models with a gallery of this test."""
    fresh = Engine.load(":memory:", device="cpu")
    return Engine(engine.embedder, engine.segmenter, fresh.gallery)


@pytest.fixture
def serve(engine):
    """Start a server of these settings; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(
            *tokens: TokenEntry,
            limits: Limits | None = None,
            engine: Engine = engine,
            load: Callable[[], Engine] | None = None,
            **settings,
        ) -> Running:
            config = ServerConfig(port=0, workers=2, drain_seconds=10.0)
            config = replace(config, limits=limits or Limits(), **settings)
            return stack.enter_context(running(App(engine, config, Access(tokens, config), load)))

        yield start


@pytest.fixture(scope="session")
def conversation() -> FloatArray:
    """Twelve seconds of two people."""
    return read_audio(DEMO / "conversation.opus")[: samples_of(12.0)]


@pytest.fixture(scope="session")
def local_events(engine, conversation) -> list[dict[str, object]]:
    """What `rtspk listen` says of it."""
    session = engine.session()
    return [event.to_json() for event in [*session.push(conversation), *session.finish()]]


class Wire:
    """The protocol, spoken by hand."""

    @staticmethod
    def start(**more) -> str:
        format_ = {"encoding": "f32le", "rate": 16000, "channels": 1}
        return json.dumps({"type": "start", "format": format_, "options": {"pace": "file"}} | more)

    @staticmethod
    def pieces(sound: FloatArray, size: int = 4000) -> list[bytes]:
        return [sound[at : at + size].astype("<f4").tobytes() for at in range(0, len(sound), size)]

    @classmethod
    def send(cls, socket: ClientConnection, sound: FloatArray) -> None:
        """All of a sound, and its end."""
        for piece in cls.pieces(sound):
            socket.send(piece)
        socket.send('{"type":"end"}')

    @staticmethod
    def said(socket: ClientConnection, until: str = "end") -> list[dict]:
        """Messages up to one of a type."""
        messages = []
        while not messages or messages[-1]["type"] != until:
            messages.append(json.loads(socket.recv(timeout=PATIENCE)))
        return messages

    @staticmethod
    def events(messages: list[dict]) -> list[dict]:
        """The numbered ones, without their numbers."""
        kinds = {"segment", "revise", "speaker", "end"}
        return [
            {key: value for key, value in message.items() if key != "seq"}
            for message in messages
            if message["type"] in kinds
        ]


@pytest.fixture(scope="session")
def wire() -> type[Wire]:
    return Wire
