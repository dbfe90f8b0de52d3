"""One client's stream: what has arrived and waits, the engine's session, and what it has said.

The connection's side (`receive`, `order`, `take`) and the worker's (`hear`, `obey`) share no state but
counters: a turn that was taken is the worker's until it is given back.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from rtspk.engine.session import Session, SessionParts
from rtspk.engine.settings import HOP
from rtspk.errors import GalleryError, RtspkError, SessionError
from rtspk.server.config import Limits
from rtspk.server.messages import EndRequest, Flush, Label, Merge, Start, WarningMessage
from rtspk.server.replay import Replay
from rtspk.server.sound import Decoder, decoder_of
from rtspk.server.watch import Watch
from rtspk.types import samples_of, seconds_of

__all__ = ["Order", "Piece", "Stream", "Turn"]

Order = Label | Merge | Flush | EndRequest

TURN_SECONDS: float = 1.0  # of sound in one turn, so that a client with much does not hold up the others
PIECE_SECONDS: float = 0.5  # longer messages are cut
LEAST_BACKLOG: float = seconds_of(2 * HOP)  # less might never become work, and all would wait for each other


@dataclass(slots=True)
class Piece:
    """Sound as it came; without data it is a hole of that length."""

    data: bytes | None
    seconds: float
    arrived: float  # s, by the server's clock


@dataclass(slots=True)
class Turn:
    """What a worker does for a stream in one go: some sound, and the order behind it if there is one."""

    pieces: list[Piece] = field(default_factory=list)
    order: Order | None = None
    warnings: list[WarningMessage] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How much sound."""
        return sum(piece.seconds for piece in self.pieces)


