"""What the tracker hears, decides and remembers, as values."""

from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.closeness import Closeness
from rtspk.engine.memory import NOBODY, Memory
from rtspk.types import Embedding, FloatArray, seconds_of

__all__ = [
    "NEXT",
    "RECENT",
    "Birth",
    "Chances",
    "Decision",
    "Heard",
    "Joined",
    "LabelChange",
    "Links",
    "Regrouped",
    "TrackerState",
    "hop_of",
    "piece_of",
]

NEXT: int = -2  # the label of whoever may be new: shown as the next one that is to be given
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
    others: tuple[int, ...] = ()  # and pieces that it takes for others
    shared: int = 0  # samples of it in which somebody else speaks too


@dataclass(frozen=True, slots=True)
class Decision:
    """Who speaks in one piece; the label is `NOBODY` where no voice is known yet.

    `provisional` marks a piece that may be a new voice's: under `NEXT`, or under the nearest label where that
    is likely enough.
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
class Regrouped:
    """All windows were given to voices anew: what was said before may be another's now."""


LabelChange = Birth | Joined | Regrouped


@dataclass(slots=True)
class TrackerState:
    """What the tracker remembers of one session; bounded by the number of labels, its `Memory` and `RECENT`.

    centroids : float32 [shape=(labels, dimension)], unit vectors
    speech : samples given to each label so far
    belief : float64 [shape=(labels,)], probabilities of who spoke last
    """

    labels: list[int] = field(default_factory=list)
    centroids: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    speech: list[int] = field(default_factory=list)
    belief: Chances = field(default_factory=lambda: np.zeros(0))
    recent: dict[int, Chances] = field(default_factory=dict)  # beliefs by piece, oldest first
    bonds: set[int] = field(default_factory=set)  # labels that somebody said are one person
    memory: Memory = field(default_factory=Memory)
    closeness: Closeness = field(default_factory=Closeness)
    common: float = 0.0  # what of a cosine any two windows have
    newcomers: frozenset[int] = frozenset()  # pieces of voices that may be new and have no label yet
    leaving: frozenset[int] = frozenset()  # pieces that the last slow path would part from their labels
    born: int = 0  # labels given so far
    births: dict[int, int] = field(default_factory=dict)  # the newest piece when each label was given
    last_hop: int = -1  # the last hop with speech
    since: int = 0  # reviews since the last slow path

    @property
    def heard_seconds(self) -> float:
        """How much speech has got a label so far."""
        return seconds_of(sum(self.speech))

    def centroid(self, label: int) -> FloatArray:
        """The direction of all that is remembered of a label, float32 [shape=(dimension,)]."""
        one: FloatArray = self.centroids[self.labels.index(label)]
        return one

    def bear(self, pieces: tuple[int, ...]) -> int:
        """Make a new label of the windows of some pieces."""
        label = self.born
        self.born += 1
        self.births[label] = int(self.memory.pieces.max(initial=NOBODY))
        self.labels.append(label)
        self.speech.append(0)
        self.belief = np.append(self.belief, 0.0 if self.belief.any() else 1.0)
        own = np.zeros(len(self.labels))
        own[-1] = 1.0
        self.recent = {p: own.copy() if p in pieces else np.append(b, 0.0) for p, b in self.recent.items()}
        return label

    def join(self, gone: int, kept: int) -> None:
        """Make one label's voice part of another's."""
        a, b = self.labels.index(kept), self.labels.index(gone)
        self.speech[a] += self.speech[b]
        self.memory.relabel(gone, kept)
        for belief in [self.belief, *self.recent.values()]:
            belief[a] += belief[b]
        self.belief = np.delete(self.belief, b)
        self.recent = {piece: np.delete(belief, b) for piece, belief in self.recent.items()}
        del self.labels[b], self.speech[b], self.births[gone]
        self.centroids = np.delete(self.centroids, b, axis=0)
        if gone in self.bonds:
            self.bonds = self.bonds - {gone} | {kept}

    def centre(self) -> None:
        """Find the centroids of what is remembered now."""
        self.centroids = self.memory.centroids(self.labels)
