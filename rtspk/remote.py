"""A client's side of a session on a server, without I/O: what is to be sent, what came back, how to resume.

The caller owns the connection: it sends `greeting()` first, hands each text message to `receive`, and sends
what `next_message` gives; when the connection breaks it says `lost` and begins anew.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from rtspk.engine.events import Change, EndEvent, Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.errors import AudioError, SessionError
from rtspk.orders import Orders
from rtspk.server.messages import (
    Ack,
    AudioFormat,
    ClientMessage,
    End,
    EndRequest,
    Error,
    EventMessage,
    Heartbeat,
    Options,
    Ready,
    Resume,
    Revise,
    Segment,
    Speaker,
    Start,
    Unknown,
    WarningMessage,
)
from rtspk.server.wire import read_server_message, to_text
from rtspk.types import SAMPLE_RATE, FloatArray, Turn, samples_of, seconds_of
from rtspk.types import Segment as Stretch

__all__ = ["Remote", "RemoteStatus", "to_event"]

KEPT: int = samples_of(60.0)  # sound that was sent and not acknowledged; older cannot be sent again
AHEAD: int = samples_of(30.0)  # of a file, likewise: the buffers of a line may hold more than can be kept
MESSAGE: int = SAMPLE_RATE  # samples in a message at most
WIDTH: int = 4  # bytes of a sample
LAST_WARNINGS: frozenset[str] = frozenset({"draining", "time_limit"})  # before an `end` that nobody asked for


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """How the server is doing, by its last heartbeat."""

    audio_ms: int = 0
    processed_ms: int = 0
    lag_ms: int = 0
    realtime_factor: float = 0.0


class Remote:
    """Sends float32 at 16 kHz: what the engine itself hears, so that a server's answer is the local one."""

    def __init__(self, options: Options, token: str | None = None) -> None:
        self.options = options
        self.status = RemoteStatus()
        self.warnings: list[WarningMessage] = []  # taken and cleared by the caller
        self.ready: Ready | None = None
        self.ended = False
        self.refused = False  # for good: another attempt would come to the same
        self._token = token
        self._seq = 0
        self._kept: deque[bytes] = deque()  # sound that the server may want again, in messages
        self._start = 0  # position of the first kept sample
        self._sent = self._sent_samples = 0  # kept messages that were sent, and samples in them
        self._orders = Orders()
        self._finished = self._end_sent = False
        self._why = "it said no reason"  # the server ends a session before its sound is over
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the server has said `ready` on this connection."""
        return self._open

    @property
    def cut_short(self) -> str | None:
        """Why the server ended a session whose sound was not over, as one that goes down does; else None."""
        return self._why if self.ended and not self._finished else None

    @property
    def unsent(self) -> int:
        """Messages of sound that wait to be sent."""
        return len(self._kept) - self._sent

    def greeting(self) -> str:
        """The first message of a connection."""
        resume = None
        if self.ready is not None:
            resume = Resume(token=self.ready.resume_token, seq=self._seq)
        format_ = AudioFormat(encoding="f32le", rate=SAMPLE_RATE, channels=1)
        return to_text(Start(format=format_, options=self.options, token=self._token, resume=resume))

    def push(self, samples: FloatArray) -> None:
        """Queue sound: float32 [shape=(n,)] at 16 kHz.

        Raises:
            SessionError: the session is finished.
            AudioError: samples of another shape or type, or not finite.
        """
        if self._finished:
            raise SessionError(f"wanted no audio after finish, got {len(samples)} samples")
        if not isinstance(samples, np.ndarray):
            raise AudioError(f"wanted samples as a float32 array, got {type(samples).__name__}")
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise AudioError(f"wanted mono float32 samples, got {samples.dtype} of shape {samples.shape}")
        if not np.isfinite(samples).all():
            raise AudioError("wanted finite samples, got some that are not")
        sound = np.ascontiguousarray(samples, "<f4")
        self._kept.extend(sound[at : at + MESSAGE].tobytes() for at in range(0, len(sound), MESSAGE))

    def order(self, order: ClientMessage) -> None:
        """Queue a label, merge or flush; it goes out with the next message, again where the line breaks."""
        self._orders.add(order)

    def finish(self) -> None:
        """No more sound will come."""
        self._finished = True

    def next_message(self) -> str | bytes | None:
        """What to send now; None for nothing."""
        if not self._open or self._end_sent:
            return None
        if (order := self._orders.next_message()) is not None:
            return to_text(order)
        if self._sent < len(self._kept):
            if self.options.pace == "file" and self._sent_samples >= AHEAD:
                return None
            data = self._kept[self._sent]
            self._sent += 1
            self._sent_samples += len(data) // WIDTH
            while self._sent_samples > KEPT:
                self._drop_first()
            return data
        if self._finished:
            self._end_sent = True
            return to_text(EndRequest())
        return None

    def receive(self, text: str) -> list[Event]:
        """Take a message of the server; returns what it says of the stream.

        Raises:
            SessionError: the server ended the session.
        """
        message = read_server_message(text)
        match message:
            case Ready():
                self._greet(message)
            case Ack():
                self._orders.confirm(message.flush)
                self._forget(message.received)
            case Heartbeat():
                self.status = RemoteStatus(
                    message.audio_ms, message.processed_ms, message.lag_ms, message.realtime_factor
                )
            case WarningMessage():
                if message.code in LAST_WARNINGS:
                    self._why = message.message
                if not self._orders.has_repeated(message):
                    self.warnings.append(message)
            case Error():
                self.refused = not message.retryable
                raise SessionError(f"the server ended the session: {message.message} ({message.code})")
            case Unknown():
                self._seq = max(self._seq, message.seq or 0)
            case _:
                return self._event(message)
        return []

    def lost(self) -> None:
        """The connection broke."""
        self._open = False
        self._orders.lost()

    def _greet(self, ready: Ready) -> None:
        if ready.received < self._start:
            missing = seconds_of(self._start - ready.received)
            raise SessionError(f"wanted to resume, got a server that misses {missing:.1f} s no longer kept")
        self.ready, self._open, self._end_sent = ready, True, False
        self._sent = self._sent_samples = 0
        self._orders.begin()
        self._forget(ready.received)

    def _forget(self, received: int) -> None:
        """Drop sound that has arrived."""
        while self._kept and self._start + len(self._kept[0]) // WIDTH <= received:
            self._drop_first()
        if self._kept and received > self._start and not self._sent:
            self._kept[0] = self._kept[0][(received - self._start) * WIDTH :]
            self._start = received

    def _drop_first(self) -> None:
        samples = len(self._kept.popleft()) // WIDTH
        self._start += samples
        if self._sent:
            self._sent -= 1
            self._sent_samples -= samples

    def _event(self, message: EventMessage) -> list[Event]:
        if message.seq <= self._seq:
            return []
        self._seq = message.seq
        self.ended = self.ended or isinstance(message, End)
        return [to_event(message)]


def to_event(message: EventMessage) -> Event:
    """The engine's own event of a message."""
    match message:
        case Segment():
            stretch = Stretch(samples_of(message.start), samples_of(message.end))
            turn = Turn(
                stretch, message.speaker, message.name, message.score, message.confidence, message.overlap
            )
            return SegmentEvent(message.id, message.rev, turn, message.state)
        case Revise():
            changes = (Change(c.id, c.rev, c.speaker, c.name, c.reason) for c in message.changes)
            return ReviseEvent(tuple(changes))
        case Speaker():
            return SpeakerEvent(message.event, message.speaker, message.name, message.into)
        case End():
            return EndEvent(samples_of(message.audio_ms / 1000), message.speakers)
