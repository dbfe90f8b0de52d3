"""Talk to a server: `AsyncClient` for asyncio, `Client` for everybody else; broken connections are resumed.

with Client("ws://localhost:8765") as client:
    for event in client.events(chunks):  # float32 at 16 kHz, any length
        print(event)
"""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Literal, Self, TypeVar

from rtspk.async_client import AsyncClient
from rtspk.engine.events import Event
from rtspk.errors import SessionError
from rtspk.remote import RemoteStatus
from rtspk.server.messages import Label, Merge, WarningMessage
from rtspk.types import FloatArray

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")


class Client:
    """One session on a server, for code without asyncio; its face is that of a local session."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        latency: float | None = None,
        max_speakers: int | None = None,
        pace: Literal["live", "file"] = "live",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Begin a session; arguments as for `AsyncClient`."""
        self._client = AsyncClient(
            url, token=token, latency=latency, max_speakers=max_speakers, pace=pace, tls=tls
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtspk-client", daemon=True)
        self._thread.start()
        self._finished = self._closed = False
        try:
            self._do(self._client.__aenter__())
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def status(self) -> RemoteStatus:
        """How the server is doing, by its last heartbeat."""
        return self._client.status

    def warnings(self) -> list[WarningMessage]:
        """What the server warned of; take and clear."""
        return self._client.warnings()

    def push(self, samples: FloatArray) -> list[Event]:
        """Send the next sound, float32 [shape=(n,)] at 16 kHz; returns the events that are there by now.

        Raises:
            AudioError: samples of another shape or type, or not finite; the session stays as it was.
            SessionError: the server ended the session, or is gone for good; nothing follows.
        """
        try:
            return self._do(self._pushed(samples))
        except SessionError:
            self._finished = True
            raise

    def label(self, speaker: str, name: str, *, keep: bool = False) -> None:
        """Name a speaker of this session; `keep` stores the voice in the server's gallery too."""
        self._do(
            self._client.order(Label(speaker=speaker, name=name, scope="gallery" if keep else "session"))
        )

    def merge(self, gone: str, kept: str) -> None:
        """Two speakers of this session are one."""
        self._do(self._client.order(Merge(speaker=gone, into=kept)))

    def finish(self) -> list[Event]:
        """End the sound; waits for the rest of the events. A second time returns nothing.

        Raises:
            SessionError: the server ended the session, or is gone for good. What it had said before is
                returned by the next call, also where it was `push` that failed.
        """
        if self._finished:
            return [] if self._closed else self._do(self._left())
        self._finished = True
        return self._do(self._rest())

    def events(self, chunks: Iterable[FloatArray]) -> Iterator[Event]:
        """Send chunks and give the events as they come, to the end; before an error those that had come."""
        try:
            for samples in chunks:
                yield from self.push(samples)
            yield from self.finish()
        except SessionError:
            yield from self.finish()
            raise

    def close(self) -> None:
        """Let go of the session; a second time does nothing."""
        if not self._closed:
            self._closed = True
            try:
                self._do(self._client.__aexit__(None, None, None))
            finally:
                self._stop()

    async def _pushed(self, samples: FloatArray) -> list[Event]:
        await self._client.push(samples)
        return self._client.taken()

    async def _rest(self) -> list[Event]:
        await self._client.finish()
        await self._client.over()
        return self._client.taken()

    async def _left(self) -> list[Event]:
        return self._client.taken()

    def _do(self, work: "Coroutine[object, object, T]") -> T:
        """Run on the client's loop, and wait; an interrupted wait lets go of the work too."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise SessionError("wanted an open session, got one that was closed") from None
        except BaseException:
            future.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
