"""What a session says of one recording: what stood on the screen in time, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtspk.engine.events import Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.rttm import SpeakerTurn
from rtspk.types import Segment, seconds_of

__all__ = ["NOWHERE", "Said"]

NOWHERE = Segment(0, 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a segment, and the label that it had when each moment of it was as old as the latency."""

    id: int
    label: str
    span: Segment


@dataclass(slots=True)
class Said:
    """What a session says of one recording, kept in both answers."""

    latency: int  # samples
    spans: dict[int, Segment] = field(default_factory=dict)  # of all segments, as last said
    revised: dict[int, str] = field(default_factory=dict)  # their labels as they stand now
    first: list[Piece] = field(default_factory=list)
    final: set[int] = field(default_factory=set)
    delays: dict[int, float] = field(default_factory=dict)  # seconds, of all segments but parts of cut ones
    _settled: int = 0  # samples of the stream that are older than the latency
    _shown: set[int] = field(default_factory=set)  # segments that reach beyond it
    _cut: Segment = NOWHERE  # what the segment held that was cut last: its parts are no new words

    def hear(self, events: Sequence[Event], now: int) -> None:
        """Take the events that came at stream time `now`, in samples."""
        self._settle(now - self.latency)  # what became too old since the last call stood there until now
        for event in events:
            match event:
                case SegmentEvent(number, _, turn, state):
                    if number in self.spans or not self._cut.overlap(turn.segment):
                        self.delays.setdefault(number, seconds_of(now - turn.segment.start))
                    self.spans[number], self.revised[number] = turn.segment, turn.label
                    self._shown.add(number)
                    if state == "final":
                        self.final.add(number)
                case ReviseEvent(changes):
                    for change in changes:
                        if change.reason == "split":
                            self._cut = self.spans[change.id]
                    self.revised.update({c.id: c.label for c in changes if c.id in self.revised})
                case SpeakerEvent("merged", gone, _, str(into)):
                    self.revised.update(
                        {number: into for number, label in self.revised.items() if label == gone}
                    )

    def end(self) -> None:
        """The stream is over: what is younger than the latency is as it stands."""
        self._settle(max((span.end for span in self.spans.values()), default=0))

    def _settle(self, horizon: int) -> None:
        """Keep what is on the screen of the time up to the horizon."""
        if horizon <= self._settled:
            return
        for number in sorted(self._shown):
            span, label = self.spans[number], self.revised[number]
            start, end = max(span.start, self._settled), min(span.end, horizon)
            if start < end:
                self.first.append(Piece(number, label, Segment(start, end)))
        self._shown = {number for number in self._shown if self.spans[number].end > horizon}
        self._settled = horizon

    def first_turns(self, name: str) -> list[SpeakerTurn]:
        """What was said in time, as RTTM has it."""
        return [
            SpeakerTurn(name, seconds_of(piece.span.start), seconds_of(piece.span.end), piece.label)
            for piece in self.first
        ]

    def revised_turns(self, name: str) -> list[SpeakerTurn]:
        """The final segments as they stand now."""
        return [
            SpeakerTurn(name, seconds_of(span.start), seconds_of(span.end), self.revised[number])
            for number, span in self.spans.items()
            if number in self.final
        ]

    def said(self) -> int:
        """Samples that had a label in time."""
        return sum(piece.span.duration for piece in self.first)

    def flipped(self) -> int:
        """Samples whose label is not what was first said."""
        return self.said() - sum(self._kept(piece) for piece in self.first)

    def _kept(self, piece: Piece) -> int:
        """Samples of a piece that have its label still."""
        own = [piece.id]
        if self.spans[piece.id].overlap(piece.span) < piece.span.duration:  # it was cut since
            own += [number for number in self.spans if number > piece.id]
        return sum(
            piece.span.overlap(self.spans[number]) for number in own if self.revised[number] == piece.label
        )
