"""A session on a server for asyncio; a broken connection is resumed."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from http.cookies import CookieError, SimpleCookie
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from rtspk.engine.events import Event
from rtspk.engine.settings import SessionConfig
from rtspk.errors import ConfigError, FormatError, SessionError
from rtspk.remote import Remote, RemoteStatus
from rtspk.server.messages import ClientMessage, Options, WarningMessage
from rtspk.types import FloatArray

__all__ = ["AsyncClient"]

QUEUE: int = 16  # messages of sound that may wait before `push` waits too
LONGEST: int = 4 << 20  # bytes of a message; naming 2048 segments with 300 characters each takes 2.7 million
OPEN_SECONDS: float = 10.0
CLOSE_SECONDS: float = 2.0
SILENCE_SECONDS: float = 20.0  # a server says a heartbeat every 2 s; one that is silent for so long is gone
LAST_CODES: dict[int, str] = {  # close codes behind which another attempt would come to the same
    1009: "the server takes no messages as long as the client's",
    4000: "the session was resumed by somebody else",
}
RETRIES: tuple[float, ...] = (0.1, 0.3, 1.0, 2.0, 5.0)  # s between attempts; the last one again and again


class AsyncClient:
    """One session on a server, for asyncio; a context that begins it and lets go of it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        latency: float | None = None,
        max_speakers: int | None = None,
        pace: Literal["live", "file"] = "live",
        tls: ssl.SSLContext | None = None,
        resume: bool = True,
    ) -> None:
        """Prepare a session.

        Args:
            url: ws://HOST:PORT or wss://HOST:PORT
            token: a bearer token of the server, where it wants one
            latency: seconds, 0.5 to 5; everything older is final; None: as the server is set
            max_speakers: labels at most; None: likewise
            pace: "live" sound is dropped when the server cannot keep up; a "file" is sent as fast as it works
            tls: for certificates that this machine does not know
            resume: go on where it was when the connection breaks

        Raises:
            ConfigError: no such address or pace, or a number out of its range.
        """
        self.url = _address(url)
        SessionConfig().with_choice(latency=latency, max_speakers=max_speakers)
        if pace not in ("live", "file"):
            raise ConfigError(f"wanted a pace of live or file, got {pace!r}")
        most = None if max_speakers is None else int(max_speakers)  # JSON knows no number of numpy
        self._remote = Remote(Options(latency=latency, max_speakers=most, pace=pace))
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tls, self._resumes = tls, resume
        self._cookies = SimpleCookie()  # of a balancer, which finds the server that has the session by them
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()  # None: nothing follows
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._failure: SessionError | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> RemoteStatus:
        """How the server is doing, by its last heartbeat."""
        return self._remote.status

    def warnings(self) -> list[WarningMessage]:
        """What the server warned of; take and clear."""
        said, self._remote.warnings = self._remote.warnings, []
        return said

    async def __aenter__(self) -> Self:
        connection = await self._connect()
        self._task = asyncio.create_task(self._run(connection))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def push(self, samples: FloatArray) -> None:
        """Send the next sound: float32 [shape=(n,)] at 16 kHz; waits where the server is behind.

        Raises:
            AudioError: samples of another shape or type, or not finite; the session stays as it was.
            SessionError: the server ended the session, or is gone for good.
        """
        self._remote.push(samples)
        self._wake.set()
        while self._remote.unsent > QUEUE and self._failure is None:
            self._room.clear()
            await self._room.wait()
        self._check()

    async def order(self, order: ClientMessage) -> None:
        """Send a label, merge or flush; one that a broken line swallowed is sent again."""
        self._remote.order(order)
        self._wake.set()
        self._check()

    async def finish(self) -> None:
        """The sound is over; the rest of the events follows, and then the iteration ends."""
        self._remote.finish()
        self._wake.set()

    async def over(self) -> None:
        """Wait until nothing follows; the events stay to be taken.

        Raises:
            SessionError: the server ended the session, or is gone for good.
        """
        if self._task is not None:
            await asyncio.wait({self._task})
        self._check()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Give events as they come, until the end.

        Raises:
            SessionError: the server ended the session, or is gone for good.
        """
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)
        self._check()

    def taken(self) -> list[Event]:
        """The events that are there by now; take and clear."""
        events = []
        while not self._events.empty():
            event = self._events.get_nowait()
            if event is None:
                self._events.put_nowait(None)
                break
            events.append(event)
        return events

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _run(self, connection: ClientConnection) -> None:
        """Hold the connection, and make a new one when it breaks."""
        try:
            while True:
                await self._talk(connection)
                if self._remote.ended:
                    if (why := self._remote.cut_short) is not None:
                        self._failure = SessionError(f"the server ended the session: {why}")
                    return
                self._remote.lost()
                connection = await self._again(LAST_CODES.get(connection.close_code or 0))
        except SessionError as error:
            self._failure = error
        except FormatError as error:
            self._failure = self._stranger(error)
        finally:
            self._events.put_nowait(None)
            self._room.set()

    async def _talk(self, connection: ClientConnection) -> None:
        """Use one connection until it is gone or all is said."""
        async with connection:
            sender = asyncio.create_task(self._send(connection))
            try:
                while not self._remote.ended:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        data = await connection.recv()
                    for event in self._remote.receive(str(data)):
                        self._events.put_nowait(event)
                    self._wake.set()
            except ConnectionClosed:
                pass
            except TimeoutError:  # the line is dead, and no closing handshake would come through
                connection.transport.abort()
            finally:
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await sender

    async def _send(self, connection: ClientConnection) -> None:
        while True:
            while (message := self._remote.next_message()) is not None:
                await connection.send(message)
                self._room.set()
            await self._wake.wait()
            self._wake.clear()

    async def _connect(self) -> ClientConnection:
        """Open a connection, greet, and wait for `ready`."""
        connection = None
        try:
            connection = await connect(
                self.url,
                additional_headers=self._headers | self._cookie_header(),
                ssl=(self._tls or True) if self.url.startswith("wss:") else None,
                compression=None,
                max_size=LONGEST,
                close_timeout=CLOSE_SECONDS,
                ping_interval=None,  # a ping waits behind sound that the server does not read yet
                open_timeout=OPEN_SECONDS,
                proxy=None,
            )
            self._keep_cookies(connection)
            async with asyncio.timeout(OPEN_SECONDS):
                await connection.send(self._remote.greeting())
                while not self._remote.is_open:
                    for event in self._remote.receive(str(await connection.recv())):
                        self._events.put_nowait(event)
        except SessionError:
            await _let_go(connection)
            raise
        except InvalidStatus as error:
            raise SessionError(
                f"wanted a session at {self.url}, got HTTP status {error.response.status_code}"
            ) from error
        except FormatError as error:
            await _let_go(connection)
            raise self._stranger(error) from error
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
            await _let_go(connection)
            said = " ".join(str(error).split()) or type(error).__name__
            raise SessionError(f"wanted a server at {self.url}, got: {said}") from error
        return connection

    def _cookie_header(self) -> dict[str, str]:
        pairs = [f"{name}={cookie.coded_value}" for name, cookie in self._cookies.items()]
        return {"Cookie": "; ".join(pairs)} if pairs else {}

    def _keep_cookies(self, connection: ClientConnection) -> None:
        if connection.response is not None:
            for said in connection.response.headers.get_all("Set-Cookie"):
                with contextlib.suppress(CookieError):  # one that is none
                    self._cookies.load(said)

    def _stranger(self, error: FormatError) -> SessionError:
        return SessionError(f"wanted a server of this protocol at {self.url}, got: {error}")

    async def _again(self, reason: str | None) -> ClientConnection:
        """Connect again, for as long as the server keeps the session, unless there is a reason not to."""
        if reason is not None:
            raise SessionError(f"wanted to go on with a session at {self.url}, got: {reason}")
        ready = self._remote.ready
        if ready is None or not self._resumes:
            raise SessionError(f"wanted a session at {self.url}, got a connection that closed")
        loop, attempt = asyncio.get_running_loop(), 0
        until = loop.time() + ready.resume_seconds
        while True:
            await asyncio.sleep(RETRIES[min(attempt, len(RETRIES) - 1)])
            attempt += 1
            try:
                return await self._connect()
            except SessionError:
                if self._remote.refused or loop.time() > until:
                    raise


async def _let_go(connection: ClientConnection | None) -> None:
    if connection is not None:
        await connection.close()


def _address(url: str) -> str:
    """The address of the websocket; a path that is not said is the server's own.

    >>> _address("ws://localhost:8765")
    'ws://localhost:8765/v1/listen'
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError(f"wanted a server as ws://HOST:PORT or wss://HOST:PORT, got {url!r}")
    path = "/v1/listen" if parts.path in {"", "/"} else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
