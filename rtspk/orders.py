"""What a client asks of its session on a server: kept until it is known to have arrived.

A line may be dead without a sign. So a `flush` goes behind each order, and what its `ack` has not confirmed
is said again on the next connection.
"""

from collections import deque
from dataclasses import dataclass
from itertools import count

from rtspk.server.messages import ClientMessage, Flush, Label, WarningMessage

__all__ = ["Orders"]


@dataclass(slots=True)
class _Order:
    message: ClientMessage
    number: int  # of the flush that confirms it
    told: int = 0  # how often


class Orders:
    """Labels, merges and flushes of one session, in order."""

    def __init__(self) -> None:
        self._kept: deque[_Order] = deque()
        self._waiting: deque[ClientMessage] = deque()  # to be sent on this connection
        self._numbers = count(-1, -1)  # below 0, since a caller's own flushes count as they like
        self._open = False

    def add(self, message: ClientMessage) -> None:
        """Keep an order, and send it if there is a connection."""
        number = message.id if isinstance(message, Flush) else next(self._numbers)
        self._kept.append(_Order(message, number))
        if self._open:
            self._tell(self._kept[-1])

    def begin(self) -> None:
        """A connection stands: what is not confirmed is sent, again if need be."""
        self._open = True
        self._waiting.clear()
        for order in self._kept:
            self._tell(order)

    def lost(self) -> None:
        """The connection broke."""
        self._open = False
        self._waiting.clear()

    def next_message(self) -> ClientMessage | None:
        """What to send now; None for nothing."""
        return self._waiting.popleft() if self._waiting else None

    def confirm(self, flush: int | None) -> None:
        """The server has answered a flush, and so done all that came before it."""
        if any(order.number == flush for order in self._kept):
            while self._kept.popleft().number != flush:
                pass

    def has_repeated(self, warning: WarningMessage) -> bool:
        """Whether a warning is of what was done before the line broke, and so cannot be done again."""
        if warning.code != "refused" or not self._kept or self._kept[0].told < 2:
            return False
        order = self._kept[0].message
        return not (isinstance(order, Label) and order.scope == "gallery")

    def _tell(self, order: _Order) -> None:
        order.told += 1
        self._waiting.append(order.message)
        if not isinstance(order.message, Flush):
            self._waiting.append(Flush(id=order.number))
