"""All that is remembered of a session's voices grouped anew, and what that changes of its labels."""

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from rtspk.assignment import assign
from rtspk.engine.anchors import Anchors
from rtspk.engine.memory import NOBODY, Memory
from rtspk.engine.mixture import mixture
from rtspk.engine.settings import TrackerConfig
from rtspk.engine.tracker_state import Birth, Joined, LabelChange, Regrouped, TrackerState
from rtspk.engine.unit import unit
from rtspk.engine.voicing import Voicing
from rtspk.kernels.groups import NEVER, groups
from rtspk.types import FloatArray

__all__ = ["Review"]

SHORTEST: float = 1e-3  # square of the length of a mean of windows, less what all have in common
LEAST: float = 1e-6  # seconds that rounding may take
SETTLED: int = 4 * 3  # pieces of four hops
# What the segmenter's certainty adds to the log odds that somebody is a voice, for each unit above the gate:
# from 450 voices of training speakers and what 76 noises are heard as, each kind left out (bench/LOG.md).
SURELY: float = 10.8
DOUBT: float = 1.5  # log odds that a voice needs at first, less and less
DOUBT_SECONDS: float = 2.0  # until it has spoken so long
CLEAR: float = 0.5  # of the speech that a new voice needs, where it is like nobody known,
SURE_SECONDS: float = 1.0  # but not less: one window may be anything
LATELY: int = 3 * 10  # pieces of ten hops: who was not heard in them is no newcomer any more
BONDED: float = 1.0  # how much closer windows of labels count that somebody said are one person


