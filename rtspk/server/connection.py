"""One connection of the websockets library that also takes the body of an HTTP request.

The library reads the head of every request and leaves bodies to others. Here the head goes on at once, so
that a request is judged before a byte of its body is kept; the body comes when it is asked for. It also knows
for how long its peer has been silent.
"""

import asyncio
import contextlib
from socket import SO_SNDBUF, SOL_SOCKET

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from rtspk.server.answer import Answer, fault, to_response
from rtspk.server.descriptors import most_sockets

__all__ = ["HEAD_SECONDS", "BodyConnection", "BodyError"]

LONGEST_HEAD: int = 64 << 10  # bytes; the library has limits of its own for lines and their number
LONGEST_NUMBER: int = 18  # digits of a length; Python refuses to read thousands, and no body is that long
HEAD_SECONDS: float = 10.0  # for the whole head, or whoever sends a byte a minute holds a socket for it
UNREAD: int = 256 << 10  # bytes of what was sent that the system holds, or twice that; by itself up to 4 MB
MOST_PINGS: int = 100  # in a second, or answers to them; each costs more than the messages that have a limit
SLICE: int = 16 << 10  # bytes
PASSED_OVER: int = 64 << 20  # bytes of a body that nobody wants, for who reads the answer only behind it
PASSING_SECONDS: float = 10.0
TLS: bytes = b"\x16"  # how a TLS handshake begins


class BodyError(Exception):
    """A body that is too long, or that never came whole."""


class BodyConnection(ServerConnection):
    """A connection whose request may have a body of a known length."""

    _head: bytes | None = b""  # None once it went on
    _body: bytearray | None = None  # None where no body is wanted
    _length = 0
    _missing = 0  # bytes of the body that are still to come
    _expects = False  # whether the client waits for a word before it sends the body
    _whole: "asyncio.Future[bytes] | None" = None
    _passed: "asyncio.Future[None] | None" = None
    _heard_at = 0.0  # when something came last, by the loop's clock
    _hurry: asyncio.TimerHandle | None = None
    _pings = 0
    _pings_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are far too many; its request must not take long."""
        super().connection_made(transport)
        if (socket := transport.get_extra_info("socket")) is not None:
            socket.setsockopt(SOL_SOCKET, SO_SNDBUF, UNREAD)  # what is in there is lost where the line breaks
        self._heard_at = self.loop.time()
        self._hurry = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        if len(self.server.handler_tasks) > most_sockets():
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Part the head of the first request from its body."""
        self._heard_at = self.loop.time()
        if self._head is None:
            self._go_on(data)
            return
        self._head += data
        if self._head.startswith(TLS):  # wss:// to a server without TLS: both would wait for the other
            self.transport.abort()
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= LONGEST_HEAD:
            return
        head, rest = (self._head, b"") if end < 0 else (self._head[: end + 4], self._head[end + 4 :])
        self._head = None
        if self._hurry is not None:
            self._hurry.cancel()
        first, *lines = head.split(b"\r\n")
        kept, lengths, upgrades = [first], set(), False
        for line in lines:
            name, value = (part.strip().lower() for part in line.partition(b":")[::2])
            if name == b"content-length":
                lengths.add(value)
                continue
            if name == b"transfer-encoding":
                self._refuse(fault(411, "length", "wanted a body of a known length, got Transfer-Encoding"))
                return
            self._expects |= (name, value) == (b"expect", b"100-continue")
            upgrades |= name == b"upgrade"
            kept.append(line)
        if not first.isascii() or len(lengths) > 1 or not all(value.isdigit() for value in lengths):
            self._refuse(fault(400, "request", "wanted one length in digits, and an address in ASCII"))
            return
        self._length = int((lengths.pop() if lengths else b"0")[:LONGEST_NUMBER])
        self._missing = self._length - len(rest)
        self._body = bytearray(rest) if self._length else None
        super().data_received(b"\r\n".join(kept))
        if upgrades and self._body is None:  # else it is another request, and this connection takes one
            self._go_on(rest)

    def _refuse(self, answer: Answer) -> None:
        """Answer what is no request that the library knows, and close."""
        self.transport.write(to_response(answer).serialize())
        self.transport.close()

    def read_body(self, most: int) -> "asyncio.Future[bytes]":
        """The body, once it is whole; BodyError where it is longer than `most` bytes or breaks off."""
        self._whole = asyncio.get_running_loop().create_future()
        if self._length > most:
            self._whole.set_exception(BodyError(f"wanted a body of at most {most} bytes, got {self._length}"))
        elif self._body is None:
            self._whole.set_result(b"")
        else:
            if self._expects:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.transport.resume_reading()
            self._check_whole()
        return self._whole

    async def pass_over(self) -> None:
        """Read a body to its end that nobody wanted: who is closed before that never reads the answer."""
        if self._expects or self.transport.is_closing() or not 0 < self._missing <= PASSED_OVER:
            return
        self._passed = asyncio.get_running_loop().create_future()
        self.transport.resume_reading()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASSING_SECONDS):
                await self._passed

    def process_event(self, event: Event) -> None:
        """Take a frame; a peer that does nothing but ping, or answer what nobody asked, is cut off."""
        if isinstance(event, Frame) and event.opcode in {Opcode.PING, Opcode.PONG}:
            now = self.loop.time()
            if now - self._pings_since > 1.0:
                self._pings, self._pings_since = 0, now
            self._pings += 1
            if self._pings > MOST_PINGS:
                self.transport.abort()
        super().process_event(event)

    def silent_seconds(self, now: float) -> float:
        """For how long nothing came, by the loop's clock; while nothing is read nothing can come."""
        if not self.transport.is_reading():
            self._heard_at = now
        return now - self._heard_at

    def connection_lost(self, exc: Exception | None) -> None:
        """A body that is waited for will not come."""
        if self._hurry is not None:
            self._hurry.cancel()
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(BodyError("the connection broke"))
        self._end_passing()
        super().connection_lost(exc)

    def _go_on(self, data: bytes) -> None:
        if self._body is None:
            # In slices, so that a flood of frames is noticed before all that came with it is worked on.
            for at in range(0, len(data), SLICE):
                if not self.transport.is_closing():
                    super().data_received(data[at : at + SLICE])
            return
        self._missing -= len(data)
        if self._passed is not None:
            if self._missing <= 0:
                self._end_passing()
        elif self._whole is None:
            self._body += data
            if len(self._body) > LONGEST_HEAD:
                self.transport.pause_reading()  # nobody has asked for it yet
        elif not self._whole.done():
            self._body += data
            self._check_whole()

    def _check_whole(self) -> None:
        if self._whole is not None and self._body is not None and len(self._body) >= self._length:
            self._whole.set_result(bytes(self._body[: self._length]))
            self._body = bytearray()

    def _end_passing(self) -> None:
        if self._passed is not None and not self._passed.done():
            self._passed.set_result(None)
