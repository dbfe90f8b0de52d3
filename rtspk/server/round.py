"""What came of the portions of some streams that a worker did in one go, and what it cost."""

from dataclasses import dataclass, field

from rtspk.server.desk import Work, failure_of_ours
from rtspk.server.portion import Outcome, Portion
from rtspk.server.stream import Stream

__all__ = ["Result", "Round"]


@dataclass(frozen=True, slots=True)
class Result:
    """A stream, its portion, and what came of it."""

    stream: Stream
    portion: Portion
    outcome: Outcome


@dataclass(slots=True)
class Round:
    """What a worker did in one go."""

    results: list[Result]
    windows: int = 0
    batches: list[int] = field(default_factory=list)  # windows in each call of the network
    seconds: float = 0.0

    @classmethod
    def of(cls, taken: list[tuple[Stream, Portion]], work: Work) -> "Round":
        """Done."""
        results = [Result(*pair, outcome) for pair, outcome in zip(taken, work.outcomes, strict=True)]
        return cls(results, work.windows, work.batches, work.seconds)

    @classmethod
    def lost(cls, taken: list[tuple[Stream, Portion]]) -> "Round":
        """Broken as a whole: its streams end."""
        return cls([Result(*pair, Outcome(failure=failure_of_ours())) for pair in taken])