class Review:
    """Shared and read-only; what it changes is the session's `TrackerState`.

    Groups are found by average linkage (Day and Edelsbrunner, J. Classification 1, 1984), which knows a new
    voice early, and from time to time by a mixture, which knows better how many voices there are. Each label
    goes to the group that holds most of what it had, no two labels to one.
    """

    def __init__(self, config: TrackerConfig, max_speakers: int, voicing: Voicing | None = None) -> None:
        self.config, self.max_speakers, self.voicing = config, max_speakers, voicing

    def review(
        self, state: TrackerState, apart: Collection[int] = (), anchors: Anchors | None = None
    ) -> list[LabelChange]:
        """Group what is remembered anew, and give each window the label of its group.

        Args:
            state: the session's memory
            apart: labels with names, no two of which are joined
            anchors: the enrolled who may be here, each a window more of somebody else

        Returns:
            the labels that became part of others, then the new ones
        """
        memory, config, anchors = state.memory, self.config, anchors or Anchors()
        seconds = memory.seconds(state.labels)
        known = {label for label, told in seconds.items() if told >= config.known_seconds}
        alike = self._anchored(self._alike(state, known.union(apart)), state, anchors)
        weights = np.append(memory.weights, np.full(len(anchors), config.anchor_seconds, np.float32))
        group = groups(alike, weights, self._least(config.group_cosine, state))
        return self._relabel(group[: len(memory.weights)], state, anchors)

    def regroup(
        self, state: TrackerState, apart: Collection[int] = (), anchors: Anchors | None = None
    ) -> list[LabelChange]:
        """Likewise by a mixture, of the windows alone: the slow path. Its last change says that it was so."""
        memory = state.memory
        least = self._least(self.config.part_cosine, state)
        start = groups(self._alike(state, apart), memory.weights, least)
        group = mixture(memory.vectors, memory.weights, start, state.common)
        parted = self._parted(group, state, apart)
        return [*self._relabel(parted, state, anchors or Anchors(), slow=True), Regrouped()]

    def is_full(self, state: TrackerState) -> bool:
        """Whether nobody else may get a label."""
        return len(state.labels) >= self.max_speakers

    @staticmethod
    def bear(own: NDArray[np.bool_], state: TrackerState) -> Birth:
        """A label for a group; the pieces that had none are its own."""
        memory = state.memory
        pieces = tuple(int(piece) for piece in memory.pieces[own & (memory.labels == NOBODY)])
        label = state.bear(pieces)
        memory.labels[own] = label
        return Birth(label, pieces)

    def _relabel(
        self, group: NDArray[np.int64], state: TrackerState, anchors: Anchors, *, slow: bool = False
    ) -> list[LabelChange]:
        """Give labels to groups, and each window the label of its own."""
        seconds = _held(group, state)
        known, gone = self._keep(group, seconds[:, 1:], state)
        born = self._births(group, seconds, known, state, anchors, slow=slow)
        if state.labels:
            state.centre()
        return [*gone, *born]

    @staticmethod
    def _keep(
        group: NDArray[np.int64], held: NDArray[np.float64], state: TrackerState
    ) -> tuple[set[int], list[Joined]]:
        """Give each label to the group that holds most of it: these groups, and the labels that go.

        held : float64 [shape=(groups, labels)], seconds
        """
        memory = state.memory
        label_of = {row: state.labels[column] for row, column in assign(-held) if held[row, column] > 0.0}
        # The group that holds most of a label that goes has another, or this one would have got it.
        gone = [
            Joined(label, label_of[int(np.argmax(held[:, column]))])
            for column, label in enumerate(state.labels)
            if label not in label_of.values()
        ]
        for row, label in label_of.items():
            memory.labels[group == row] = label
        for joined in gone:
            state.join(joined.gone, joined.kept)
        return set(label_of), gone

    def _births(
        self,
        group: NDArray[np.int64],
        seconds: NDArray[np.float64],
        known: set[int],
        state: TrackerState,
        anchors: Anchors,
        *,
        slow: bool,
    ) -> list[Birth]:
        """Give new labels to those of the other groups that are somebody.

        What had a label leaves it for one of its own where two slow paths in a row say so: of many windows of
        one voice some are nearer to each other, and what the fast path parts by these the slow one joins.

        seconds : float64 [shape=(groups, 1 + labels)], what each group held of nobody's and of each label
        """
        memory, born = state.memory, []
        newcomers: list[int] = []
        leaving: set[int] = set()
        mass = seconds.sum(1)
        newest = np.zeros(len(mass), np.int64)
        np.maximum.at(newest, group, memory.pieces)
        for number in np.argsort(-mass, kind="stable").tolist():
            if number in known:
                continue
            own = group == number
            proof = float(seconds[number, 0]) + LEAST
            leaves: set[int] = set()
            if slow and mass[number] >= self._split_seconds(own, state):
                leaves = set(memory.pieces[own].tolist())
                if 2 * len(leaves & state.leaving) >= len(leaves):
                    proof = np.inf
            if self._is_new(own, proof, state, anchors):
                born.append(self.bear(own, state))
                continue
            leaving |= leaves
            if newest.max() - newest[number] <= LATELY and self._may_be_new(own, state):
                newcomers += memory.pieces[own & (memory.labels == NOBODY)].tolist()
        state.newcomers = frozenset(newcomers)
        if slow:
            state.leaving = frozenset(leaving)
        return born

    def _alike(self, state: TrackerState, apart: Collection[int]) -> NDArray[np.float32]:
        """How alike windows are, where what was decided before holds on to itself."""
        memory = state.memory
        settled = _settled(memory, apart)
        alike = memory.alike(state.common, settled, self.config.keep_cosine)
        for label in state.bonds:
            own = memory.labels == label
            alike[np.ix_(own, own)] += np.float32(BONDED)
        return alike

    def _anchored(
        self, alike: NDArray[np.float32], state: TrackerState, anchors: Anchors
    ) -> NDArray[np.float32]:
        """How alike windows and prints are: no two prints are one voice's, a label holds on to its own."""
        if not len(anchors):
            return alike
        memory, keep, count = state.memory, np.float32(self.config.keep_cosine), len(alike)
        whole = np.full((count + len(anchors),) * 2, NEVER, np.float32)
        whole[:count, :count] = alike
        hold = np.where(memory.labels[:, None] == anchors.labels, keep, -keep)
        hold[memory.labels == NOBODY] = 0.0
        hold[:, anchors.labels == NOBODY] = 0.0
        whole[:count, count:] = memory.vectors @ anchors.vectors.T + hold
        whole[count:, :count] = whole[:count, count:].T
        return whole

    def _least(self, cosine: float, state: TrackerState) -> float:
        """How close groups must be to be one.

        Closer where all windows are, and while little was said: two voices on one line may seem so.
        """
        config = self.config
        young = 1.0 - float(state.memory.weights.sum()) / config.young_seconds
        closer = config.closeness_share * state.closeness.excess(state.common)
        return cosine + closer + config.young_cosine * max(0.0, young)

    def _is_new(self, own: NDArray[np.bool_], proof: float, state: TrackerState, anchors: Anchors) -> bool:
        """Whether a group without a label is somebody: enough of it, surely speech, and surely a voice.

        `proof` is how many seconds speak for it. Whom the gallery knows needs to be a voice alone: music may
        be near to somebody too.
        """
        memory, config = state.memory, self.config
        needed = self._birth_seconds(state)
        is_proven = proof >= min(needed, max(SURE_SECONDS, CLEAR * needed))
        if self.is_full(state) or not (is_proven or len(anchors)):
            return False
        seconds = float(memory.weights[own].sum())
        mean = memory.mean(own)
        certainty, voice = self._voice(own, memory)
        if seconds >= config.least_speech_seconds and voice >= 0.0 and anchors.recognises(mean, seconds):
            return True
        if certainty < 0.0 or not is_proven:
            return False
        nearest = self._nearest(own, mean, state)
        if nearest >= config.known_cosine or (nearest >= config.clear_cosine and proof < needed):
            return False
        doubt = DOUBT * max(0.0, 1.0 - seconds / DOUBT_SECONDS)
        return self.voicing is None or voice >= doubt

    def _voice(self, own: NDArray[np.bool_], memory: Memory) -> tuple[float, float]:
        """How much surer a group is speech than it has to be, and the log odds that it is a voice."""
        weights = memory.weights[own]
        certainty = float(weights @ memory.certainties[own]) / float(weights.sum())
        certainty -= self.config.birth_certainty
        if self.voicing is None:
            return certainty, certainty
        return certainty, self.voicing.score(weights @ memory.vectors[own]) + SURELY * certainty

    def _may_be_new(self, own: NDArray[np.bool_], state: TrackerState) -> bool:
        """Whether a group that is not proven yet is more likely somebody new than any of the labels."""
        memory = state.memory
        if not state.labels or self.is_full(state):
            return False
        if self._voice(own, memory)[1] < 0.0:
            return False
        return self._nearest(own, memory.mean(own), state) < self.config.clear_cosine

    @staticmethod
    def _nearest(own: NDArray[np.bool_], mean: FloatArray, state: TrackerState) -> float:
        """The cosine of a group's mean to the nearest label's other windows."""
        memory, nearest = state.memory, -1.0
        for label in state.labels:
            others = (memory.labels == label) & ~own
            if others.any():
                nearest = max(nearest, _cosine(mean, memory.mean(others), state.common))
        return nearest

    def _split_seconds(self, own: NDArray[np.bool_], state: TrackerState) -> float:
        """What has to leave a label to be one of its own: the more, the longer the label was one person's."""
        memory, config = state.memory, self.config
        labels = memory.labels[own & (memory.labels != NOBODY)]
        if not len(labels):
            return config.split_seconds
        stays = (memory.labels == np.argmax(np.bincount(labels))) & ~own
        return max(config.split_seconds, config.split_share * float(memory.weights[stays].sum()))

    def _birth_seconds(self, state: TrackerState) -> float:
        """What a new voice needs: the longer people have talked, the less is somebody new to be expected."""
        config = self.config
        if not state.labels:
            return config.first_seconds
        grown = min(1.0, state.heard_seconds / config.settled_seconds)
        return config.early_seconds + grown * (config.birth_seconds - config.early_seconds)

    def _parted(
        self, group: NDArray[np.int64], state: TrackerState, apart: Collection[int]
    ) -> NDArray[np.int64]:
        """Groups without what must not be.

        No two names in one, nor two known labels that are not alike; what was joined by hand in one.
        """
        memory, group = state.memory, group.copy()
        for label in state.bonds:
            own = memory.labels == label
            group[own] = np.argmax(np.bincount(group[own], memory.weights[own]))
        seconds, held = memory.seconds(state.labels), _held(group, state)[:, 1:]
        by_speech = sorted(enumerate(state.labels), key=lambda one: -seconds[one[1]])
        for number, shares in enumerate(held.tolist()):
            kept: list[int] = []
            for column, label in by_speech:
                if not shares[column] or (label not in apart and 2.0 * shares[column] <= seconds[label]):
                    continue  # most of it is elsewhere
                if any(self._differ(label, other, state, apart) for other in kept):
                    group[(group == number) & (memory.labels == label)] = group.max() + 1
                else:
                    kept.append(label)
        return _numbered(group)

    def _differ(self, one: int, other: int, state: TrackerState, apart: Collection[int]) -> bool:
        """Whether two labels are two people for sure: by name, or known for long and not alike.

        The means of what one voice says come closer to each other the longer it speaks.
        """
        if one in apart and other in apart:
            return True
        config, least = self.config, min(state.memory.seconds([one, other]).values())
        if least < config.known_seconds:
            return False
        span = max(config.long_seconds - config.known_seconds, LEAST)
        grown = min(1.0, (least - config.known_seconds) / span)
        wanted = config.join_cosine + grown * (config.long_cosine - config.join_cosine)
        first, second = (state.memory.mean(state.memory.labels == label) for label in (one, other))
        return _cosine(first, second, state.common) < wanted


