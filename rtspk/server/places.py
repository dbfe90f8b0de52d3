"""The streams of a server: who listens to each, and how it is found again."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from rtspk.server.link import Link
from rtspk.server.stream import Stream

__all__ = ["Place", "Places"]

SHORT_SECONDS: float = 10.0  # of sound; a session that had less is soon begun anew


@dataclass(slots=True, eq=False)
class Place:
    """A stream, who listens to it, and how it may be resumed."""

    stream: Stream
    token: str
    begun: float
    link: Link | None = None
    parked_until: float = 0.0
    over: bool = False  # `end` or an error is said
    lingers_until: float = 0.0  # behind `end`
    is_behind: bool = False  # and its client knows


class Places:
    """Found by the number of a stream, or by the token that resumes it; nobody listens to the parked."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}  # by the stream's number
        self._tokens: dict[bytes, str] = {}  # digest of a resume token -> number
        self._parked: OrderedDict[str, None] = OrderedDict()  # the oldest first

    def __iter__(self) -> Iterator[Place]:
        """As they are now; they may change meanwhile."""
        return iter(list(self._places.values()))

    def __len__(self) -> int:
        """How many streams there are."""
        return len(self._places)

    @property
    def parked(self) -> int:
        """How many are parked."""
        return len(self._parked)

    @property
    def busy(self) -> int:
        """How many have a connection."""
        return len(self) - len(self._parked)

    def add(self, stream: Stream, begun: float, link: Link) -> Place:
        """A place for a new stream."""
        place = Place(stream, secrets.token_urlsafe(24), begun, link)
        self._places[stream.number] = place
        self._tokens[_digest(place.token)] = stream.number
        return place

    def get(self, number: str) -> Place | None:
        """By the number of its stream."""
        return self._places.get(number)

    def of(self, link: Link) -> Place | None:
        """Where a connection listens."""
        return None if link.stream is None else self.get(link.stream.number)

    def by_token(self, token: str) -> Place | None:
        """By the token that resumes it."""
        number = self._tokens.get(_digest(token))
        return None if number is None else self.get(number)

    def park(self, place: Place, until: float) -> None:
        """Keep a place without a connection until then."""
        place.parked_until = until
        self._parked[place.stream.number] = None

    def unpark(self, place: Place) -> None:
        """Somebody came back to it."""
        self._parked.pop(place.stream.number, None)

    def remove(self, place: Place) -> None:
        """Forget a place; a second time does nothing."""
        self.unpark(place)
        self._places.pop(place.stream.number, None)
        self._tokens.pop(_digest(place.token), None)

    def least_missed(self) -> Place:
        """Of the parked: who has hardly begun goes first; who comes and goes costs nobody a long talk."""
        parked = [self._places[number] for number in self._parked]
        return next((one for one in parked if one.stream.received_seconds < SHORT_SECONDS), parked[0])


def _digest(token: str) -> bytes:
    """Tokens are looked up by their digest, so that how long a look takes says nothing of them."""
    return hashlib.sha256(token.encode()).digest()
