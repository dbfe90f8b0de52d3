"""The turns of a stream as they are known now: events in, every later correction applied.

A segment with a higher `rev` replaces the earlier one, `revise` changes named segments, and `speaker` events
hold for all segments of their label, however old.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rtspk.engine.events import Change, EndEvent, Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.types import Segment, Turn, samples_of

__all__ = ["Entry", "Speaker", "Transcript", "joined"]

LATE: int = samples_of(120.0)  # behind its end; a segment that is first said later is put where it belongs


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment as it is known now."""

    id: int
    rev: int
    turn: Turn
    state: Literal["tentative", "final"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who spoke, how long and how surely."""

    label: str
    name: str | None
    spoken: int  # samples
    first: int  # sample at which the voice is first heard
    confidence: float  # mean over the time spoken

    @property
    def shown(self) -> str:
        """The enrolled name where there is one, else the label."""
        return self.label if self.name is None else self.name


@dataclass(slots=True)
class _Total:
    """What a label's segments add up to."""

    spoken: int = 0
    sure: float = 0.0  # confidence times samples
    first: int = 0
    name: str | None = None


class Transcript:
    """Takes events in their order; `samples` is the length of the stream once it has ended."""

    def __init__(self) -> None:
        self.samples: int | None = None
        self._entries: dict[int, Entry] = {}  # in the order in which they were first said, or nearly so
        self._heard = 0  # sample up to which there are entries
        self._names: dict[str, str | None] = {}
        self._totals: dict[str, _Total] | None = {}  # None: to be added up anew

    def apply(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case SegmentEvent():
                self._replace(Entry(event.id, event.rev, event.turn, event.state))
            case ReviseEvent():
                for change in event.changes:
                    self._change(change)
            case SpeakerEvent():
                self._hold_for_all(event)
            case EndEvent():
                self.samples = event.samples

    def apply_all(self, events: Iterable[Event]) -> None:
        """Take several events."""
        for event in events:
            self.apply(event)

    def entries(self) -> list[Entry]:
        """All segments, by start."""
        return sorted(self._entries.values(), key=lambda e: (*_place(e.turn), e.id))

    def turns(self, *, final: bool = False) -> list[Turn]:
        """All turns, or the final ones alone, by start."""
        return [entry.turn for entry in self.entries() if entry.state == "final" or not final]

    def turns_since(self, position: int) -> list[Turn]:
        """The turns that end behind a position, by start; costs the same however long the stream."""
        found: list[Turn] = []
        for entry in reversed(self._entries.values()):
            end = entry.turn.segment.end
            if end < position - LATE:
                break
            if end > position:
                found.append(entry.turn)
        return sorted(found, key=_place)

    def speakers(self) -> list[Speaker]:
        """Everyone who is heard, in the order of their first turns."""
        if self._totals is None:
            self._totals = {}
            for entry in self._entries.values():
                self._add(entry.turn)
        speakers = [
            Speaker(label, total.name, total.spoken, total.first, total.sure / max(1, total.spoken))
            for label, total in self._totals.items()
        ]
        return sorted(speakers, key=lambda speaker: (speaker.first, speaker.label))

    def _replace(self, entry: Entry) -> None:
        known = self._entries.get(entry.id)
        if known is not None and entry.rev <= known.rev:
            return
        self._entries[entry.id] = entry
        end = entry.turn.segment.end
        self._heard = max(self._heard, end)
        if known is None and end < self._heard - LATE:
            self._entries = {one.id: one for one in self.entries()}
        old, new = None if known is None else known.turn, entry.turn
        if old is not None and (old.label, old.segment.start) != (new.label, new.segment.start):
            self._totals = None
        if self._totals is None:
            return
        if old is not None:
            total = self._totals[old.label]
            total.spoken -= old.segment.duration
            total.sure -= old.confidence * old.segment.duration
        self._add(new)

    def _add(self, turn: Turn) -> None:
        if self._totals is None:
            return
        total = self._totals.setdefault(turn.label, _Total(first=turn.segment.start))
        total.spoken += turn.segment.duration
        total.sure += turn.confidence * turn.segment.duration
        total.first = min(total.first, turn.segment.start)
        total.name = turn.name

    def _change(self, change: Change) -> None:
        known = self._entries.get(change.id)
        if known is not None and change.rev > known.rev:
            turn = replace(known.turn, label=change.label, name=change.name)
            self._entries[change.id] = replace(known, rev=change.rev, turn=turn)
            self._totals = None

    def _hold_for_all(self, event: SpeakerEvent) -> None:
        if event.event == "named":
            self._names[event.label] = event.name
            self._relabel(event.label, event.label, event.name)
        elif event.event == "merged" and event.into is not None:
            self._relabel(event.label, event.into, self._names.get(event.into))
            self._names.pop(event.label, None)

    def _relabel(self, label: str, into: str, name: str | None) -> None:
        for entry in [e for e in self._entries.values() if e.turn.label == label]:
            self._entries[entry.id] = replace(entry, turn=replace(entry.turn, label=into, name=name))
        self._totals = None


def joined(turns: Sequence[Turn]) -> list[Turn]:
    """Turns by start, those of one speaker that touch or overlap made one."""
    out: list[Turn] = []
    last: dict[tuple[str, str | None], int] = {}  # speaker -> place of their last turn
    for turn in sorted(turns, key=_place):
        key = (turn.label, None) if turn.name is None else ("", turn.name)
        place = last.get(key)
        if place is not None and turn.segment.start <= out[place].segment.end:
            out[place] = _both(out[place], turn)
        else:
            last[key] = len(out)
            out.append(turn)
    return out


def _both(one: Turn, other: Turn) -> Turn:
    segment = Segment(one.segment.start, max(one.segment.end, other.segment.end))
    a, b = one.segment.duration, other.segment.duration
    share = b / (a + b) if a + b else 0.5
    return replace(
        one,
        segment=segment,
        score=one.score + (other.score - one.score) * share,
        confidence=one.confidence + (other.confidence - one.confidence) * share,
        overlap=one.overlap or other.overlap,
    )


def _place(turn: Turn) -> tuple[int, int]:
    return turn.segment.start, turn.segment.end
