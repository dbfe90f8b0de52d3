"""Which of the session's voices speaks: the fast path, one decision for each hop.

Labels are the states of a hidden Markov model that is filtered as the stream goes: a window's cosines to
the prototypes are the evidence, and whoever speaks mostly goes on speaking. One more state, "a new voice",
collects windows that are far from every prototype; when enough of them agree, a label is born.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.prototype import Prototype, unit
from rtspk.engine.settings import TrackerConfig
from rtspk.types import Embedding, FloatArray, seconds_of

__all__ = ["Decision", "Tracker", "TrackerState"]

PENDING: int = 64  # windows that may yet become a voice
PENDING_HOPS: int = 4 * 90  # 90 s: older ones are forgotten
FULL_WEIGHT_SECONDS: float = 1.0  # of speech; a window with less is weaker evidence


@dataclass(frozen=True, slots=True)
class Decision:
    """Who speaks in one hop; label -1 where no voice is known yet.

    `provisional` marks a hop that goes to the nearest label though it may be a new voice's.
    """

    hop: int
    label: int
    score: float
    confidence: float
    provisional: bool


@dataclass(frozen=True, slots=True)
class Birth:
    """A new label, and the earlier hops that are its own."""

    label: int
    hops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """A window that fits no prototype."""

    hop: int
    vector: FloatArray
    weight: float  # seconds of speech in the window
    speech: int  # samples of speech in the hop itself


@dataclass(slots=True)
class TrackerState:
    """What the tracker remembers of one session; bounded by the number of labels and `PENDING`.

    belief : float64 [shape=(labels + 1,)], probabilities, the last for a new voice
    """

    labels: list[int] = field(default_factory=list)
    prototypes: list[Prototype] = field(default_factory=list)
    belief: np.ndarray[tuple[int], np.dtype[np.float64]] = field(default_factory=lambda: np.ones(1))
    pending: deque[Pending] = field(default_factory=lambda: deque(maxlen=PENDING))
    born: int = 0  # labels given so far
    last_hop: int = -1  # the last hop with speech


class Tracker:
    """Shared and read-only; `TrackerState` is the session's."""

    def __init__(self, config: TrackerConfig, max_speakers: int) -> None:
        self.config, self.max_speakers = config, max_speakers

    def observe(
        self, hop: int, embedding: Embedding | None, speech: int, state: TrackerState
    ) -> tuple[Decision, Birth | None]:
        """Decide one hop that has speech.

        Args:
            hop: its number
            embedding: of the window around it; None where that held too little speech
            speech: samples of speech in the hop itself
            state: the session's memory
        """
        prior = self._predict(hop, state)
        state.last_hop = hop
        if embedding is None:
            return self._carry_on(hop, prior, state), None
        weight = min(1.0, seconds_of(embedding.net_speech) / FULL_WEIGHT_SECONDS)
        cosines = self._cosines(embedding.vector, state)
        evidence = self.config.sharpness * weight * np.append(cosines, self.config.new_cosine)
        belief = prior * np.exp(evidence - evidence.max())
        state.belief = belief / belief.sum()
        if int(np.argmax(state.belief)) == len(state.labels):
            birth = self._wait(
                Pending(hop, embedding.vector, seconds_of(embedding.net_speech), speech), state
            )
            if birth is not None:
                cosines = self._cosines(embedding.vector, state)
                return self._decide(hop, len(state.labels) - 1, cosines, speech, state), birth
            return self._nearest(hop, cosines, state), None
        best = int(np.argmax(state.belief[:-1]))
        decision = self._decide(hop, best, cosines, speech, state)
        self._learn(best, cosines, embedding, state)
        return decision, None

    def nearest(self, vector: FloatArray, state: TrackerState) -> tuple[int, float]:
        """The label whose prototype is nearest to a vector, and the cosine; -1 where there is none."""
        if not state.labels:
            return -1, 0.0
        cosines = self._cosines(vector, state)
        best = int(np.argmax(cosines))
        return state.labels[best], float(cosines[best])

    def cosine(self, label: int, vector: FloatArray, state: TrackerState) -> float:
        """Between a vector and a label's prototype."""
        return float(state.prototypes[state.labels.index(label)].centroid @ vector)

    def merge(self, state: TrackerState, apart: Collection[int] = ()) -> tuple[int, int] | None:
        """Join two labels whose prototypes are one voice; returns (gone, kept), or None.

        No two labels of `apart` are joined: they have names, and so are two people.
        """
        if len(state.labels) < 2:
            return None
        centroids = np.stack([p.centroid for p in state.prototypes])
        cosine = centroids @ centroids.T
        np.fill_diagonal(cosine, -2.0)
        named = np.isin(state.labels, list(apart))
        cosine[np.ix_(named, named)] = -2.0
        a, b = sorted(divmod(int(np.argmax(cosine)), len(cosine)))
        if cosine[a, b] < self.config.merge_cosine:
            return None
        gone, kept = state.labels[b], state.labels[a]
        state.prototypes[a].absorb(state.prototypes[b], self.config.exemplars)
        state.belief[a] += state.belief[b]
        state.belief = np.delete(state.belief, b)
        del state.labels[b], state.prototypes[b]
        return gone, kept

    def _predict(self, hop: int, state: TrackerState) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Beliefs before the hop is heard: whoever spoke goes on, less surely after a pause."""
        states = len(state.belief)
        hops = max(1, hop - state.last_hop) if state.last_hop >= 0 else 1
        stay = (1.0 - self.config.switch) ** min(hops, 40)
        return stay * state.belief + (1.0 - stay) / states

    def _cosines(self, vector: FloatArray, state: TrackerState) -> FloatArray:
        if not state.prototypes:
            return np.zeros(0, np.float32)
        return np.stack([p.centroid for p in state.prototypes]) @ vector

    def _carry_on(
        self, hop: int, prior: np.ndarray[tuple[int], np.dtype[np.float64]], state: TrackerState
    ) -> Decision:
        """Too little speech to hear who it is: the neighbourhood decides."""
        if not state.labels:
            return Decision(hop, -1, 0.0, 0.0, provisional=True)
        best = int(np.argmax(prior[:-1]))
        return Decision(hop, state.labels[best], 0.0, float(prior[best]), provisional=False)

    def _decide(self, hop: int, best: int, cosines: FloatArray, speech: int, state: TrackerState) -> Decision:
        state.prototypes[best].speech += speech
        return Decision(
            hop, state.labels[best], float(cosines[best]), float(state.belief[best]), provisional=False
        )

    def _nearest(self, hop: int, cosines: FloatArray, state: TrackerState) -> Decision:
        if not state.labels:
            return Decision(hop, -1, 0.0, 0.0, provisional=True)
        best = int(np.argmax(cosines))
        return Decision(
            hop, state.labels[best], float(cosines[best]), float(state.belief[best]), provisional=True
        )

    def _learn(self, best: int, cosines: FloatArray, embedding: Embedding, state: TrackerState) -> None:
        others = np.delete(cosines, best)
        rival = max(float(others.max()) if len(others) else -1.0, self.config.new_cosine)
        if float(cosines[best]) - rival >= self.config.update_margin and state.belief[best] > 0.9:
            weight = seconds_of(embedding.net_speech)
            state.prototypes[best].learn(embedding.vector, weight, self.config.exemplars)

    def _wait(self, new: Pending, state: TrackerState) -> Birth | None:
        """Add to the windows of unknown voices; a label is born when enough of them agree."""
        state.pending.append(new)
        while new.hop - state.pending[0].hop > PENDING_HOPS:
            state.pending.popleft()
        if len(state.labels) >= self.max_speakers:
            return None
        members = self._agreeing(new, state)
        config = self.config
        wanted = config.birth_seconds if state.labels else config.first_seconds
        if seconds_of(sum(m.speech for m in members)) < wanted:
            return None
        label = state.born
        state.born += 1
        state.labels.append(label)
        state.prototypes.append(
            Prototype.of([m.vector for m in members], [m.weight for m in members], config.exemplars)
        )
        state.prototypes[-1].speech = sum(m.speech for m in members) - new.speech
        state.belief = np.append(state.belief[:-1] * 0.05, [0.9, 0.05])
        state.belief /= state.belief.sum()
        hops = tuple(m.hop for m in members)
        state.pending = deque((p for p in state.pending if p.hop not in set(hops)), maxlen=PENDING)
        return Birth(label, hops)

    def _agreeing(self, new: Pending, state: TrackerState) -> list[Pending]:
        """The pending windows of the newest one's voice: near to it, then near to their common direction."""
        vectors = np.stack([p.vector for p in state.pending])
        close = vectors @ new.vector >= self.config.pool_cosine
        centre = unit(vectors[close].sum(0))
        close = vectors @ centre >= self.config.pool_cosine
        return [p for p, one in zip(state.pending, close, strict=True) if one]