def _held(group: NDArray[np.int64], state: TrackerState) -> NDArray[np.float64]:
    """Seconds in each group of what is nobody's, and of each label: float64 [shape=(groups, 1 + labels)]."""
    memory, count, width = state.memory, int(group.max()) + 1, 1 + len(state.labels)
    cells = group * width + (memory.places(state.labels) + 1)
    return np.asarray(np.bincount(cells, memory.weights, count * width), np.float64).reshape(count, width)


def _numbered(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups numbered from 0 on without gaps."""
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def _settled(memory: Memory, labels: Collection[int]) -> NDArray[np.int64]:
    """Which of some labels each window surely has, int64 [shape=(n,)]; all windows of one that is just born.

    Of the newest, one may be in the wrong place: the windows behind it hear most of what it heard, and would
    be kept from their own voice with it.
    """
    old = memory.pieces <= memory.pieces.max() - SETTLED
    wanted = set(labels)
    old_labels, new_labels = set(memory.labels[old].tolist()), set(memory.labels[~old].tolist())
    settled = np.where(old, memory.labels, NOBODY)
    for label in new_labels & wanted - old_labels:
        settled[memory.labels == label] = label
    for label in old_labels - wanted:
        settled[settled == label] = NOBODY
    return settled


def _cosine(one: FloatArray, other: FloatArray, common: float) -> float:
    """Of two means of windows, without what all windows have in common."""
    if not common:
        return float(unit(one) @ unit(other))
    lengths = (max(float(mean @ mean) - common, SHORTEST) for mean in (one, other))
    return (float(one @ other) - common) / math.sqrt(math.prod(lengths))
