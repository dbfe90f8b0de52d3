"""Labels become names: the gallery is asked about a whole cluster, and a name sticks to it.

Either a voice is one of the enrolled or it is a stranger's: each name's evidence is its likelihood ratio, and
the posterior weighs them against each other and against "nobody". So two near names share what there is, and
the more people are enrolled, the more evidence each of them needs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from rtspk.engine.anchors import Anchors
from rtspk.engine.calibration import Calibration
from rtspk.engine.cohort import Cohort
from rtspk.engine.gallery import Gallery
from rtspk.engine.memory import NOBODY
from rtspk.engine.settings import IdentityConfig
from rtspk.types import FloatArray, Match, samples_of

__all__ = ["Identities", "IdentitiesState", "matches"]

RIVALS: int = 16  # names whose evidence is weighed; those behind them have next to none
KNOWN: float = 0.5  # that a voice is one of the enrolled, before it is heard
NEAREST: int = 2  # names that one window may sound like
ANCHOR_HOPS: int = 20  # for which whom something sounded like may be here


def matches(
    gallery: Gallery,
    calibration: Calibration,
    vector: FloatArray,
    net_speech: int,
    count: int,
    *,
    cohort: Cohort | None = None,
    quality: float = 1.0,
    known: float = KNOWN,
) -> list[Match]:
    """The names nearest to a voice, best first, with the probability of each; they sum to one at most.

    Args:
        gallery: the enrolled
        calibration: of the model that made both sides
        vector: float32 [shape=(dimension,)], not zero, of any length
        net_speech: samples of speech behind it
        count: how many at most
        cohort: of that model, where the calibration has a term for it
        quality: of the recording, 0 to 1
        known: the probability that the voice is one of the enrolled, before it was heard
    """
    found = gallery.search(vector, max(count, RIVALS))
    if not found:
        return []
    standing = 0.0
    if calibration.cohort and cohort is not None:
        standing = float(cohort.nearness(vector[None] / np.float32(np.linalg.norm(vector)))[0])
    scores = np.array([score for _, score in found])
    odds = calibration.with_prior(0.5).odds(scores, net_speech, standing=standing, quality=quality)
    odds += math.log(known / (1.0 - known) / max(len(found), len(gallery)))
    top = max(0.0, float(odds.max()))
    weights = np.exp(odds - top)
    chances = weights / (weights.sum() + math.exp(-top))
    best = sorted(zip(found, chances.tolist(), strict=True), key=lambda one: -one[1])
    return [Match(name, score, chance) for (name, score), chance in best[:count]]


@dataclass(slots=True)
class Anchor:
    """An enrolled person whom something sounded like: their print, float32 [shape=(dimension,)], and when."""

    vector: FloatArray
    hop: int


@dataclass(slots=True)
class IdentitiesState:
    """Who holds which name, and how surely; and who else may be here."""

    held: dict[int, Match] = field(default_factory=dict)
    pinned: set[int] = field(default_factory=set)  # labels whose name a person gave
    anchors: dict[str, Anchor] = field(default_factory=dict)


class Identities:
    """Shared and read-only; `IdentitiesState` is the session's."""

    def __init__(
        self,
        gallery: Gallery,
        calibration: Calibration,
        config: IdentityConfig,
        cohort: Cohort | None = None,
    ) -> None:
        self.gallery, self.calibration, self.config, self.cohort = gallery, calibration, config, cohort

    def update(
        self, label: int, vector: FloatArray, net_speech: int, state: IdentitiesState
    ) -> list[tuple[int, str | None]]:
        """Ask the gallery about a label's voice as it is known by now.

        Returns:
            the labels whose name changes, each with the new one
        """
        if label in state.pinned:
            return []
        config = self.config
        before = state.held.get(label)
        found = matches(
            self.gallery, self.calibration, vector, net_speech, config.candidates, cohort=self.cohort
        )
        best = found[0] if found else None
        if before is not None:
            own = next((m for m in found if m.name == before.name), None)
            if own is not None and own.probability >= min(config.keep_probability, config.probability):
                state.held[label] = own
                return []
        if best is None or best.probability < config.probability:
            return _taken_back(label, state)
        holder = next((other for other, m in state.held.items() if m.name == best.name), None)
        changes: list[tuple[int, str | None]] = []
        if holder is not None:
            if state.held[holder].probability >= best.probability:  # as that of a pinned one is
                return _taken_back(label, state)
            changes = _taken_back(holder, state)
        state.held[label] = best
        return [*changes, (label, best.name)]

    def anchors(self, heard: Sequence[FloatArray], hop: int, state: IdentitiesState) -> Anchors:
        """Who of the enrolled may be in the stream by now.

        Args:
            heard: the vectors of a hop's windows, float32 [shape=(dimension,)] each
            hop: its number
            state: the session's memory
        """
        for found in self.gallery.search_many(heard, NEAREST) if heard else []:
            near = [name for name, score in found if score >= self.config.anchor_cosine]
            prints = self.gallery.centroids([name for name in near if name not in state.anchors])
            state.anchors.update({name: Anchor(vector, hop) for name, vector in prints.items()})
            for name in near:
                if name in state.anchors:
                    state.anchors[name].hop = hop
        label_of = {match.name: label for label, match in state.held.items()}
        for name in [n for n, a in state.anchors.items() if n not in label_of and hop - a.hop > ANCHOR_HOPS]:
            del state.anchors[name]
        if not state.anchors:
            return Anchors()
        vectors = np.stack([one.vector for one in state.anchors.values()])
        labels = np.array([label_of.get(name, NOBODY) for name in state.anchors])
        return Anchors(vectors, labels, partial(self._recognises, state))

    def _recognises(self, state: IdentitiesState, vector: FloatArray, seconds: float) -> bool:
        """Whether a voice surely has a name that no label holds."""
        found = matches(self.gallery, self.calibration, vector, samples_of(seconds), 1, cohort=self.cohort)
        held = {match.name for match in state.held.values()}
        return bool(found) and found[0].probability >= self.config.probability and found[0].name not in held

    def pin(self, label: int, name: str, state: IdentitiesState) -> list[tuple[int, str | None]]:
        """Give a label the name that a person says it has; no other label keeps that name.

        Returns:
            the labels whose name changes, each with the new one
        """
        changes: list[tuple[int, str | None]] = []
        for other in [o for o, m in state.held.items() if m.name == name and o != label]:
            del state.held[other]
            state.pinned.discard(other)
            changes.append((other, None))
        before = state.held.get(label)
        state.held[label] = Match(name, 1.0, 1.0)
        state.pinned.add(label)
        return [*changes, (label, name)] if before is None or before.name != name else changes

    def merge(self, gone: int, kept: int, state: IdentitiesState) -> list[tuple[int, str | None]]:
        """A label's name goes to the one that it turned out to be."""
        match = state.held.pop(gone, None)
        pinned = gone in state.pinned
        state.pinned.discard(gone)
        # What a person said of one of them stands before what was only heard of the other.
        if match is None or (kept in state.held and not (pinned and kept not in state.pinned)):
            return []
        if pinned:
            state.pinned.add(kept)
        state.held[kept] = match
        return [(kept, match.name)]


def _taken_back(label: int, state: IdentitiesState) -> list[tuple[int, str | None]]:
    """A label holds no name any more, if it did."""
    return [] if state.held.pop(label, None) is None else [(label, None)]
