"""One connection's side of the hub: what is to be said to it, and when it is to close. It awaits nothing."""

import asyncio
from collections import deque
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
    beat_at: float = 0.0  # when the next heartbeat is due
    acked_seconds: float = 0.0

    def say(self, message: ServerMessage) -> None:
        """Queue a message."""
        self.say_text(to_text(message))

    def say_text(self, text: str) -> None:
        """Queue a message; a client that does not read is cut off, and may come back."""
        if self.closing is not None:
            return
        self.outbox.append(text)
        self.waiting_bytes += len(text)
        if self.waiting_bytes > self.limits.outbox_bytes:
            self.cut()
        self.wake.set()

    def next_text(self) -> str | None:
        """The next message to send."""
        if not self.outbox:
            return None
        text = self.outbox.popleft()
        self.waiting_bytes -= len(text)
        return text

    def refuse(self, error: Error) -> None:
        """Say an error, then close."""
        self.say(error)
        self.close(CLOSE_CODES.get(error.code, POLICY_VIOLATION), error.code)

    def close(self, code: int = GOING_ON, reason: str = "") -> None:
        """Close once all is said."""
        if self.closing is None:
            self.closing = code, reason
        self.wake.set()
        self.room.set()

    def cut(self) -> None:
        """Break the connection off."""
        self.outbox.clear()
        self.waiting_bytes = 0
        self.room.set()
        self.socket.transport.abort()
