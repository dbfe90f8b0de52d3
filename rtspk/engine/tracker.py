"""Which of the session's voices speaks: one decision for each local speaker in each hop.

All windows that the session remembers are grouped anew in every hop, and more slowly and surely every few
seconds (`Review`); a label is a group. Labels are the states of a hidden Markov model, too, that is
filtered as the stream goes: a window's cosines to the labels' centroids are the evidence, and the
segmenter's local speakers carry beliefs from hop to hop.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from rtspk.assignment import assign
from rtspk.engine.anchors import Anchors
from rtspk.engine.closeness import FARTHEST, NEAREST, SHARED
from rtspk.engine.memory import NOBODY, Memory
from rtspk.engine.powerset import LOCAL_SPEAKERS
from rtspk.engine.review import Review
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import (
    NEXT,
    RECENT,
    Birth,
    Chances,
    Decision,
    Heard,
    LabelChange,
    Links,
    TrackerState,
    hop_of,
    piece_of,
)
from rtspk.engine.voicing import Voicing
from rtspk.kernels.vectors import multiplied
from rtspk.types import SAMPLE_RATE, FloatArray, samples_of, seconds_of

__all__ = ["Tracker"]

AT_ONCE: int = samples_of(0.2)  # of speech under another voice's: no mere change of turns
FULL_WEIGHT_SECONDS: float = 1.0  # of speech; a window with less is weaker evidence
LEAST_CHANCE: float = 1e-9
NEWCOMER: float = 0.5  # confidence in a label that is not given yet
HINT_SECONDS: float = 0.3  # of speech that one local speaker shares with a piece: half of what that may say


class Tracker:
    """Shared and read-only; `TrackerState` is the session's."""

    def __init__(self, config: TrackerConfig, max_speakers: int, voicing: Voicing | None = None) -> None:
        self.config = config
        self._review = Review(config, max_speakers, voicing)

    def observe(
        self,
        heard: Sequence[Heard],
        state: TrackerState,
        apart: Collection[int] = (),
        anchors: Anchors | None = None,
    ) -> tuple[list[Decision], list[LabelChange]]:
        """Decide one hop.

        Args:
            heard: of each local speaker who speaks in it, at least one
            state: the session's memory
            apart: labels with names, no two of which are joined
            anchors: the enrolled who may be here

        Returns:
            a decision for each, in order, and what changed of the labels before they were made
        """
        changes = self._remember(heard, state, apart, anchors or Anchors())
        if not state.labels:
            state.last_hop = hop_of(heard[0].piece)
            return [Decision(one.piece, NOBODY, 0.0, 0.0, provisional=True) for one in heard], changes
        cosines = [
            state.centroids @ one.embedding.vector if one.embedding else np.zeros(0, np.float32)
            for one in heard
        ]
        beliefs = [
            self._believe(one, self._predict(one, state), cosine)
            for one, cosine in zip(heard, cosines, strict=True)
        ]
        beliefs = _apart(heard, beliefs)
        state.last_hop = hop_of(heard[0].piece)
        state.belief = beliefs[int(np.argmax([one.speech for one in heard]))].copy()
        for one, belief in zip(heard, beliefs, strict=True):
            state.recent[one.piece] = belief
        while len(state.recent) > RECENT:
            del state.recent[next(iter(state.recent))]
        faint = self._faint(heard, beliefs, cosines)
        decisions = [
            Decision(one.piece, NOBODY, 0.0, 0.0, provisional=True)
            if row in faint
            else self._decide(one, belief, cosine, state)
            for row, (one, belief, cosine) in enumerate(zip(heard, beliefs, cosines, strict=True))
        ]
        return decisions, changes

    def adopt(self, state: TrackerState) -> Birth | None:
        """Take somebody's word that who may be new is somebody; None where nobody may be."""
        if not state.newcomers:
            return None
        birth = self._review.bear(np.isin(state.memory.pieces, list(state.newcomers)), state)
        state.newcomers = frozenset()
        state.centre()
        return birth

    def whose(self, pieces: Sequence[int], vector: FloatArray | None, state: TrackerState) -> int:
        """The label of what was said under `NEXT`: its windows' own, `NEXT` still, or the nearest.

        Args:
            pieces: what was said
            vector: what was heard of it, float32 [shape=(dimension,)]
            state: the session's memory
        """
        memory = state.memory
        own = memory.labels[np.isin(memory.pieces, pieces)]
        own = own[own != NOBODY]
        if len(own):
            labels, counts = np.unique(own, return_counts=True)
            return int(labels[np.argmax(counts)])
        if vector is None or not state.newcomers.isdisjoint(pieces):
            return NEXT
        return self.nearest(vector, state)[0]

    def nearest(self, vector: FloatArray, state: TrackerState) -> tuple[int, float]:
        """The label whose centroid is nearest to a vector, and the cosine; -1 where there is none."""
        if not state.labels:
            return NOBODY, 0.0
        cosines = state.centroids @ vector
        best = int(np.argmax(cosines))
        return state.labels[best], float(cosines[best])

    def judge(self, labels: Sequence[int], vectors: FloatArray, state: TrackerState) -> list[int]:
        """The labels that turns should have, which have others now or the same.

        Args:
            labels: of each turn now
            vectors: what was heard of it, float32 [shape=(turns, dimension)], unit vectors
            state: the session's memory
        """
        places = [state.labels.index(label) if label in state.labels else -1 for label in labels]
        if max(places, default=-1) < 0:
            return list(labels)
        cosines = multiplied(vectors, state.centroids)  # (turns, labels)
        best = cosines.argmax(1)
        rows = np.arange(len(best))
        moves = cosines[rows, best] - cosines[rows, places] >= self.config.update_margin
        return [
            state.labels[place] if moved and own >= 0 else label
            for label, own, place, moved in zip(labels, places, best.tolist(), moves.tolist(), strict=True)
        ]

    def join(self, gone: int, kept: int, state: TrackerState) -> None:
        """Take somebody's word that two labels are one person, however unlike they sound."""
        state.bonds.add(kept)
        state.join(gone, kept)
        state.centre()

    def _remember(
        self, heard: Sequence[Heard], state: TrackerState, apart: Collection[int], anchors: Anchors
    ) -> list[LabelChange]:
        new = [one for one in heard if one.embedding is not None and one.alone and one.speech > 0]
        for one in new:
            assert one.embedding is not None
            state.memory.add(
                one.embedding.vector,
                seconds_of(one.speech),
                one.certainty,
                one.piece,
                self.config.memory,
                self._hints(one),
            )
            state.closeness.own.hear(_linked_cosines(one, state))
            state.closeness.others.hear(_other_cosines(one, state))
        if not new:
            return []
        state.common = state.closeness.common(state.memory.likeness, self.config.common_share)
        changes = self._review.review(state, apart, anchors)
        state.since += 1
        ripe = float(state.memory.weights.sum()) > self.config.ripe_seconds
        if state.labels and ripe and state.since * HOP >= samples_of(self.config.slow_seconds):
            state.since = 0
            changes += self._review.regroup(state, apart, anchors)
        return changes

    def _hints(self, heard: Heard) -> dict[int, float]:
        """What the segmenter says for and against earlier pieces, and those beside it, being this voice."""
        config, hop = self.config, hop_of(heard.piece)
        beside = [piece_of(hop, speaker) for speaker in range(LOCAL_SPEAKERS)]
        return dict.fromkeys([*heard.others, *beside], -config.parted_cosine) | {
            piece: config.linked_cosine * _share(samples, HINT_SECONDS) for piece, samples in heard.links
        }

    def _predict(self, heard: Heard, state: TrackerState) -> Chances:
        """Beliefs before the window is heard: a local speaker stays who they were."""
        config = self.config
        states = len(state.belief)
        hops = max(1, hop_of(heard.piece) - state.last_hop) if state.last_hop >= 0 else 1
        stay = (1.0 - config.switch) ** min(hops, 20)
        prior = stay * state.belief + (1.0 - stay) / states
        own, shared = _linked(heard.links, state)
        if shared:
            trust = (1.0 - config.link_switch) * self._proof(shared)
            prior = trust * own / own.sum() + (1.0 - trust) * prior
        return np.asarray(prior / prior.sum())

    def _proof(self, shared: int) -> float:
        """How much a link of so many samples of speech proves, 0 to 1."""
        return _share(shared, self.config.link_seconds)

    def _believe(self, heard: Heard, prior: Chances, cosines: FloatArray) -> Chances:
        if heard.embedding is None:
            return prior
        weight = min(1.0, seconds_of(heard.embedding.net_speech) / FULL_WEIGHT_SECONDS)
        evidence = self.config.sharpness * weight * cosines
        belief = prior * np.exp(evidence - evidence.max())
        return np.asarray(belief / belief.sum())

    def _faint(
        self, heard: Sequence[Heard], beliefs: Sequence[Chances], cosines: Sequence[FloatArray]
    ) -> set[int]:
        """The rows of who is heard beside others and is unlike their label: echo, music, the other again."""
        scores = {
            row: float(cosine[int(np.argmax(belief))])
            for row, (one, belief, cosine) in enumerate(zip(heard, beliefs, cosines, strict=True))
            if one.shared >= AT_ONCE and len(cosine)
        }
        best = max(scores, key=lambda row: scores[row], default=None)
        return {row for row, score in scores.items() if row != best and score < self.config.beside_cosine}

    def _decide(self, heard: Heard, belief: Chances, cosines: FloatArray, state: TrackerState) -> Decision:
        """The likeliest label; provisional where the window itself has none yet.

        Who comes when all labels are given is shown under one, for want of another, and is no proof of it.
        """
        best = int(np.argmax(belief))
        own = np.flatnonzero(state.memory.pieces == heard.piece)
        provisional = bool(len(own)) and int(state.memory.labels[own[0]]) == NOBODY
        if heard.piece in state.newcomers:
            return Decision(heard.piece, NEXT, 0.0, NEWCOMER, provisional)
        score = float(cosines[best]) if len(cosines) else 0.0
        confidence = float(belief[best])
        is_like = len(own) > 0 or score >= self.config.clear_cosine
        if self._review.is_full(state) and (provisional or not is_like):
            confidence = min(confidence, max(0.0, score))
        elif not provisional:
            state.speech[best] += heard.speech
        return Decision(heard.piece, state.labels[best], score, confidence, provisional)


