"""One client's stream on the connection's side: what has arrived and waits, and what was said of it.

The other side is a worker's (`rtspk.server.listener`); between the two go portions and what came of them.
"""

from collections import deque
from typing import Literal

from rtspk.engine.settings import HOP, SessionConfig
from rtspk.server.config import Limits
from rtspk.server.messages import EndRequest, Start
from rtspk.server.meter import Meter, meter_of
from rtspk.server.portion import Opening, Order, Piece, Portion
from rtspk.server.replay import Replay
from rtspk.types import samples_of, seconds_of

__all__ = ["Stream"]

PORTION_SECONDS: float = 1.0  # of sound in one, so that a client with much does not hold up the others
PIECE_SECONDS: float = 0.5  # longer messages are cut
LEAST_BACKLOG: float = seconds_of(2 * HOP)  # less might never become work, and all would wait for each other


class Stream:
    """Shared with nobody; raises AudioError from the start for a format that there is none for."""

    def __init__(self, number: str, owner: str, start: Start, config: SessionConfig, limits: Limits) -> None:
        self.number, self.owner, self.start = number, owner, start
        self.latency = config.latency  # s
        self.replay = Replay(limits.replay_bytes)
        self.received = 0  # units of the wire
        self.received_seconds = 0.0
        self.waiting_seconds = 0.0  # of sound that no worker has taken
        self.lost_seconds = 0.0
        self.heard = 0  # samples that the session has
        self.worked_seconds = 0.0
        self.taken = False  # by a worker
        self.ending = False  # no more sound will come
        self._meter: Meter = meter_of(start.format)
        width = max(1, start.format.rate * self._meter.width)  # bytes a second
        bounded = max(LEAST_BACKLOG, limits.backlog_bytes / width)
        self.backlog_seconds = min(limits.backlog_seconds, bounded)  # of sound that may wait
        self._inbox: deque[Piece | Order] = deque()
        self._orders = 0
        self._rest = b""  # half a sample
        self._taken_seconds = 0.0
        self._opening: Opening | None = Opening(start.format, config)  # until a worker has it
        self._limits = limits

    def receive(self, data: bytes, now: float) -> None:
        """Take a binary message, which may end within a sample; raises AudioError for what is no sound."""
        for part in self._cut(data):
            units, seconds = self._meter.measure(part)
            had_hop = self._has_hop()
            self.received += units
            self.received_seconds += seconds
            self.waiting_seconds += seconds
            self._inbox.append(Piece(part, seconds, now))
            if not had_hop:  # nobody was late with what came before
                for piece in self._inbox:
                    if isinstance(piece, Piece):
                        piece.arrived = now

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
        if not self.is_live or oldest is None:
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
        return bool(self._orders) or self._has_hop()

    def take(self) -> Portion:
        """The next portion; the stream is the worker's until `give_back`."""
        portion, seconds = Portion(self.number, self._opening), 0.0
        self.taken, self._opening = True, None
        while self._inbox and portion.order is None and seconds < PORTION_SECONDS:
            item = self._inbox.popleft()
            if isinstance(item, Piece):
                portion.pieces.append(item)
                seconds += item.seconds
            else:
                portion.order = item
                self._orders -= 1
        self._taken_seconds = seconds
        self.waiting_seconds = max(0.0, self.waiting_seconds - seconds)
        return portion

    def give_back(self, heard: int, seconds: float) -> None:
        """The worker is done: so many samples became of the portion's sound, by so many seconds of work."""
        self.heard += heard
        self.worked_seconds += seconds
        self.taken, self._taken_seconds = False, 0.0

    def abandon(self) -> None:
        """Nobody wants what waits."""
        self._inbox.clear()
        self._orders, self.waiting_seconds = 0, 0.0

    def lag(self, now: float) -> float:
        """Seconds for which the oldest sound that could be worked on has waited."""
        oldest = next((item.arrived for item in self._inbox if isinstance(item, Piece)), now)
        return max(0.0, now - oldest) if self._has_hop() else 0.0

    @property
    def is_live(self) -> bool:
        """Whether its sound must not wait for long, as that of a file may."""
        return self.start.options.pace == "live"

    @property
    def processed_seconds(self) -> float:
        """Of the sound received."""
        return max(0.0, self.received_seconds - self.waiting_seconds - self._taken_seconds)

    def rewind(self) -> None:
        """Agree with the client on `received`: half a sample that came last will come again."""
        self._rest = b""

    def _has_hop(self) -> bool:
        """Whether what waits makes a hop whole, behind what a worker has."""
        before = self.heard + samples_of(self._taken_seconds)
        return (before + samples_of(self.waiting_seconds)) // HOP > before // HOP

    def _cut(self, data: bytes) -> list[bytes]:
        width = self._meter.width
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
