"""What is said in hops becomes turns: growing while tentative, final once, revised only by saying so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal

import numpy as np

from rtspk.engine.events import Change, Reason, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.engine.memory import NOBODY
from rtspk.engine.parts import Part, Share, shares
from rtspk.engine.tracker_state import NEXT
from rtspk.engine.turns_state import Draft, Final, Said, TurnsState, label_text, mean_vector
from rtspk.types import FloatArray, Segment, Turn, samples_of

__all__ = ["Turns"]

LONGEST: int = samples_of(10.0)  # a longer turn is cut, so that it becomes final
SLIVER: int = samples_of(0.25)  # who speaks less before another goes on without a pause is that other
RECONSIDERED: int = 256  # of these, that are looked at again when the voices are grouped anew
YOUNG: int = 3 * 60  # pieces of 30 s, in which a label that was just given may be missed


class Turns:
    """The verbs on a `TurnsState`; every change of what was said goes into its events."""

    def __init__(self, state: TurnsState, join: int) -> None:
        self.state = state
        self._join = join  # samples; a shorter pause does not end a turn

    def extend(self, hop: Sequence[Said]) -> None:
        """Give the speech of one hop to whoever was decided on."""
        for said in hop:
            draft = None
            for span in said.spans:
                draft = self._draft(said, span, alone=len(hop) == 1)
                draft.end = max(draft.end, span.end)
                if draft.parts and draft.parts[-1].piece == said.decision.piece:  # a pause within a hop
                    draft.parts[-1].end = span.end
                else:
                    draft.parts.append(Part(said.decision.piece, span.start, span.end))
            if draft is None:
                continue
            draft.overlap |= said.overlap
            if said.vector is not None:
                draft.score += said.decision.score
                draft.confidence += said.decision.confidence
                draft.scored += 1
                draft.heard = said.vector.copy() if draft.heard is None else draft.heard + said.vector
            self._say(draft, "tentative")

    def _draft(self, said: Said, span: Segment, *, alone: bool) -> Draft:
        """The turn that goes on with this span, or a new one."""
        state, decision = self.state, said.decision
        who = (decision.label, decision.provisional)
        for draft in state.open:
            if alone and draft.end - draft.start < SLIVER and draft.start <= span.start <= draft.end:
                draft.label, draft.provisional = who
            if (draft.label, draft.provisional) != who:
                continue
            if span.start - draft.end <= self._join and span.end - draft.start <= LONGEST:
                return draft
        for draft in [d for d in state.open if (d.label, d.provisional) == who]:
            self._close(draft)
        state.open.append(Draft(self._new_id(), span.start, span.end, *who, []))
        return state.open[-1]

    def _new_id(self) -> int:
        self.state.next_id += 1
        return self.state.next_id - 1

    def pause(self, time: int) -> None:
        """Turns that ended long enough before `time` are closed."""
        for draft in [d for d in self.state.open if time - d.end > self._join]:
            self._close(draft)

    def close(self) -> None:
        """End the open turns."""
        for draft in list(self.state.open):
            self._close(draft)

    def _close(self, draft: Draft) -> None:
        self.state.open.remove(draft)
        self.state.closed.append(draft)

    def ageing(self, horizon: int) -> list[Draft]:
        """Turns, whose voice is known, that begin before the horizon for the first time."""
        out = [d for d in self._drafts() if d.start < horizon and not d.settled and d.label != NOBODY]
        for draft in out:
            draft.settled = True
        return out

    def relabel(self, draft: Draft, label: int) -> None:
        """A turn that is not final is another label's."""
        draft.label = label
        self._say(draft, "tentative")

    def speaks(self, label: int, draft: Draft) -> bool:
        """Whether a label has another turn, not final yet, at the time of a draft."""
        return any(
            d is not draft and d.label == label and d.segment.overlap(draft.segment) for d in self._drafts()
        )

    def due(self, horizon: int) -> list[Draft]:
        """Closed turns, whose voice is known, that end at or before the horizon; they leave the state."""
        due = [d for d in self.state.closed if d.end <= horizon and d.label != NOBODY]
        self.state.closed = [d for d in self.state.closed if d.end > horizon or d.label == NOBODY]
        return due

    def finalise(self, draft: Draft) -> None:
        """Say a turn for the last time."""
        self._say(draft, "final")
        pieces = tuple(draft.pieces) if draft.provisional else ()
        turn, parts = self._turn(draft), tuple(draft.parts)
        self._remember(Final(draft.id, draft.rev, draft.label, pieces, turn, parts, mean_vector(draft)))

    def _remember(self, final: Final) -> None:
        finals = self.state.finals
        finals.append(final)
        if len(finals) > RECONSIDERED:
            finals[-RECONSIDERED - 1].parts = ()

    def part(
        self,
        labels: Mapping[int, int],
        births: Mapping[int, int],
        heard: Callable[[Sequence[int]], FloatArray | None],
    ) -> None:
        """Cut turns whose pieces turn out to be several people's: those that go on, and the last final ones.

        The first part keeps the turn's id, the others are segments of their own. What was said when all these
        people had had labels for long stays as it is: it was weighed against each of them, and by more than
        one window.

        Args:
            labels: of the pieces whose own is known
            births: the newest piece when each label was given
            heard: from pieces to what was heard of them, float32 [shape=(dimension,)], a unit vector
        """
        turns: list[Draft | Final] = [*list(self.state.finals)[-RECONSIDERED:], *self._drafts()]
        young = max(births.values(), default=0) + YOUNG
        for turn in turns:
            if turn.label in {NEXT, NOBODY} or not turn.parts or turn.parts[0].piece > young:
                continue
            own = {
                part.piece: label
                if part.piece <= max(births[label], births[turn.label]) + YOUNG
                else turn.label
                for part in turn.parts
                if (label := labels.get(part.piece)) is not None
            }
            if len(set(own.values())) < 2:
                continue
            found = shares(turn.parts, turn.label, own)
            if len(found) < 2 or any(self._speaks_beside(share, turn) for share in found):
                continue
            if isinstance(turn, Final):
                self._cut(turn, found, heard)
            else:
                self._cut_draft(turn, found, heard)

    def _speaks_beside(self, share: Share, turn: Draft | Final) -> bool:
        """Whether a share's label has another turn at its time: nobody speaks twice at once."""
        turns: list[Draft | Final] = [*self.state.finals, *self._drafts()]
        return any(
            one.label == share.label and one is not turn and share.segment.overlap(one.segment)
            for one in turns
        )

    def _cut(
        self, final: Final, found: Sequence[Share], heard: Callable[[Sequence[int]], FloatArray | None]
    ) -> None:
        whole, provisional = final.turn, set(final.pieces)
        self._revise([final], found[0].label, "split")
        for number, share in enumerate(found):
            one = final
            if number:
                one = Final(self._new_id(), 0, share.label, (), whole, ())
                self._remember(one)
            one.rev += 1
            one.pieces = tuple(piece for piece in share.pieces if piece in provisional)
            one.turn = replace(whole, segment=share.segment)
            one.parts, one.vector = share.parts, heard(share.pieces)
            turn = replace(one.turn, label=self._text(one.label), name=self.state.names.get(one.label))
            self.state.events.append(SegmentEvent(one.id, one.rev, turn, "final"))

    def _cut_draft(
        self, draft: Draft, found: Sequence[Share], heard: Callable[[Sequence[int]], FloatArray | None]
    ) -> None:
        """Likewise of a turn that is not final; the last part goes on, where the turn did."""
        state, scored = self.state, max(1, draft.scored)
        score, confidence = draft.score / scored, draft.confidence / scored
        own = state.open if draft in state.open else state.closed
        own.remove(draft)
        for number, share in enumerate(found):
            vector, count = heard(share.pieces), len(share.parts)
            one = replace(
                draft,
                id=self._new_id() if number else draft.id,
                rev=0 if number else draft.rev,
                start=share.segment.start,
                end=share.segment.end,
                label=share.label,
                provisional=False,
                parts=list(share.parts),
                score=score * count,
                confidence=confidence * count,
                scored=count,
                heard=None if vector is None else vector * np.float32(count),
            )
            (own if share is found[-1] else state.closed).append(one)
            self._say(one, "tentative")

    def reconsider(self, judge: Callable[[Sequence[int], FloatArray], Sequence[int]]) -> None:
        """Ask for the labels of the last final turns anew; those that change are revised.

        Args:
            judge: from the labels of turns and their vectors, float32 [shape=(turns, dimension)], to the
                labels that they should have
        """
        last = list(self.state.finals)[-RECONSIDERED:]
        heard = [(final, final.vector) for final in last if final.vector is not None]
        if not heard:
            return
        labels = judge([final.label for final, _ in heard], np.array([vector for _, vector in heard]))
        moved: dict[int, list[Final]] = {}
        for (final, _), label in zip(heard, labels, strict=True):
            if label != final.label:
                moved.setdefault(label, []).append(final)
        for label, finals in moved.items():
            self._revise(finals, label, "corrected")

    def drop_unknown(self, before: int) -> None:
        """Forget turns older than `before` that never got a voice."""
        self.state.closed = [d for d in self.state.closed if d.label != NOBODY or d.end > before]

    def born(self, label: int, pieces: tuple[int, ...]) -> None:
        """Give a new label the earlier turns that were its own; whoever else may be new is shown anew."""
        own = set(pieces)
        self.state.next_label = label + 1
        self._announce(label)
        for draft in self._drafts():
            if draft.provisional and 2 * len(own.intersection(draft.pieces)) >= len(draft.pieces):
                draft.label, draft.provisional = label, False
                self._say(draft, "tentative")
        mine = [
            f for f in self.state.finals if f.pieces and 2 * len(own.intersection(f.pieces)) >= len(f.pieces)
        ]
        self._revise(mine, label, "new")
        for draft in self._drafts():
            if draft.label == NEXT:
                self._say(draft, "tentative")
        self._revise(self._newcomers(), NEXT, "corrected")

    def recast(self, whose: Callable[[Sequence[int], FloatArray | None], int]) -> None:
        """Ask again who they are that may be new.

        Args:
            whose: from a turn's pieces and vector to the label that it should have, or `NEXT` still
        """
        for draft in self._drafts():
            if draft.label == NEXT and (label := whose(draft.pieces, mean_vector(draft))) != NEXT:
                draft.provisional = False
                self.relabel(draft, label)
        for final in self._newcomers():
            if (label := whose(final.pieces, final.vector)) != NEXT:
                self._revise([final], label, "corrected")

    def merge(self, gone: int, kept: int) -> None:
        """All turns of one label are another's."""
        for draft in self._drafts():
            if draft.label == gone:
                self.relabel(draft, kept)
        self._revise([f for f in self.state.finals if f.label == gone], kept, "merged")
        self.state.names.pop(gone, None)

    def name(self, label: int, name: str | None) -> None:
        """A label gets a name, another one, or none."""
        before = self.state.names.get(label)
        if name is None:
            self.state.names.pop(label, None)
        else:
            self.state.names[label] = name
        reason: Reason = "named" if before is None else "renamed"
        self._revise([f for f in self.state.finals if f.label == label], label, reason)

    def _text(self, label: int) -> str:
        """How a label is written; who may be new is announced, if it has not been done."""
        if label == NEXT:
            label = self.state.next_label
            self._announce(label)
        return label_text(label)

    def _announce(self, label: int) -> None:
        """Say once that a label is new."""
        if label >= self.state.announced:
            self.state.announced = label + 1
            self.state.events.append(SpeakerEvent("new", label_text(label)))

    def _newcomers(self) -> list[Final]:
        """The final segments of who may be new."""
        return [f for f in islice(reversed(self.state.finals), RECONSIDERED) if f.label == NEXT]

    def _drafts(self) -> list[Draft]:
        return [*self.state.closed, *self.state.open]

    def _revise(self, finals: list[Final], label: int, reason: Reason) -> None:
        changes = []
        for final in finals:
            final.rev, final.label = final.rev + 1, label
            if reason != "corrected":  # they may be a new voice's all the same
                final.pieces = ()
            changes.append(
                Change(final.id, final.rev, self._text(label), self.state.names.get(label), reason)
            )
        if changes:
            self.state.events.append(ReviseEvent(tuple(changes)))

    def _say(self, draft: Draft, state: Literal["tentative", "final"]) -> None:
        if draft.label == NOBODY:
            return
        draft.rev += 1
        self.state.events.append(SegmentEvent(draft.id, draft.rev, self._turn(draft), state))

    def _turn(self, draft: Draft) -> Turn:
        return Turn(
            draft.segment,
            self._text(draft.label),
            self.state.names.get(draft.label),
            draft.score / max(1, draft.scored),
            draft.confidence / max(1, draft.scored),
            draft.overlap,
        )
