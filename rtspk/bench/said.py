"""What a session says of one recording: what stood on the screen in time, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtspk.engine.events import Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.rttm import SpeakerTurn
from rtspk.types import Segment, seconds_of

__all__ = ["Said"]


@dataclass(slots=True)
class Said:
    """What a session says of one recording, kept in both answers."""

    latency: int  # samples
    spans: dict[int, Segment] = field(default_factory=dict)  # of all segments, as last said
    first: dict[int, str] = field(default_factory=dict)  # their labels when they were `latency` old
    revised: dict[int, str] = field(default_factory=dict)  # and as they stand now
    final: set[int] = field(default_factory=set)
    delays: dict[int, float] = field(default_factory=dict)  # seconds, of all segments

    def hear(self, events: Sequence[Event], now: int) -> None:
        """Take the events that came at stream time `now`, in samples."""
        for event in events:
            match event:
                case SegmentEvent(number, _, turn, state):
                    self.delays.setdefault(number, seconds_of(now - turn.segment.start))
                    self.spans[number], self.revised[number] = turn.segment, turn.label
                    if state == "final":
                        self.final.add(number)
                        self.first.setdefault(number, turn.label)
                case ReviseEvent(changes):
                    self.revised.update({c.id: c.label for c in changes if c.id in self.revised})
                case SpeakerEvent("merged", gone, _, str(into)):
                    self.revised.update(
                        {number: into for number, label in self.revised.items() if label == gone}
                    )
        for number, label in self.revised.items():
            if number not in self.first and self.spans[number].start + self.latency <= now:
                self.first[number] = label

    def turns(self, name: str, labels: dict[int, str]) -> list[SpeakerTurn]:
        """One of the answers as RTTM has it."""
        return [
            SpeakerTurn(name, seconds_of(span.start), seconds_of(span.end), labels[number])
            for number, span in self.spans.items()
            if number in self.final
        ]

    def said(self) -> int:
        """Samples in final segments."""
        return sum(self.spans[number].duration for number in self.final)

    def flipped(self) -> int:
        """Samples whose label is not what was first said."""
        return sum(
            self.spans[number].duration for number in self.final if self.first[number] != self.revised[number]
        )
