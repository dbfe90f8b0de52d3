"""The server as it runs: sockets, tasks, signals. All that awaits is here, but for requests, in the site."""

import asyncio
import contextlib
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from rtspk.engine.pipeline import Engine
from rtspk.errors import ConfigError
from rtspk.server.access import Access, bearer, check_address
from rtspk.server.answer import fault, to_response
from rtspk.server.config import ServerConfig
from rtspk.server.connection import HEAD_SECONDS, BodyConnection
from rtspk.server.descriptors import raise_file_limit
from rtspk.server.hub import Hub
from rtspk.server.link import Link
from rtspk.server.protocol import Audio, Protocol
from rtspk.server.site import Site, one_header
from rtspk.server.telemetry import Telemetry
from rtspk.server.workers import make_workers

__all__ = ["App", "run"]

LISTEN_PATHS: frozenset[str] = frozenset({"/", "/v1/listen"})
TICK_SECONDS: float = 0.25
HTTP_SECONDS: float = 300.0  # for a request with all that it asks for, such as a long clip to enrol
CLOSE_SECONDS: float = 5.0
QUEUE: int = 2  # messages that wait to be taken, each up to `message_bytes`; more wait in the socket
ACCEPTING: int = 4  # turns of the loop, at most, from a socket that is accepted to the task that handles it

_log = logging.getLogger(__name__)


class App:
    """One server; `serving` opens its port."""

    def __init__(
        self,
        engine: Engine,
        config: ServerConfig,
        access: Access,
        load: Callable[[], Engine] | None = None,
    ) -> None:
        """Make a server.

        Args:
            engine: for what is asked over HTTP, and for the streams where workers are threads
            config: all settings
            access: who may do what
            load: makes a like engine in another process, and can be pickled; None lets workers be threads
        """
        check_address(config, access)
        self.config, self.access, self.telemetry = config, access, Telemetry()
        self._engine, self._load = engine, load
        self._site = Site(engine, access, self.telemetry, config.limits.clip_bytes)
        self._links: set[Link] = set()
        self._hub: Hub | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serve until the context ends, which drains; gives the port."""
        server = await self._bound()
        workers = make_workers(self.config.worker_count, self._engine, self._load)
        model = self._engine.embedder.card.id
        self._hub = hub = Hub(model, workers, self.config, self.access, self.telemetry)
        ticker = asyncio.create_task(self._tick(hub))
        try:
            for worker in workers:
                await asyncio.to_thread(worker.start)
            await server.start_serving()
            yield server.sockets[0].getsockname()[1]
            await self._drain(hub)
        finally:
            ticker.cancel()
            try:
                await _shut(server)
                server.close(code=1001)
                await _empty(server)
            finally:
                await asyncio.to_thread(hub.rounds.close)

    async def _bound(self) -> Server:
        """The port is ours; nobody is let in yet."""
        limits, quiet = self.config.limits, logging.getLogger("rtspk.server.websockets")
        quiet.setLevel(logging.CRITICAL + 1)  # the library logs each broken handshake with a traceback
        try:
            return await serve(
                self._handle,
                self.config.host,
                self.config.port,
                process_request=self._answer_request,
                create_connection=BodyConnection,
                ssl=_tls(self.config),
                ssl_handshake_timeout=HEAD_SECONDS if self.config.tls_certificate else None,
                compression=None,  # sound does not get smaller, and it would cost a core
                server_header=None,
                open_timeout=HTTP_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=limits.ping_seconds,
                ping_timeout=None,  # a pong waits behind sound that is not read yet: see `_let_go`
                max_size=limits.message_bytes,
                max_queue=QUEUE,
                logger=quiet,
                start_serving=False,
            )
        except OSError as error:
            where = f"{self.config.host}:{self.config.port}"
            raise ConfigError(f"wanted to listen at {where}, got: {error.strerror or error}") from error

    async def _drain(self, hub: Hub) -> None:
        hub.drain()
        for link in self._links:
            if link.stream is None:
                hub.obey(
                    link.protocol.refuse("draining", "the server is going down", retryable=True), link, 0.0
                )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_seconds):
                while self._links:
                    await asyncio.sleep(TICK_SECONDS / 5)

    async def _tick(self, hub: Hub) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self.telemetry.connections.set(len(self._links))
                self._let_go(hub.rounds.now())
                hub.tick(hub.rounds.now())
            except Exception as error:  # whatever it is, the next tick comes
                _log.warning("a tick failed by %s", type(error).__name__)

    def _let_go(self, now: float) -> None:
        """Cut off whoever does not even answer a ping."""
        for link in self._links:
            if link.socket.silent_seconds(now) > 2 * self.config.limits.ping_seconds:
                link.cut()

    async def _handle(self, connection: ServerConnection) -> None:
        """One websocket's life."""
        assert self._hub is not None
        assert connection.request is not None
        socket, hub = cast("BodyConnection", connection), self._hub
        token = bearer(one_header(connection.request.headers, "Authorization"))
        principal = self.access.principal(token) if token is not None or not self.access.needs_token else None
        link = Link(socket, principal, self.config.limits, Protocol(self.config.limits))
        self._links.add(link)
        sender = asyncio.create_task(_send(link))
        try:
            await self._receive(link, hub)
            await asyncio.gather(sender, _pass_over(socket))
        except ConnectionClosed:
            pass
        except Exception as error:  # whatever it is, the other connections go on
            _log.warning("a connection ended by %s", type(error).__name__)
            command = link.protocol.refuse("internal", "the server failed at this session")
            hub.obey(command, link, hub.rounds.now())
            await asyncio.wait([sender], timeout=CLOSE_SECONDS)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._links.discard(link)
            hub.leave(link, socket.close_code, hub.rounds.now())

    async def _receive(self, link: Link, hub: Hub) -> None:
        """Take what the client says until one of the two closes."""
        deadline = hub.rounds.now() + self.config.limits.start_seconds
        while link.closing is None:
            waits_for_start = link.protocol.state == "waiting"
            try:
                async with asyncio.timeout_at(deadline if waits_for_start else None):
                    data = await link.socket.recv()
            except TimeoutError:
                hub.obey(
                    link.protocol.refuse("timeout", "wanted start, got nothing for long"), link, deadline
                )
                return
            now = hub.rounds.now()
            if isinstance(data, str):
                command = link.protocol.receive_text(data, now)
            else:
                command = link.protocol.receive_audio(data, now)
            hub.obey(command, link, now)
            if isinstance(command, Audio) and command.wait:
                await asyncio.sleep(command.wait)
            await link.room.wait()
            await link.caught_up.wait()

    async def _answer_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Judge a request: None lets it become a websocket."""
        try:
            return await self._judge(connection, request)
        except Exception as error:  # whatever it is, the library's own log is off
            _log.warning("a request failed by %s", type(error).__name__)
            answer = fault(500, "internal", "the server failed at this request")
            return to_response(answer, head=request.method == "HEAD")

    async def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        assert self._hub is not None
        upgrades = "websocket" in (one_header(request.headers, "Upgrade") or "").lower()
        path = request.path.partition("?")[0]
        origin, host = one_header(request.headers, "Origin"), one_header(request.headers, "Host")
        reads = request.method in {"GET", "HEAD"} and not upgrades
        if not self.access.origin_fits(None if reads else origin, host):
            return to_response(fault(403, "origin", "this page may not talk to this server"))
        if upgrades and path in LISTEN_PATHS:
            if len(self._links) >= self.config.limits.most_connections:
                return to_response(fault(503, "overloaded", "too many connections"))
            return None
        socket = cast("BodyConnection", connection)
        answer = await self._site.answer(socket, request, draining=self._hub.draining)
        await socket.pass_over()
        return to_response(answer, head=request.method == "HEAD")


async def _pass_over(socket: BodyConnection) -> None:
    """Read on until the connection is closed: behind what nobody reads the peer's own close would wait."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.recv()


