"""What a worker does for a stream in one go, and what came of it: all that goes between the two sides."""

from dataclasses import dataclass, field

from rtspk.engine.events import Event
from rtspk.engine.settings import SessionConfig
from rtspk.server.messages import AudioFormat, EndRequest, Error, Flush, Label, Merge, WarningMessage

__all__ = ["Opening", "Order", "Outcome", "Piece", "Portion"]

Order = Label | Merge | Flush | EndRequest


@dataclass(slots=True)
class Piece:
    """Sound as it came; without data it is a hole of that length."""

    data: bytes | None
    seconds: float
    arrived: float  # s, by the server's clock


@dataclass(frozen=True, slots=True)
class Opening:
    """What a worker has to know of a stream before its first portion."""

    format: AudioFormat
    config: SessionConfig


@dataclass(slots=True)
class Portion:
    """Some sound of a stream, and the order behind it if there is one."""

    number: str  # of the stream
    opening: Opening | None = None  # with the first portion
    pieces: list[Piece] = field(default_factory=list)
    order: Order | None = None

    @property
    def seconds(self) -> float:
        """How much sound."""
        return sum(piece.seconds for piece in self.pieces)


@dataclass(slots=True)
class Outcome:
    """What came of a portion."""

    heard: int = 0  # samples at 16 kHz that its sound became
    events: list[Event] = field(default_factory=list)
    warnings: list[WarningMessage] = field(default_factory=list)
    failure: Error | None = None
