"""Which of the session's voices speaks: the fast path, one decision for each local speaker in each hop.

Labels are the states of a hidden Markov model that is filtered as the stream goes: a window's cosines to
the prototypes are the evidence; the segmenter's local speakers carry beliefs from hop to hop. One more state,
"a new voice", collects windows that are far from every prototype; when enough of them agree, a label is born.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from rtspk.assignment import assign
from rtspk.engine.prototype import Prototype, unit
from rtspk.engine.review import Review
from rtspk.engine.settings import TrackerConfig
from rtspk.engine.tracker_state import (
    PENDING,
    RECENT,
    Birth,
    Chances,
    Decision,
    Heard,
    Joined,
    Links,
    Pending,
    TrackerState,
    hop_of,
)
from rtspk.types import SAMPLE_RATE, Embedding, FloatArray, samples_of, seconds_of

__all__ = ["Tracker"]

CLEAR_HOPS: int = 4  # between two windows of one voice that share no sound
LEAST_SHARED: int = samples_of(0.3)  # of speech that makes a link
PENDING_PIECES: int = 3 * 2 * 90  # 90 s: older ones are forgotten
FULL_WEIGHT_SECONDS: float = 1.0  # of speech; a window with less is weaker evidence
LEAST_CHANCE: float = 1e-9


class Tracker:
    """Shared and read-only; `TrackerState` is the session's."""

    def __init__(self, config: TrackerConfig, max_speakers: int) -> None:
        self.config, self.max_speakers = config, max_speakers
        self._review = Review(config, max_speakers)

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
        """The slow path, where it is due: labels joined or split; see `Review`."""
        return self._review.review(hop, state, apart)

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
            if state.spoke_at_once(one, other, samples_of(self.config.together_seconds)):
                i, j = state.labels.index(one), state.labels.index(other)
                cosine[i, j] = cosine[j, i] = -2.0
        a, b = sorted(divmod(int(np.argmax(cosine)), len(cosine)))
        if cosine[a, b] < self.config.merge_cosine:
            return None
        gone, kept = state.labels[b], state.labels[a]
        state.join(gone, kept, self.config.exemplars)
        return gone, kept

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

    def _birth_seconds(self, state: TrackerState) -> float:
        """What a new voice needs: the longer people have talked, the less is somebody new to be expected."""
        config = self.config
        if not state.labels:
            return config.first_seconds
        grown = min(1.0, state.heard_seconds / config.settled_seconds)
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
