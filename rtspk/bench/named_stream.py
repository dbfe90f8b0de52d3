"""What a session says of names, against who really spoke: how soon, how rightly, and of whom it should not.

Names are compared as RTTM has them, with underscores for blanks: no mapping makes a wrong name right.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rtspk.bench.enrolled import word_of
from rtspk.bench.said import NOWHERE
from rtspk.engine.events import Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.metrics.pooled import Pooled
from rtspk.rttm import SpeakerTurn
from rtspk.types import Segment, samples_of, seconds_of

__all__ = ["SOON", "NamedStream", "StreamResult", "percentiles"]

Row = NDArray[np.bool_]
Rows = dict[str, Row]

GRID: int = samples_of(0.01)  # what names are compared on
SOON: float = 3.0  # seconds of speech within which a name should come


@dataclass(frozen=True, slots=True)
class StreamResult(Pooled):
    """One recording, or several pooled by `+`; times in seconds.

    A delay is the speech of an enrolled person up to the moment at which a segment of theirs first had
    their name; infinity where none ever had. `named` strangers are those of whom a segment ever had a name,
    tentative ones included, even where it was taken back.
    """

    enrolled_speech: float = 0.0
    stranger_speech: float = 0.0  # while nobody else speaks
    missed: float = 0.0  # of enrolled speech, without its name when it became final
    wrong: float = 0.0  # time with a name of somebody who does not speak then
    stranger_named: float = 0.0  # of the strangers' speech, with a name when it became final
    revised_missed: float = 0.0  # the same three as later events left them
    revised_wrong: float = 0.0
    revised_stranger_named: float = 0.0
    delays: tuple[float, ...] = ()  # net speech of each enrolled person up to their name
    waits: tuple[float, ...] = ()  # time of the stream from their first word up to it
    strangers: int = 0
    strangers_named: int = 0

    @property
    def detection_error(self) -> float:
        """Time missed and time wrongly named, per time of enrolled speech, as first said."""
        return (self.missed + self.wrong) / self.enrolled_speech if self.enrolled_speech else 0.0

    @property
    def revised_detection_error(self) -> float:
        """Likewise, as later events left it."""
        if not self.enrolled_speech:
            return 0.0
        return (self.revised_missed + self.revised_wrong) / self.enrolled_speech

    def named_within(self, seconds: float) -> float:
        """Share of the enrolled people whose name came within so much of their speech."""
        return sum(delay <= seconds for delay in self.delays) / len(self.delays) if self.delays else 0.0

    @property
    def named(self) -> int:
        """How many of the enrolled people ever had their name; a person counts once in each recording."""
        return sum(math.isfinite(delay) for delay in self.delays)

    def time_to_name(self) -> dict[str, float | None]:
        """How soon the names came, for JSON; a time that more than half (or 5 %) never reach is None."""
        (p50, p95), (wait_p50, wait_p95) = percentiles(self.delays), percentiles(self.waits)
        return {
            "enrolled": len(self.delays),
            "named": self.named,
            "p50": p50,
            "p95": p95,
            "within_3s": round(self.named_within(SOON), 4),
            "ever": round(self.named / len(self.delays), 4) if self.delays else 0.0,
            "wait_p50": wait_p50,
            "wait_p95": wait_p95,
        }


@dataclass(slots=True)
class NamedStream:
    """Hears a session's events, and knows the truth of its recording.

    Args:
        turns: who spoke when, strangers included
        enrolled: those of them whose voices the session could know
    """

    turns: Sequence[SpeakerTurn]
    enrolled: Collection[str]
    _starts: NDArray[np.int64] = field(init=False)  # samples, of the turns
    _ends: NDArray[np.int64] = field(init=False)
    _spans: dict[int, Segment] = field(default_factory=dict)
    _labels: dict[int, str] = field(default_factory=dict)
    _names: dict[int, str | None] = field(default_factory=dict)  # as they stand now
    _first: dict[int, tuple[Segment, str | None]] = field(default_factory=dict)  # as they were when final
    _final: set[int] = field(default_factory=set)  # others do not count
    _cut: Segment = NOWHERE  # what the segment held that was cut last: its parts were said with it
    _known: dict[str, str | None] = field(default_factory=dict)  # names of labels
    _reached: dict[str, int] = field(default_factory=dict)  # stream time of each correct name
    _strangers: set[str] = field(default_factory=set)  # of whom a segment ever had a name

    def __post_init__(self) -> None:
        self.turns = [replace(turn, speaker=word_of(turn.speaker)) for turn in self.turns]
        self.enrolled = {word_of(name) for name in self.enrolled}
        self._starts = np.array([samples_of(turn.start) for turn in self.turns], np.int64)
        self._ends = np.array([samples_of(turn.end) for turn in self.turns], np.int64)

    def hear(self, events: Sequence[Event], now: int) -> None:
        """Take the events that came at stream time `now`, in samples."""
        touched: set[int] = set()
        for event in events:
            match event:
                case SegmentEvent(number, _, turn, state):
                    is_part = number not in self._spans and self._cut.overlap(turn.segment) > 0
                    if state == "final" and not is_part:
                        self._first.setdefault(number, (turn.segment, turn.name))
                    if state == "final":
                        self._final.add(number)
                    self._spans[number], self._labels[number] = turn.segment, turn.label
                    self._names[number] = self._known[turn.label] = turn.name
                    touched.add(number)
                case ReviseEvent(changes):
                    for change in changes:
                        if change.id in self._spans:
                            self._labels[change.id], self._names[change.id] = change.label, change.name
                            touched.add(change.id)
                        if change.reason == "split":
                            self._cut = self._spans[change.id]
                case SpeakerEvent("named", label, name, _):
                    self._known[label] = name
                    own = self._of(label)
                    self._names.update(dict.fromkeys(own, name))
                    touched.update(own)
                case SpeakerEvent("merged", gone, _, str(into)):
                    own = self._of(gone)
                    self._labels.update(dict.fromkeys(own, into))
                    self._names.update(dict.fromkeys(own, self._known.get(into)))
                    touched.update(own)
                case _:
                    pass
        for number in touched:
            self._look(number, now)

    def result(self, length: int) -> StreamResult:
        """What came of a recording of so many samples."""
        truth = self._truth(length)
        known = {name: row for name, row in truth.items() if name in self.enrolled}
        others = [row for name, row in truth.items() if name not in self.enrolled]
        nobody = np.zeros(-(-length // GRID), np.bool_)
        alone = np.logical_or.reduce([nobody, *others]) & ~np.logical_or.reduce([nobody, *known.values()])
        now = [(self._spans[number], self._names[number]) for number in self._final]
        first, revised = (
            self._errors(_rows(said, len(nobody)), truth, known, alone)
            for said in (list(self._first.values()), now)
        )
        return StreamResult(
            seconds_of(sum(int(row.sum()) for row in known.values()) * GRID),
            seconds_of(int(alone.sum()) * GRID),
            missed=first[0],
            wrong=first[1],
            stranger_named=first[2],
            revised_missed=revised[0],
            revised_wrong=revised[1],
            revised_stranger_named=revised[2],
            delays=tuple(self._delay(name) for name in sorted(known)),
            waits=tuple(self._wait(name) for name in sorted(known)),
            strangers=len(others),
            strangers_named=len(self._strangers),
        )

    def _of(self, label: str) -> list[int]:
        """The segments of a label."""
        return [number for number, own in self._labels.items() if own == label]

    def _look(self, number: int, now: int) -> None:
        """Whose segment this mostly is, and whether its name is right or one too many."""
        name, span = self._names[number], self._spans[number]
        if name is None or not span.duration:
            return
        shared = np.minimum(self._ends, span.end) - np.maximum(self._starts, span.start)
        shares: dict[str, int] = {}
        for turn in np.flatnonzero(shared > 0).tolist():
            speaker = self.turns[turn].speaker
            shares[speaker] = shares.get(speaker, 0) + int(shared[turn])
        if not shares:
            return
        speaker = max(shares, key=lambda one: shares[one])
        if 2 * shares[speaker] < span.duration:
            return
        if speaker not in self.enrolled:
            self._strangers.add(speaker)
        elif speaker == word_of(name):
            self._reached.setdefault(speaker, now)

    def _delay(self, name: str) -> float:
        """Seconds that a person had spoken when their name came."""
        now = self._reached.get(name)
        if now is None:
            return float("inf")
        until = seconds_of(now)
        return sum(max(0.0, min(t.end, until) - t.start) for t in self.turns if t.speaker == name)

    def _wait(self, name: str) -> float:
        now = self._reached.get(name)
        if now is None:
            return float("inf")
        return seconds_of(now) - min(turn.start for turn in self.turns if turn.speaker == name)

    @staticmethod
    def _errors(said: Rows, truth: Rows, known: Rows, alone: Row) -> tuple[float, float, float]:
        """Seconds missed, seconds with a wrong name, and seconds of strangers alone with any name."""
        nobody = np.zeros_like(alone)
        missed = sum(int((row & ~said.get(name, nobody)).sum()) for name, row in known.items())
        wrong = sum(int((row & ~truth.get(name, nobody)).sum()) for name, row in said.items())
        named = int((alone & np.logical_or.reduce([nobody, *said.values()])).sum())
        return seconds_of(missed * GRID), seconds_of(wrong * GRID), seconds_of(named * GRID)

    def _truth(self, length: int) -> Rows:
        """When each person speaks who speaks before the end: bool [shape=(grid,)]."""
        rows: Rows = {}
        for turn in self.turns:
            row = rows.setdefault(turn.speaker, np.zeros(-(-length // GRID), np.bool_))
            _mark(row, Segment(samples_of(turn.start), samples_of(turn.end)))
        return {name: row for name, row in rows.items() if row.any()}


def percentiles(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The value that half, and that 95 %, stay at or below; None where that is never."""
    if not values:
        return None, None
    order = sorted(values)
    found = [order[math.ceil(share * len(order)) - 1] for share in (0.5, 0.95)]
    half, most = (round(value, 3) if math.isfinite(value) else None for value in found)
    return half, most


def _rows(said: Sequence[tuple[Segment, str | None]], grid: int) -> Rows:
    """When each name stands: bool [shape=(grid,)]."""
    rows: Rows = {}
    for span, name in said:
        if name is not None:
            _mark(rows.setdefault(word_of(name), np.zeros(grid, np.bool_)), span)
    return rows


def _mark(row: Row, span: Segment) -> None:
    row[round(span.start / GRID) : round(span.end / GRID)] = True