async def _send(link: Link) -> None:
    """Send what is to be said, in order; then close if that is wanted."""
    try:
        while True:
            await link.wake.wait()
            link.wake.clear()
            while (text := link.next_text()) is not None:
                await link.socket.send(text)
                link.sent()
            if link.closing is not None:
                await link.socket.close(*link.closing)
                return
    finally:
        link.let_on()


async def run(app: App, announce: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal breaks off."""
    raise_file_limit()
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()

    def ask(number: signal.Signals) -> None:
        if asked.is_set() and main is not None:
            main.cancel()
        _log.info("%s: draining", number.name)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(ask, number))
    with contextlib.suppress(asyncio.CancelledError):
        async with app.serving() as port:
            announce(port)
            await asked.wait()


async def _shut(server: Server) -> None:
    """Let nobody in any more, and whoever was let in get in whole.

    A socket that is accepted as an asyncio server closes is lost in Python 3.11: its transport asserts that
    the server is open, and nobody closes it.
    """
    loop = asyncio.get_running_loop()
    for door in server.sockets:
        with contextlib.suppress(NotImplementedError):  # loops that do not wait for sockets to be ready
            loop.remove_reader(door.fileno())
    for _ in range(ACCEPTING):
        await asyncio.sleep(0)


async def _empty(server: Server) -> None:
    """Wait until nobody is left: no task outlives the server."""
    await server.wait_closed()
    while server.handler_tasks:
        await asyncio.wait(server.handler_tasks)


def _tls(config: ServerConfig) -> ssl.SSLContext | None:
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key, _no_phrase)
    except (OSError, ssl.SSLError) as error:
        files = f"{config.tls_certificate} and its key {config.tls_key}"
        raise ConfigError(f"wanted the TLS certificate {files}, got: {error.strerror or error}") from error
    return context


def _no_phrase() -> str:
    """Called for a key that is encrypted: nobody is there to be asked."""
    raise ConfigError("wanted a TLS key without a pass phrase, got one that wants it")
