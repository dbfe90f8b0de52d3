"""Which of the session's voices speaks: the fast path, one decision for each local speaker in each hop.

Labels are the states of a hidden Markov model that is filtered as the stream goes: a window's cosines to
the prototypes are the evidence; the segmenter's local speakers carry beliefs from hop to hop. One more state,
"a new voice", collects windows that are far from every prototype; when enough of them agree, a label is born.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rtspk.assignment import assign
from rtspk.engine.likeness import Likeness
from rtspk.engine.memory import Memory, groups
from rtspk.engine.prototype import Prototype, unit
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.types import SAMPLE_RATE, Embedding, FloatArray, samples_of, seconds_of

__all__ = ["Birth", "Decision", "Heard", "Joined", "Tracker", "TrackerState", "hop_of", "piece_of"]

SAME, OTHER = 0.36, 0.1  # usual cosines of two windows of one voice, and of two voices
USUAL_PAIRS: float = 10.0  # what that is worth against pairs of the session
CLEAR_HOPS: int = 4  # between two windows of one voice that share no sound
LEAST_SHARED: int = samples_of(0.3)  # of speech that makes a link
PENDING: int = 64  # windows that may yet become a voice
PENDING_PIECES: int = 3 * 2 * 90  # 90 s: older ones are forgotten
RECENT: int = 3 * 12  # pieces whose beliefs are kept: more than a segmenter's window holds
FULL_WEIGHT_SECONDS: float = 1.0  # of speech; a window with less is weaker evidence
LEAST_CHANCE: float = 1e-9

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


class Tracker:
    """Shared and read-only; `TrackerState` is the session's."""

    def __init__(self, config: TrackerConfig, max_speakers: int) -> None:
        self.config, self.max_speakers = config, max_speakers

    def observe(self, heard: Sequence[Heard], state: TrackerState) -> tuple[list[Decision], list[Birth]]:
        """Decide one hop.

        Args:
            heard: of each local speaker who speaks in it, at least one
            state: the session's memory

        Returns:
            a decision for each, in order, and the labels that are born
        """
        priors = [self._predict(one, state) for one in heard]
        state.last_hop = hop_of(heard[0].piece)
        cosines = [
            self._cosines(one.embedding.vector, state) if one.embedding else np.zeros(0, np.float32)
            for one in heard
        ]
        self._compare(heard, state)
        beliefs = [
            self._believe(one, prior, cosine, state)
            for one, prior, cosine in zip(heard, priors, cosines, strict=True)
        ]
        beliefs = _apart(beliefs)
        longest = int(np.argmax([one.speech for one in heard]))
        state.belief = beliefs[longest].copy()
        for one, belief in zip(heard, beliefs, strict=True):
            state.recent[one.piece] = belief
        while len(state.recent) > RECENT:
            del state.recent[next(iter(state.recent))]
        decisions, births = [], []
        for one in heard:
            decision, birth = self._settle(one, state)
            decisions.append(decision)
            if birth is not None:
                births.append(birth)
        decisions = _distinct(decisions)
        self._note_together(heard, decisions, state)
        return decisions, births

    def review(self, hop: int, state: TrackerState, apart: Collection[int] = ()) -> list[Birth | Joined]:
        """The slow path: group what is remembered anew, and see whether labels are to be joined or split.

        Args:
            hop: the last that was decided; between two reviews nothing is done
            state: the session's memory
            apart: labels with names, no two of which are joined

        Returns:
            what changes; a label that comes of a split has no pieces of its own yet
        """
        config = self.config
        if hop - state.reviewed < round(samples_of(config.review_seconds) / HOP) or len(state.labels) == 0:
            return []
        state.reviewed = hop
        memory = state.memory
        group = groups(memory.vectors, memory.weights, state.likeness.between(config.group_share))
        changes: list[Birth | Joined] = []
        for label in list(state.labels):
            if len(state.labels) < self.max_speakers:
                changes += self._split(label, group, state)
        while (joined := self._alike(state, apart)) is not None:
            self.join(joined.gone, joined.kept, state)
            changes.append(joined)
        return changes

    def _split(self, label: int, group: NDArray[np.int64], state: TrackerState) -> list[Birth | Joined]:
        """Give the second largest group of a label's windows a label, where it is clearly another voice."""
        memory, config = state.memory, self.config
        own = memory.labels == label
        numbers = np.unique(group[own])
        mass = np.array([memory.weights[own & (group == n)].sum() for n in numbers])
        if len(mass) < 2:
            return []
        first, second = numbers[np.argsort(-mass, kind="stable")[:2]]
        keeps, leaves = own & (group == first), own & (group == second)
        if memory.weights[leaves].sum() < config.split_seconds:
            return []
        if _alike(memory, keeps, leaves) > state.likeness.between(config.split_share):
            return []
        joins = self._joins(state)  # whoever is already known is no new voice
        for other in state.labels:
            theirs = memory.labels == other
            if other != label and theirs.any() and _alike(memory, theirs, leaves) >= joins:
                return []
        new = state.born
        state.born += 1
        memory.labels[leaves] = new
        state.labels.append(new)
        state.prototypes.append(self._remembered(memory, leaves))
        state.prototypes[state.labels.index(label)] = self._remembered(memory, memory.labels == label)
        state.belief = np.insert(state.belief, len(state.belief) - 1, 0.0)
        state.recent = {p: np.insert(b, len(b) - 1, 0.0) for p, b in state.recent.items()}
        return [Birth(new, ())]

    def _remembered(self, memory: Memory, which: NDArray[np.bool_]) -> Prototype:
        vectors, weights = memory.vectors[which], memory.weights[which]
        prototype = Prototype.of(list(vectors), weights.tolist(), self.config.exemplars)
        prototype.speech = samples_of(float(weights.sum()))
        return prototype

    def _alike(self, state: TrackerState, apart: Collection[int]) -> Joined | None:
        """The two labels whose windows are most clearly one voice's, if any are."""
        memory, best = state.memory, self._joins(state)
        found = None
        for one, other in combinations(state.labels, 2):
            if {one, other} <= set(apart) or self._spoke_at_once(one, other, state):
                continue
            ours, theirs = memory.labels == one, memory.labels == other
            if ours.any() and theirs.any() and (cosine := _alike(memory, ours, theirs)) >= best:
                best, found = cosine, Joined(max(one, other), min(one, other))
        return found

    def _spoke_at_once(self, one: int, other: int, state: TrackerState) -> bool:
        both = state.together.get((min(one, other), max(one, other)), 0)
        return both >= samples_of(self.config.together_seconds)

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

        No two labels of `apart` are joined, which have names and so are two people, nor two that spoke
        at once.
        """
        if len(state.labels) < 2:
            return None
        centroids = np.stack([p.centroid for p in state.prototypes])
        cosine = centroids @ centroids.T
        np.fill_diagonal(cosine, -2.0)
        named = np.isin(state.labels, list(apart))
        cosine[np.ix_(named, named)] = -2.0
        for one, other in state.together:
            if self._spoke_at_once(one, other, state):
                i, j = state.labels.index(one), state.labels.index(other)
                cosine[i, j] = cosine[j, i] = -2.0
        a, b = sorted(divmod(int(np.argmax(cosine)), len(cosine)))
        if cosine[a, b] < self.config.merge_cosine:
            return None
        gone, kept = state.labels[b], state.labels[a]
        self.join(gone, kept, state)
        return gone, kept

    def join(self, gone: int, kept: int, state: TrackerState) -> None:
        """Make one label's voice part of another's."""
        a, b = state.labels.index(kept), state.labels.index(gone)
        state.prototypes[a].absorb(state.prototypes[b], self.config.exemplars)
        state.memory.relabel(gone, kept)
        for belief in [state.belief, *state.recent.values()]:
            belief[a] += belief[b]
        state.belief = np.delete(state.belief, b)
        state.recent = {piece: np.delete(belief, b) for piece, belief in state.recent.items()}
        del state.labels[b], state.prototypes[b]
        moved: dict[tuple[int, int], int] = {}
        for pair, samples in state.together.items():
            one, other = sorted(kept if label == gone else label for label in pair)
            if one != other:
                moved[one, other] = moved.get((one, other), 0) + samples
        state.together = moved

    def _predict(self, heard: Heard, state: TrackerState) -> Chances:
        """Beliefs before the window is heard: a local speaker stays who they were."""
        config = self.config
        states = len(state.belief)
        hops = max(1, hop_of(heard.piece) - state.last_hop) if state.last_hop >= 0 else 1
        stay = (1.0 - config.switch) ** min(hops, 20)
        prior = stay * state.belief + (1.0 - stay) / states
        others, shared = _linked(heard.apart, state)
        if shared:
            # Whoever the segmenter keeps apart is somebody else; a new voice may be any number of people.
            owned = others / others.sum() * self._proof(shared)
            prior[:-1] *= 1.0 - config.apart * owned[:-1]
            prior /= prior.sum()
        own, shared = _linked(heard.links, state)
        if shared:
            trust = (1.0 - config.link_switch) * self._proof(shared)
            prior = trust * own / own.sum() + (1.0 - trust) * prior
        return prior

    def _proof(self, shared: int) -> float:
        """How much a link of so many samples of speech proves, 0 to 1."""
        return shared / (shared + self.config.link_seconds * SAMPLE_RATE)

    def _compare(self, heard: Sequence[Heard], state: TrackerState) -> None:
        """Learn from the segmenter's local speakers how alike windows of one and of two voices are here."""
        for one in heard:
            if one.embedding is None or not one.alone:
                continue
            vector = one.embedding.vector
            for links, is_same in ((one.links, True), (one.apart, False)):
                for piece, samples in links:
                    far = hop_of(one.piece) - hop_of(piece) >= CLEAR_HOPS
                    if samples >= LEAST_SHARED and piece in state.vectors and (far or not is_same):
                        state.likeness.hear(float(vector @ state.vectors[piece]), is_same=is_same)
        for one in heard:
            if one.embedding is not None and one.alone:
                state.vectors[one.piece] = one.embedding.vector
        while len(state.vectors) > RECENT:
            del state.vectors[next(iter(state.vectors))]

    def _believe(self, heard: Heard, prior: Chances, cosines: FloatArray, state: TrackerState) -> Chances:
        if heard.embedding is None:
            return prior
        weight = min(1.0, seconds_of(heard.embedding.net_speech) / FULL_WEIGHT_SECONDS)
        evidence = self.config.sharpness * weight * np.append(cosines, self._stranger(state))
        belief = prior * np.exp(evidence - evidence.max())
        return np.asarray(belief / belief.sum())

    def _settle(self, heard: Heard, state: TrackerState) -> tuple[Decision, Birth | None]:
        """What is said of one piece, and what is learnt from it; a birth may have moved its belief."""
        belief, embedding = state.recent[heard.piece], heard.embedding
        if embedding is None:
            return self._carry_on(heard, belief, state), None
        cosines = self._cosines(embedding.vector, state)
        if int(np.argmax(belief)) == len(state.labels):
            birth = self._wait(heard, embedding, state) if heard.alone else None
            if birth is not None:
                cosines = self._cosines(embedding.vector, state)
                return self._decide(heard, len(state.labels) - 1, cosines, state), birth
            return self._nearest(heard, cosines, state), None
        best = int(np.argmax(belief[:-1]))
        decision = self._decide(heard, best, cosines, state)
        if heard.alone:
            self._remember(state.labels[best], embedding.vector, heard.speech, state)
            self._learn(best, cosines, embedding, float(belief[best]), state)
        return decision, None

    def _note_together(
        self, heard: Sequence[Heard], decisions: Sequence[Decision], state: TrackerState
    ) -> None:
        """Who speaks at once is two people, however alike they sound."""
        sure = [(d.label, h.speech) for d, h in zip(decisions, heard, strict=True) if not d.provisional]
        for (a, first), (b, second) in combinations(sure, 2):
            pair = (min(a, b), max(a, b))
            state.together[pair] = state.together.get(pair, 0) + min(first, second)

    def _stranger(self, state: TrackerState) -> float:
        """The cosine to a prototype below which a window may be a new voice's."""
        return state.likeness.to_centroid(self.config.new_share)

    def _cosines(self, vector: FloatArray, state: TrackerState) -> FloatArray:
        if not state.prototypes:
            return np.zeros(0, np.float32)
        return np.stack([p.centroid for p in state.prototypes]) @ vector

    def _carry_on(self, heard: Heard, belief: Chances, state: TrackerState) -> Decision:
        """Too little speech to hear who it is: the neighbourhood decides."""
        if not state.labels:
            return Decision(heard.piece, -1, 0.0, 0.0, provisional=True)
        best = int(np.argmax(belief[:-1]))
        return Decision(heard.piece, state.labels[best], 0.0, float(belief[best]), provisional=False)

    def _decide(self, heard: Heard, best: int, cosines: FloatArray, state: TrackerState) -> Decision:
        state.prototypes[best].speech += heard.speech
        confidence = float(state.recent[heard.piece][best])
        return Decision(heard.piece, state.labels[best], float(cosines[best]), confidence, provisional=False)

    def _nearest(self, heard: Heard, cosines: FloatArray, state: TrackerState) -> Decision:
        if not state.labels:
            return Decision(heard.piece, -1, 0.0, 0.0, provisional=True)
        best = int(np.argmax(state.recent[heard.piece][:-1]))
        confidence = float(state.recent[heard.piece][best])
        return Decision(heard.piece, state.labels[best], float(cosines[best]), confidence, provisional=True)

    def _learn(
        self, best: int, cosines: FloatArray, embedding: Embedding, belief: float, state: TrackerState
    ) -> None:
        others = np.delete(cosines, best)
        rival = max(float(others.max()) if len(others) else -1.0, self._stranger(state))
        if float(cosines[best]) - rival >= self.config.update_margin and belief > 0.9:
            weight = seconds_of(embedding.net_speech)
            state.prototypes[best].learn(embedding.vector, weight, self.config.exemplars)

    def _wait(self, heard: Heard, embedding: Embedding, state: TrackerState) -> Birth | None:
        """Add to the windows of unknown voices; a label is born when enough of them agree."""
        own, shared = _linked(heard.links, state)
        known = float(own[:-1].sum() / own.sum()) * self._proof(shared) if shared else 0.0
        # Whom the segmenter takes for somebody known is hardly new, however strange the window sounds.
        speech = round(heard.speech * (1.0 - self.config.familiar * known))
        net = seconds_of(embedding.net_speech)
        new = Pending(heard.piece, embedding.vector, net, speech, heard.certainty)
        state.pending.append(new)
        while new.piece - state.pending[0].piece > PENDING_PIECES:
            state.pending.popleft()
        if len(state.labels) >= self.max_speakers:
            return None
        members = self._agreeing(new, state)
        if seconds_of(sum(m.speech for m in members)) < self._birth_seconds(state):
            return None
        if np.mean([m.certainty for m in members]) < self.config.birth_certainty:
            return None
        pieces = tuple(m.piece for m in members)
        label = self._bear(members, pieces, state)
        for member in members:
            self._remember(label, member.vector, member.speech, state)
        state.prototypes[-1].speech -= new.speech  # its own decision counts it
        state.pending = deque((p for p in state.pending if p.piece not in set(pieces)), maxlen=PENDING)
        return Birth(label, pieces)

    def _heard_seconds(self, state: TrackerState) -> float:
        """How much speech has got a label so far."""
        return seconds_of(sum(prototype.speech for prototype in state.prototypes))

    def _joins(self, state: TrackerState) -> float:
        """How alike the windows of two labels of one voice are.

        The longer people talk, the surer two of them would have spoken at once, and the likelier has one
        of them come to sound like two.
        """
        config = self.config
        late = min(1.0, self._heard_seconds(state) / config.late_seconds)
        return state.likeness.between(config.join_share + late * (config.late_share - config.join_share))

    def _birth_seconds(self, state: TrackerState) -> float:
        """What a new voice needs: the longer people have talked, the less is somebody new to be expected."""
        config = self.config
        if not state.labels:
            return config.first_seconds
        grown = min(1.0, self._heard_seconds(state) / config.settled_seconds)
        return config.early_seconds + grown * (config.birth_seconds - config.early_seconds)

    def _bear(self, members: list[Pending], pieces: tuple[int, ...], state: TrackerState) -> int:
        label = state.born
        state.born += 1
        state.labels.append(label)
        state.prototypes.append(
            Prototype.of([m.vector for m in members], [m.weight for m in members], self.config.exemplars)
        )
        state.prototypes[-1].speech = sum(m.speech for m in members)
        certain = np.append(state.belief[:-1] * 0.05, [0.9, 0.05])
        certain /= certain.sum()
        state.belief = certain
        state.recent = {
            piece: certain.copy() if piece in pieces else np.insert(belief, len(belief) - 1, 0.0)
            for piece, belief in state.recent.items()
        }
        return label

    def _remember(self, label: int, vector: FloatArray, speech: int, state: TrackerState) -> None:
        if speech > 0:
            state.memory.add(vector, seconds_of(speech), label, self.config.memory)

    def _agreeing(self, new: Pending, state: TrackerState) -> list[Pending]:
        """The pending windows of the newest one's voice: near to it, then near to their common direction."""
        vectors = np.stack([p.vector for p in state.pending])
        close = vectors @ new.vector >= self.config.pool_cosine
        centre = unit(vectors[close].sum(0))
        close = vectors @ centre >= self.config.pool_cosine
        return [p for p, one in zip(state.pending, close, strict=True) if one]


