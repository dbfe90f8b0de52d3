"""One connection's side of the hub: what is to be said to it, and when it is to close. It awaits nothing."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtspk.server.access import Principal
from rtspk.server.config import Limits
from rtspk.server.connection import BodyConnection
from rtspk.server.messages import Error, ServerMessage
from rtspk.server.protocol import CLOSE_CODES, Protocol
from rtspk.server.stream import Stream
from rtspk.server.wire import to_text

__all__ = ["Link"]

POLICY_VIOLATION: int = 1008
GOING_ON: int = 1000


def _open_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True, eq=False)
class Link:
    """Filled by the hub, emptied by the task that sends."""

    socket: BodyConnection
    principal: Principal | None
    limits: Limits
    protocol: Protocol
    stream: Stream | None = None
    closing: tuple[int, str] | None = None  # code and reason, once all is said
    outbox: deque[str] = field(default_factory=deque)
    waiting_bytes: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=_open_event)  # set while the stream can take more sound
    caught_up: asyncio.Event = field(default_factory=_open_event)  # unset while much of what it missed waits
    is_cut: bool = False
    beat_at: float = 0.0  # when the next heartbeat is due
    acked_seconds: float = 0.0

    def say(self, message: ServerMessage) -> None:
        """Queue a message."""
        self.say_text(to_text(message))

    def say_text(self, text: str) -> None:
        """Queue a message; a client that does not read is cut off, and may come back."""
        if self.closing is not None or self.is_cut:
            return
        self._queue(text)
        most = self.limits.outbox_bytes
        if not self.caught_up.is_set():  # nothing more is heard of it meanwhile, but what had arrived goes on
            most += self.limits.replay_bytes + self.limits.unread_bytes
        if self.waiting_bytes > most:
            self.cut()

    def say_missed(self, texts: Sequence[str]) -> None:
        """Queue what a client that came back has missed, however much; until it reads, it is not heard."""
        for text in texts:
            self._queue(text)
        if self.waiting_bytes > self.limits.outbox_bytes:
            self.caught_up.clear()

    def next_text(self) -> str | None:
        """The next message to send; it waits until it is `sent`."""
        return self.outbox[0] if self.outbox else None

    def sent(self) -> None:
        """The next message is out."""
        if self.outbox:  # it was cut off meanwhile
            self.waiting_bytes -= len(self.outbox.popleft())
        if self.waiting_bytes <= self.limits.outbox_bytes:
            self.caught_up.set()

    def refuse(self, error: Error) -> None:
        """Say an error, then close."""
        self.say(error)
        self.close(CLOSE_CODES.get(error.code, POLICY_VIOLATION), error.code)

    def close(self, code: int = GOING_ON, reason: str = "") -> None:
        """Close once all is said."""
        if self.closing is None:
            self.closing = code, reason
        self.wake.set()
        self.let_on()

    def cut(self) -> None:
        """Break the connection off."""
        self.is_cut = True
        self.outbox.clear()
        self.waiting_bytes = 0
        self.let_on()
        self.socket.transport.abort()

    def let_on(self) -> None:
        """Nothing holds up any more whoever reads what the client says."""
        self.room.set()
        self.caught_up.set()

    def _queue(self, text: str) -> None:
        self.outbox.append(text)
        self.waiting_bytes += len(text)
        self.wake.set()