class Stream:
    """Shared with nobody; raises AudioError from the start for a format that there is none for."""

    def __init__(self, number: str, owner: str, start: Start, parts: SessionParts, limits: Limits) -> None:
        self.number, self.owner, self.start = number, owner, start
        self.session = Session(parts)
        self.replay = Replay(limits.replay_bytes)
        self.decoder: Decoder = decoder_of(start.format)
        self.watch = Watch()
        self.received = 0  # units of the wire
        self.received_seconds = 0.0
        self.waiting_seconds = 0.0  # of sound that no worker has taken
        self.lost_seconds = 0.0
        self.heard = 0  # samples that the session has
        self.worked_seconds = 0.0  # of work
        self.taken = False  # by a worker
        self.ending = False  # no more sound will come
        width = max(1, start.format.rate * self.decoder.width)  # bytes a second
        bounded = max(LEAST_BACKLOG, limits.backlog_bytes / width)
        self.backlog_seconds = min(limits.backlog_seconds, bounded)  # of sound that may wait
        self._inbox: deque[Piece | Order] = deque()
        self._orders = 0
        self._rest = b""  # half a sample
        self._taken_seconds = 0.0
        self._damaged = 0
        self._limits = limits

    def receive(self, data: bytes, now: float) -> None:
        """Take a binary message, which may end within a sample; raises AudioError for what is no sound."""
        for part in self._cut(data):
            units, seconds = self.decoder.measure(part)
            self.received += units
            self.received_seconds += seconds
            self.waiting_seconds += seconds
            self._inbox.append(Piece(part, seconds, now))

    def order(self, order: Order) -> None:
        """Take an order; it holds from behind the sound that came before."""
        self.ending = self.ending or isinstance(order, EndRequest)
        self._orders += 1
        self._inbox.append(order)

    def shed(self, now: float, policy: Literal["drop-oldest", "close"]) -> float | None:
        """Drop live sound that has waited too long.

        Returns:
            seconds dropped, or None where the session is to end, by its policy or since that is not enough
        """
        oldest = next((item for item in self._inbox if isinstance(item, Piece)), None)
        if self.start.options.pace == "file" or oldest is None:
            return 0.0
        if now - oldest.arrived > 3 * self._limits.lag_seconds:
            return None
        kept = next((p for p in self._inbox if isinstance(p, Piece) and p.data is not None), None)
        if kept is None or now - kept.arrived <= self._limits.lag_seconds:
            return 0.0
        return None if policy == "close" else self._drop(now - self._limits.lag_seconds / 2)

    def is_ready(self) -> bool:
        """Whether a worker would get anywhere: an order waits, or sound that makes a hop whole."""
        if self.taken or not self._inbox:
            return False
        waiting = samples_of(self.waiting_seconds)
        return bool(self._orders) or (self.heard + waiting) // HOP > self.heard // HOP

    def take(self) -> Turn:
        """The next turn; the stream is the worker's until `give_back`."""
        self.taken, turn, seconds = True, Turn(), 0.0
        while self._inbox and turn.order is None and seconds < TURN_SECONDS:
            item = self._inbox.popleft()
            if isinstance(item, Piece):
                turn.pieces.append(item)
                seconds += item.seconds
            else:
                turn.order = item
                self._orders -= 1
        self._taken_seconds = seconds
        self.waiting_seconds = max(0.0, self.waiting_seconds - seconds)
        return turn

    def give_back(self) -> None:
        """The worker is done."""
        self.taken, self._taken_seconds = False, 0.0

    def abandon(self) -> None:
        """Nobody wants what waits."""
        self._inbox.clear()
        self._orders, self.waiting_seconds = 0, 0.0

    def lag(self, now: float) -> float:
        """Seconds for which the oldest sound that could be worked on has waited."""
        oldest = next((item.arrived for item in self._inbox if isinstance(item, Piece)), now)
        return max(0.0, now - oldest) if self.taken or self.is_ready() else 0.0

    @property
    def processed_seconds(self) -> float:
        """Of the sound received."""
        return max(0.0, self.received_seconds - self.waiting_seconds - self._taken_seconds)

    def rewind(self) -> None:
        """Agree with the client on `received`: half a sample that came last will come again."""
        self._rest = b""

    def hear(self, turn: Turn) -> None:
        """Work on the sound of a turn, up to the windows that the network is wanted for.

        Raises:
            AudioError: samples that are no sound.
        """
        for piece in turn.pieces:
            if piece.data is None:
                samples = self.decoder.silence(piece.seconds)
            else:
                samples = self.decoder.decode(piece.data)
                turn.warnings += self.watch.hear(samples)
            self.heard += len(samples)
            self.session.receive_audio(samples)
        if self.decoder.damaged > self._damaged:
            lost, self._damaged = self.decoder.damaged - self._damaged, self.decoder.damaged
            text = f"{lost} Opus packets did not decode and became silence"
            turn.warnings.append(WarningMessage(code="damaged_audio", message=text))

    def obey(self, turn: Turn) -> None:
        """Do the order of a turn, once its sound is decided on; what is refused becomes a warning."""
        try:
            match turn.order:
                case Label() as label:
                    self.session.label(label.speaker, label.name, keep=label.scope == "gallery")
                case Merge() as merge:
                    self.session.merge(merge.speaker, merge.into)
                case EndRequest():
                    rest = self.decoder.finish()
                    self.heard += len(rest)
                    self.session.receive_audio(rest)
                    self.session.finish()
        except (SessionError, GalleryError) as error:
            turn.warnings.append(WarningMessage(code="refused", message=_line(error)))

    def _cut(self, data: bytes) -> list[bytes]:
        width = self.decoder.width
        if not width:
            return [data]
        data = self._rest + data
        whole = len(data) - len(data) % width
        self._rest = data[whole:]
        size = max(1, round(PIECE_SECONDS * self.start.format.rate)) * width
        return [data[at : min(whole, at + size)] for at in range(0, whole, size)]

    def _drop(self, before: float) -> float:
        """Make one hole of the sound that came before a time and no order stands in front of."""
        dropped = hole = 0.0
        arrived = before
        while self._inbox and isinstance(first := self._inbox[0], Piece) and first.arrived < before:
            self._inbox.popleft()
            arrived = min(arrived, first.arrived)
            hole += first.seconds
            dropped += first.seconds if first.data is not None else 0.0
        if hole:
            self._inbox.appendleft(Piece(None, hole, arrived))
        self.lost_seconds += dropped
        return dropped


def _line(error: RtspkError) -> str:
    return " ".join(str(error).split())
