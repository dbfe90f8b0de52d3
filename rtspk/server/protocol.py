"""One connection as a state machine without I/O: messages in, what to do out.

    waiting --start--> open --end--> ending --(the server said `end`)--> closed
       |                |              |
       +----------------+--- fault ----+--> closed

    open --(the server drains)--> draining: what still comes is passed over

A session that lingers takes labels, merges and flushes while it is ending too, and passes over what a client
that came back sends again.

The caller reads messages from a socket, hands them to `receive_text` and `receive_audio` with its clock, and
does what comes back; after a `Refuse` it says the error and closes.
"""

from dataclasses import dataclass
from typing import Literal

from rtspk.errors import FormatError
from rtspk.server.config import Limits
from rtspk.server.messages import (
    VERSION,
    EndRequest,
    Error,
    Flush,
    Label,
    Merge,
    Start,
)
from rtspk.server.meter import OPUS_RATES
from rtspk.server.wire import read_client_message, version_of

__all__ = ["CLOSE_CODES", "Audio", "Begin", "Command", "Do", "Protocol", "Refuse"]

State = Literal["waiting", "open", "ending", "draining", "closed"]

BURST_SECONDS: float = 5.0  # of messages that may come at once, as after a hiccup of the network
CLOSE_CODES: dict[str, int] = {  # RFC 6455, section 7.4; what is not here closes with 1008
    "bad_message": 1007,
    "bad_audio": 1007,
    "internal": 1011,
    "overloaded": 1013,
    "draining": 1012,
    "too_many_sessions": 1013,
}


@dataclass(frozen=True, slots=True)
class Begin:
    """Open the session that `start` asks for, or the broken one that it names."""

    start: Start


@dataclass(frozen=True, slots=True)
class Audio:
    """Give the sound to the session, and read no more for so many seconds."""

    data: bytes
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Do:
    """Give the order to the session."""

    order: Label | Merge | Flush | EndRequest


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say the error and close."""

    error: Error


Command = Begin | Audio | Do | Refuse


class _Allowance:
    """So many a second, and a burst of them after a pause."""

    def __init__(self, per_second: float) -> None:
        self._rate, self._most = per_second, per_second * BURST_SECONDS
        self._left, self._at = self._most, 0.0

    def spend(self, now: float) -> float:
        """Take one more; returns for how many seconds it came too early."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - 1.0
        self._at = now
        return max(0.0, -self._left / self._rate)


class Protocol:
    """State of one connection; it knows nothing of sessions, sockets or sound."""

    def __init__(self, limits: Limits) -> None:
        self.state: State = "waiting"
        self.lingers = False
        self._binary = _Allowance(limits.messages_per_second)
        self._orders = _Allowance(limits.orders_per_second)

    def receive_text(self, text: str, now: float) -> Command | None:
        """Take a text message that came at `now`, in seconds of any steady clock."""
        if self.state == "draining":
            return None
        if self._orders.spend(now):
            return self.refuse("rate_limited", "too many messages")
        try:
            message = read_client_message(text)
        except FormatError as error:
            return self.refuse(*_fault(text, str(error)))
        if isinstance(message, Start):
            return self._start(message)
        return self._order(message)

    def receive_audio(self, data: bytes, now: float) -> Command | None:
        """Take a binary message that came at `now`."""
        if self.state == "draining" or (self.lingers and self.state == "ending"):
            return None
        if self.state != "open":
            wanted = "start before the first sound" if self.state == "waiting" else "no sound after end"
            return self.refuse("bad_state", f"wanted {wanted}, got {len(data)} bytes of it")
        # A burst is no crime: a client that comes back sends all that it kept. It is read slowly.
        return Audio(data, self._binary.spend(now))

    def refuse(self, code: str, message: str, *, retryable: bool = False) -> Refuse:
        """Close the connection with an error, from this side."""
        self.state = "closed"
        return Refuse(Error.model_validate({"code": code, "message": message, "retryable": retryable}))

    def drain(self) -> None:
        """No more sound is wanted: the server goes down, or a session that had its `end` is resumed."""
        if self.state == "open":
            self.state = "draining"

    def resume(self, *, lingers: bool, ending: bool) -> None:
        """Go on with a session that may have had its `end`: the client may not know that it arrived."""
        self.lingers = lingers
        if ending and lingers:
            self.state = "ending"
        elif ending:
            self.drain()

    def _start(self, start: Start) -> Command:
        if self.state != "waiting":
            return self.refuse("bad_state", "wanted one start, got a second one")
        if start.version != VERSION:
            return self.refuse(*_other_version(start.version))
        self.state, self.lingers = "open", start.options.linger_seconds > 0
        return Begin(start)

    def _order(self, message: Label | Merge | Flush | EndRequest) -> Command | None:
        late = self.lingers and self.state == "ending"
        if late and isinstance(message, EndRequest):
            return None
        if self.state != "open" and not late:
            wanted = "start" if self.state == "waiting" else "nothing after end"
            return self.refuse("bad_state", f"wanted {wanted}, got {message.type}")
        if isinstance(message, EndRequest):
            self.state = "ending"
        return Do(message)


def _fault(text: str, said: str) -> tuple[str, str]:
    """The code of a message that does not read; another version or a wrong format is named as such."""
    version = version_of(text)
    if version is not None and version != VERSION:  # its words are not ours to judge
        return _other_version(version)
    if "start.format" in said:
        opus = f"opus at {', '.join(map(str, OPUS_RATES))} Hz with 1 or 2"
        accepted = f"s16le or f32le at 1000 to 384000 Hz with 1 to 32 channels, or {opus}"
        return "unsupported_format", f"{said}; accepted: {accepted}"
    return "bad_message", said


def _other_version(got: int) -> tuple[str, str]:
    return "unsupported_version", f"wanted protocol version {VERSION}, got {got}"
