"""What a session shares with all others, and what it remembers itself, as values."""

from collections import deque
from dataclasses import dataclass, field

from rtspk.engine.frontend import Frontend, FrontendState
from rtspk.engine.identity import Identities, IdentitiesState
from rtspk.engine.runs import Sought
from rtspk.engine.settings import SessionConfig
from rtspk.engine.traces import Traces
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import Heard, TrackerState
from rtspk.engine.turns_state import TurnsState
from rtspk.types import Embedding, Segment

__all__ = ["Asked", "SessionParts", "SessionState", "Waiting"]


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What all sessions share: read-only."""

    frontend: Frontend
    tracker: Tracker
    identities: Identities | None
    config: SessionConfig


@dataclass(frozen=True, slots=True)
class Asked:
    """What one local speaker says in one hop, before it is known who that is."""

    heard: Heard  # without its embedding
    spans: list[Segment]
    wanted: bool  # whether the network was asked


@dataclass(slots=True)
class Waiting:
    """A hop that waits for its embeddings, or for its turn behind one that does."""

    hop: int
    asked: list[Asked]
    answers: list[Embedding] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many answers are still to come."""
        return sum(one.wanted for one in self.asked) - len(self.answers)


@dataclass(slots=True)
class SessionState:
    """All that one stream remembers: arrays and numbers, picklable and bounded."""

    frontend: FrontendState
    tracker: TrackerState = field(default_factory=TrackerState)
    turns: TurnsState = field(default_factory=TurnsState)
    identities: IdentitiesState = field(default_factory=IdentitiesState)
    waiting: deque[Waiting] = field(default_factory=deque)
    traces: Traces = field(default_factory=Traces)
    sought: list[Sought] = field(default_factory=list)
    asked: int = 0  # windows taken and not answered yet
    next_hop: int = 0
    finished: bool = False
    ended: bool = False