def _share(samples: int, half: float) -> float:
    """A share that grows with samples, and is a half behind so many seconds."""
    return samples / (samples + half * SAMPLE_RATE)


def _linked_cosines(heard: Heard, state: TrackerState) -> list[float]:
    """Of the window remembered last, to those of its local speaker that hear hardly any of its sound."""
    sure = (piece for piece, samples in heard.links if samples >= samples_of(SHARED))
    return _cosines(heard, sure, state.memory)


def _other_cosines(heard: Heard, state: TrackerState) -> list[float]:
    """Likewise to those of other local speakers, of whose sound none was its own."""
    linked = {piece for piece, _ in heard.links}
    return _cosines(heard, (piece for piece in heard.others if piece not in linked), state.memory)


def _cosines(heard: Heard, pieces: Iterable[int], memory: Memory) -> list[float]:
    """Of the window remembered last to those of pieces that are neither near nor long ago."""
    hop = hop_of(heard.piece)
    wanted = {piece for piece in pieces if NEAREST <= hop - hop_of(piece) <= FARTHEST}
    if not wanted:
        return []
    rows = np.flatnonzero(memory.pieces[:-1] >= min(wanted)).tolist()
    return [float(memory.products[-1, row]) for row in rows if int(memory.pieces[row]) in wanted]


def _linked(links: Links, state: TrackerState) -> tuple[Chances, int]:
    """The beliefs of linked pieces, weighted by the samples shared, and how many samples these are."""
    total, shared = np.zeros(len(state.belief)), 0
    for piece, samples in links:
        belief = state.recent.get(piece)
        if belief is not None:
            total += samples * belief
            shared += samples
    return total, shared


def _apart(heard: Sequence[Heard], beliefs: list[Chances]) -> list[Chances]:
    """Who speak at once are different people: the likeliest labels that differ, while there are enough."""
    rows = [row for row, one in enumerate(heard) if one.shared >= AT_ONCE]
    if not 2 <= len(rows) <= len(beliefs[0]):
        return beliefs
    table = np.stack([beliefs[row] for row in rows])
    taken = dict(assign(-np.log(table.clip(LEAST_CHANCE))))
    out = list(beliefs)
    for number, row in enumerate(rows):
        free = beliefs[row].copy()
        free[[column for other, column in taken.items() if other != number]] = 0.0
        out[row] = free / free.sum() if free.sum() > 0.0 else beliefs[row]
    return out
