"""What the tracker hears, decides and remembers, as values."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.likeness import Likeness
from rtspk.engine.memory import Memory
from rtspk.engine.prototype import Prototype
from rtspk.types import Embedding, FloatArray, seconds_of

__all__ = [
    "PENDING",
    "RECENT",
    "Birth",
    "Chances",
    "Decision",
    "Heard",
    "Joined",
    "Links",
    "Pending",
    "TrackerState",
    "hop_of",
    "piece_of",
]

SAME, OTHER = 0.36, 0.1  # usual cosines of two windows of one voice, and of two voices
USUAL_PAIRS: float = 10.0  # what that is worth against pairs of the session
PENDING: int = 64  # windows that may yet become a voice
RECENT: int = 3 * 22  # pieces whose beliefs are kept: more than a segmenter's window of 10 s holds

Chances = np.ndarray[tuple[int], np.dtype[np.float64]]
Links = tuple[tuple[int, int], ...]  # earlier pieces of a local speaker, each with the samples they share


def piece_of(hop: int, speaker: int) -> int:
    """The number of what one local speaker, 0 to 2, says in one hop."""
    return hop * 3 + speaker


def hop_of(piece: int) -> int:
    """The hop of a piece."""
    return piece // 3


@dataclass(frozen=True, slots=True)
class Heard:
    """What one local speaker says in one hop."""

    piece: int
    speech: int  # samples of it
    embedding: Embedding | None = None  # of the window around it; None where that held too little speech
    alone: bool = True  # whether the embedding heard nobody else
    certainty: float = 1.0  # of the segmenter, that it is speech
    links: Links = ()  # what the segmenter takes for the same speaker,
    apart: Links = ()  # and for others


@dataclass(frozen=True, slots=True)
class Decision:
    """Who speaks in one piece; label -1 where no voice is known yet.

    `provisional` marks a piece that goes to the nearest label though it may be a new voice's.
    """

    piece: int
    label: int
    score: float
    confidence: float
    provisional: bool


@dataclass(frozen=True, slots=True)
class Birth:
    """A new label, and the earlier pieces that are its own."""

    label: int
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """A label turned out to be another's voice."""

    gone: int
    kept: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A window that fits no prototype."""

    piece: int
    vector: FloatArray
    weight: float  # seconds of speech in the window
    speech: int  # samples of speech in the hop itself
    certainty: float  # that it is speech


@dataclass(slots=True)
class TrackerState:
    """What the tracker remembers of one session; bounded by the number of labels, `PENDING` and `RECENT`.

    belief : float64 [shape=(labels + 1,)], probabilities of who spoke last, the last for a new voice
    """

    labels: list[int] = field(default_factory=list)
    prototypes: list[Prototype] = field(default_factory=list)
    belief: Chances = field(default_factory=lambda: np.ones(1))
    recent: dict[int, Chances] = field(default_factory=dict)  # beliefs by piece, oldest first
    pending: deque[Pending] = field(default_factory=lambda: deque(maxlen=PENDING))
    together: dict[tuple[int, int], int] = field(default_factory=dict)  # samples in which both labels spoke
    memory: Memory = field(default_factory=Memory)
    likeness: Likeness = field(default_factory=lambda: Likeness.usual(SAME, OTHER, USUAL_PAIRS))
    vectors: dict[int, FloatArray] = field(default_factory=dict)  # by piece, of voices heard alone
    reviewed: int = 0  # the hop of the last review
    born: int = 0  # labels given so far
    last_hop: int = -1  # the last hop with speech

    @property
    def heard_seconds(self) -> float:
        """How much speech has got a label so far."""
        return seconds_of(sum(prototype.speech for prototype in self.prototypes))

    def join(self, gone: int, kept: int, exemplars: int) -> None:
        """Make one label's voice part of another's, which keeps so many exemplars."""
        a, b = self.labels.index(kept), self.labels.index(gone)
        self.prototypes[a].absorb(self.prototypes[b], exemplars)
        self.memory.relabel(gone, kept)
        for belief in [self.belief, *self.recent.values()]:
            belief[a] += belief[b]
        self.belief = np.delete(self.belief, b)
        self.recent = {piece: np.delete(belief, b) for piece, belief in self.recent.items()}
        del self.labels[b], self.prototypes[b]
        moved: dict[tuple[int, int], int] = {}
        for pair, samples in self.together.items():
            one, other = sorted(kept if label == gone else label for label in pair)
            if one != other:
                moved[one, other] = moved.get((one, other), 0) + samples
        self.together = moved

    def spoke_at_once(self, one: int, other: int, least: int) -> bool:
        """Whether two labels spoke in hops of at least so many samples of speech together."""
        return self.together.get((min(one, other), max(one, other)), 0) >= least