def _alike(memory: Memory, these: NDArray[np.bool_], those: NDArray[np.bool_]) -> float:
    """The mean cosine of all pairs of two groups of windows."""
    a, b = (
        memory.weights[which] @ memory.vectors[which] / memory.weights[which].sum()
        for which in (these, those)
    )
    return float(a @ b)


def _distinct(decisions: list[Decision]) -> list[Decision]:
    """One label speaks once in a hop: of two pieces of it, the less sure one's voice is not known."""
    out = list(decisions)
    order = sorted(range(len(out)), key=lambda i: (out[i].provisional, -out[i].confidence))
    used: set[int] = set()
    for i in order:
        if out[i].label in used or (out[i].confidence <= 0.0 and len(out) > 1):
            out[i] = replace(out[i], label=-1, provisional=True)
        used.add(out[i].label)
    return out


def _linked(links: Links, state: TrackerState) -> tuple[Chances, int]:
    """The beliefs of linked pieces, weighted by the samples shared, and how many samples these are."""
    total, shared = np.zeros(len(state.belief)), 0
    for piece, samples in links:
        belief = state.recent.get(piece)
        if belief is not None:
            total += samples * belief
            shared += samples
    return total, shared


def _apart(beliefs: list[Chances]) -> list[Chances]:
    """Two who speak at once are two people: the likeliest labels that differ, and beliefs that follow them.

    A new voice may be several people's.
    """
    if len(beliefs) < 2 or len(beliefs[0]) < 2:
        return beliefs
    chances = np.stack(beliefs)
    labels = chances.shape[1] - 1
    # A column of its own for each, behind those of the labels, is its new voice.
    own = np.full((len(beliefs), len(beliefs)), LEAST_CHANCE)
    np.fill_diagonal(own, chances[:, -1])
    table = np.concatenate([chances[:, :-1], own], axis=1)
    taken = [column for _, column in assign(-np.log(table.clip(LEAST_CHANCE)))]
    out = []
    for row, belief in enumerate(beliefs):
        free = belief.copy()
        free[[column for other, column in enumerate(taken) if other != row and column < labels]] = 0.0
        out.append(free / free.sum() if free.sum() > 0.0 else belief)
    return out
