"""The slow path: what is remembered of all voices is grouped anew, and labels are joined or split."""

from collections.abc import Collection
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.memory import Memory, groups
from rtspk.engine.prototype import Prototype
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import Birth, Joined, TrackerState
from rtspk.types import samples_of

__all__ = ["Review"]


class Review:
    """Shared and read-only; what it changes is the session's `TrackerState`."""

    def __init__(self, config: TrackerConfig, max_speakers: int) -> None:
        self.config, self.max_speakers = config, max_speakers

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
        while (joined := self._most_alike(state, apart)) is not None:
            state.join(joined.gone, joined.kept, config.exemplars)
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
        joins = self._joins(state)
        # What would be joined again at once is not split.
        if _alike(memory, keeps, leaves) > min(state.likeness.between(config.split_share), joins):
            return []
        for other in state.labels:
            theirs = memory.labels == other
            # Whoever is already known is no new voice.
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

    def _most_alike(self, state: TrackerState, apart: Collection[int]) -> Joined | None:
        """The two labels whose windows are most clearly one voice's, if any are."""
        memory, best = state.memory, self._joins(state)
        found, least = None, samples_of(self.config.together_seconds)
        for one, other in combinations(state.labels, 2):
            if {one, other} <= set(apart) or state.spoke_at_once(one, other, least):
                continue
            ours, theirs = memory.labels == one, memory.labels == other
            if ours.any() and theirs.any() and (cosine := _alike(memory, ours, theirs)) >= best:
                best, found = cosine, Joined(max(one, other), min(one, other))
        return found

    def _joins(self, state: TrackerState) -> float:
        """How alike the windows of two labels of one voice are.

        The longer people talk, the surer two of them would have spoken at once, and the likelier has one
        of them come to sound like two.
        """
        config = self.config
        late = min(1.0, state.heard_seconds / config.late_seconds)
        return state.likeness.between(config.join_share + late * (config.late_share - config.join_share))


def _alike(memory: Memory, these: NDArray[np.bool_], those: NDArray[np.bool_]) -> float:
    """The mean cosine of all pairs of two groups of windows."""
    a, b = (
        memory.weights[which] @ memory.vectors[which] / memory.weights[which].sum()
        for which in (these, those)
    )
    return float(a @ b)
