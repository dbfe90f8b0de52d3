"""What is remembered of turns, as values: those in the making, and the last final ones."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.events import Event
from rtspk.engine.parts import Part
from rtspk.engine.tracker_state import Decision
from rtspk.types import FloatArray, Segment, Turn

__all__ = ["Draft", "Final", "Said", "TurnsState", "label_text", "mean_vector"]

REMEMBERED: int = 2048  # final segments that a revise event can still name


def label_text(label: int) -> str:
    """How a label is written: S1, S2, ..."""
    return f"S{label + 1}"


@dataclass(frozen=True, slots=True)
class Said:
    """What one local speaker says in one hop, and who that is."""

    decision: Decision
    spans: list[Segment]
    vector: FloatArray | None
    overlap: bool = False  # whether somebody else speaks in some of it


@dataclass(slots=True)
class Draft:
    """A turn in the making.

    heard : float32 [shape=(dimension,)], sum of its windows' vectors, or None
    """

    id: int
    start: int
    end: int
    label: int
    provisional: bool
    parts: list[Part]
    score: float = 0.0  # sums over the pieces that have a score
    confidence: float = 0.0
    scored: int = 0
    heard: FloatArray | None = None
    overlap: bool = False
    settled: bool = False  # whether its beginning is older than the latency
    rev: int = 0

    @property
    def pieces(self) -> list[int]:
        """What was said in it."""
        return [part.piece for part in self.parts]

    @property
    def segment(self) -> Segment:
        """From its start to its end so far."""
        return Segment(self.start, self.end)


@dataclass(slots=True)
class Final:
    """What is remembered of a final segment."""

    id: int
    rev: int
    label: int
    pieces: tuple[int, ...]  # only where they may turn out to be a new voice's
    turn: Turn  # as it was said, but for its label and name
    parts: tuple[Part, ...]  # of the last ones alone, which may turn out to be several people's
    vector: FloatArray | None = None  # what was heard of it, float32 [shape=(dimension,)]

    @property
    def segment(self) -> Segment:
        """From its start to its end."""
        return self.turn.segment


@dataclass(slots=True)
class TurnsState:
    """The open turns, those closed but not final, and the last final ones."""

    open: list[Draft] = field(default_factory=list)
    closed: list[Draft] = field(default_factory=list)
    finals: deque[Final] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    names: dict[int, str] = field(default_factory=dict)
    next_id: int = 1
    next_label: int = 0  # how `NEXT` is shown
    announced: int = 0  # labels that were said to be new
    events: list[Event] = field(default_factory=list)


def mean_vector(draft: Draft) -> FloatArray | None:
    """The direction of all that was heard of a turn; None where nothing was."""
    if draft.heard is None:
        return None
    norm = float(np.linalg.norm(draft.heard))
    return draft.heard / np.float32(norm) if norm > 0 else None
