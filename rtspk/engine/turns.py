"""Hops become turns: growing while tentative, final once, revised only by saying so."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rtspk.engine.events import Change, Event, Reason, ReviseEvent, SegmentEvent
from rtspk.engine.tracker import Decision
from rtspk.types import FloatArray, Segment, Turn, samples_of

__all__ = ["Draft", "Turns", "TurnsState", "label_text", "mean_vector"]

JOIN: int = samples_of(0.3)  # a shorter pause does not end a turn
LONGEST: int = samples_of(10.0)  # a longer turn is cut, so that it becomes final
SLIVER: int = samples_of(
    0.25
)  # somebody who speaks less before another goes on without a pause is that other
REMEMBERED: int = 2048  # final segments that a revise event can still name
UNKNOWN: int = -1  # no voice is known yet


def label_text(label: int) -> str:
    """How a label is written: S1, S2, ..."""
    return f"S{label + 1}"


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
    hops: list[int]
    score: float = 0.0  # sums over the hops that have a score
    confidence: float = 0.0
    scored: int = 0
    heard: FloatArray | None = None
    rev: int = 0


@dataclass(slots=True)
class Final:
    """What is remembered of a final segment."""

    id: int
    rev: int
    label: int
    hops: tuple[int, ...]  # only where they may turn out to be a new voice's


@dataclass(slots=True)
class TurnsState:
    """The open turn, those closed but not final, and the last final ones."""

    open: Draft | None = None
    closed: list[Draft] = field(default_factory=list)
    finals: deque[Final] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    names: dict[int, str] = field(default_factory=dict)
    next_id: int = 1
    events: list[Event] = field(default_factory=list)


class Turns:
    """The verbs on a `TurnsState`; every change of what was said goes into its events."""

    def __init__(self, state: TurnsState) -> None:
        self.state = state

    def extend(self, decision: Decision, spans: list[Segment], vector: FloatArray | None) -> None:
        """Give the speech of one hop to whoever was decided on."""
        state = self.state
        for span in spans:
            draft = state.open
            if draft is not None and draft.end - draft.start < SLIVER and span.start <= draft.end:
                draft.label, draft.provisional = decision.label, decision.provisional
            if (
                draft is None
                or (draft.label, draft.provisional) != (decision.label, decision.provisional)
                or span.start - draft.end > JOIN
                or span.end - draft.start > LONGEST
            ):
                self.close()
                draft = Draft(state.next_id, span.start, span.end, decision.label, decision.provisional, [])
                state.next_id += 1
                state.open = draft
            draft.end = span.end
            if draft.hops[-1:] != [decision.hop]:  # a pause within a hop parts it between two turns
                draft.hops.append(decision.hop)
        draft = state.open
        if draft is None:
            return
        if vector is not None:
            draft.score += decision.score
            draft.confidence += decision.confidence
            draft.scored += 1
            draft.heard = vector.copy() if draft.heard is None else draft.heard + vector
        self._say(draft, "tentative")

    def pause(self, time: int) -> None:
        """Nobody spoke up to `time`: a turn that ended long enough before is closed."""
        if self.state.open is not None and time - self.state.open.end > JOIN:
            self.close()

    def close(self) -> None:
        """End the open turn."""
        if self.state.open is not None:
            self.state.closed.append(self.state.open)
            self.state.open = None

    def due(self, horizon: int) -> list[Draft]:
        """Closed turns, whose voice is known, that end at or before the horizon; they leave the state."""
        due = [d for d in self.state.closed if d.end <= horizon and d.label != UNKNOWN]
        self.state.closed = [d for d in self.state.closed if d.end > horizon or d.label == UNKNOWN]
        return due

    def finalise(self, draft: Draft) -> None:
        """Say a turn for the last time."""
        self._say(draft, "final")
        hops = tuple(draft.hops) if draft.provisional else ()
        self.state.finals.append(Final(draft.id, draft.rev, draft.label, hops))

    def drop_unknown(self, before: int) -> None:
        """Forget turns older than `before` that never got a voice."""
        self.state.closed = [d for d in self.state.closed if d.label != UNKNOWN or d.end > before]

    def born(self, label: int, hops: tuple[int, ...]) -> None:
        """Give a new label the earlier turns that were its own."""
        own = set(hops)
        drafts = [*self.state.closed, *([self.state.open] if self.state.open else [])]
        for draft in drafts:
            if draft.provisional and 2 * len(own.intersection(draft.hops)) >= len(draft.hops):
                draft.label, draft.provisional = label, False
                self._say(draft, "tentative")
        mine = [f for f in self.state.finals if f.hops and 2 * len(own.intersection(f.hops)) >= len(f.hops)]
        self._revise(mine, label, "new")

    def merge(self, gone: int, kept: int) -> None:
        """All turns of one label are another's."""
        for draft in [*self.state.closed, *([self.state.open] if self.state.open else [])]:
            if draft.label == gone:
                draft.label = kept
                self._say(draft, "tentative")
        self._revise([f for f in self.state.finals if f.label == gone], kept, "merged")

    def name(self, label: int, name: str | None) -> None:
        """A label gets a name, another one, or none."""
        before = self.state.names.get(label)
        if name is None:
            self.state.names.pop(label, None)
        else:
            self.state.names[label] = name
        reason: Reason = "named" if before is None else "renamed"
        self._revise([f for f in self.state.finals if f.label == label], label, reason)

    def _revise(self, finals: list[Final], label: int, reason: Reason) -> None:
        changes = []
        for final in finals:
            final.rev, final.label, final.hops = final.rev + 1, label, ()
            changes.append(
                Change(final.id, final.rev, label_text(label), self.state.names.get(label), reason)
            )
        if changes:
            self.state.events.append(ReviseEvent(tuple(changes)))

    def _say(self, draft: Draft, state: Literal["tentative", "final"]) -> None:
        if draft.label == UNKNOWN:
            return
        draft.rev += 1
        turn = Turn(
            Segment(draft.start, draft.end),
            label_text(draft.label),
            self.state.names.get(draft.label),
            draft.score / max(1, draft.scored),
            draft.confidence / max(1, draft.scored),
        )
        self.state.events.append(SegmentEvent(draft.id, draft.rev, turn, state))


def mean_vector(draft: Draft) -> FloatArray | None:
    """The direction of all that was heard of a turn; None where nothing was."""
    if draft.heard is None:
        return None
    norm = float(np.linalg.norm(draft.heard))
    return draft.heard / np.float32(norm) if norm > 0 else None
