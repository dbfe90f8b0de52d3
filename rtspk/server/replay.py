"""What a session said last, numbered: a client that comes back misses nothing and hears nothing twice."""

from collections import deque

from pydantic import TypeAdapter

from rtspk.engine.events import Event
from rtspk.server.messages import EventMessage
from rtspk.server.wire import to_text

__all__ = ["Replay"]

_EVENT: TypeAdapter[EventMessage] = TypeAdapter(EventMessage)


class Replay:
    """Numbers events from 1 on, and keeps the last: all that waits to be sent, and so many bytes more.

    What a client may be behind by it finds when it comes back. `limits.outbox_bytes` says when it is cut
    off, and this follows: nothing that waits is forgotten. That costs no memory, since what waits is the
    same text, while to keep as much of every session would; and who is behind by less cannot be cut off,
    since two of the longest events must fit. The bytes beyond are for what was sent and has not arrived,
    in the buffers of a line.
    """

    def __init__(self, most_bytes: int) -> None:
        self.seq = 0  # of the last event
        self._most, self._bytes = most_bytes, 0
        self._kept: deque[str] = deque()

    def add(self, event: Event) -> str:
        """Number an event; returns its message."""
        self.seq += 1
        text = to_text(_EVENT.validate_python({**event.to_json(), "seq": self.seq}))
        self._kept.append(text)
        self._bytes += len(text)
        return text

    def forget(self, waiting: int) -> None:
        """Drop the oldest messages, but those of the last `waiting` bytes, which nobody has been sent."""
        while self._bytes > self._most + waiting and len(self._kept) > 1:
            self._bytes -= len(self._kept.popleft())

    def since(self, seq: int) -> list[str] | None:
        """The messages behind number `seq`; None where some of them are gone, or the number never was."""
        missing = self.seq - seq
        if not 0 <= missing <= len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - missing :]
