"""What a session has to say, as values; `to_json` gives the form of the wire."""

from dataclasses import dataclass
from typing import Literal

from rtspk.types import Turn, seconds_of

__all__ = ["Change", "EndEvent", "Event", "ReviseEvent", "SegmentEvent", "SpeakerEvent"]

Json = dict[str, object]
Reason = Literal["named", "renamed", "new", "merged", "corrected", "split"]


@dataclass(frozen=True, slots=True)
class SegmentEvent:
    """A turn as it is known now; the same `id` with a higher `rev` replaces it."""

    id: int
    rev: int
    turn: Turn
    state: Literal["tentative", "final"]

    def to_json(self) -> Json:
        """The message of the wire."""
        turn = self.turn
        return {
            "type": "segment",
            "id": self.id,
            "rev": self.rev,
            "start": _seconds(turn.segment.start),
            "end": _seconds(turn.segment.end),
            "speaker": turn.label,
            "name": turn.name,
            "state": self.state,
            "score": round(turn.score, 3),
            "confidence": round(turn.confidence, 3),
            "overlap": turn.overlap,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One earlier segment whose speaker or name is now another."""

    id: int
    rev: int
    label: str
    name: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class ReviseEvent:
    """Earlier segments that change, announced."""

    changes: tuple[Change, ...]

    def to_json(self) -> Json:
        """The message of the wire."""
        changes = [
            {"id": c.id, "rev": c.rev, "speaker": c.label, "name": c.name, "reason": c.reason}
            for c in self.changes
        ]
        return {"type": "revise", "changes": changes}


@dataclass(frozen=True, slots=True)
class SpeakerEvent:
    """A label appears, gets or loses a name, or turns out to be another label's voice.

    It holds for all segments of the label, however old, also those that no revise event names any more.
    """

    event: Literal["new", "named", "merged"]
    label: str
    name: str | None = None
    into: str | None = None

    def to_json(self) -> Json:
        """The message of the wire."""
        message: Json = {"type": "speaker", "event": self.event, "speaker": self.label}
        if self.event == "named":
            message["name"] = self.name
        if self.event == "merged":
            message["into"] = self.into
        return message


@dataclass(frozen=True, slots=True)
class EndEvent:
    """The stream is over; nothing follows."""

    samples: int
    speakers: int

    def to_json(self) -> Json:
        """The message of the wire."""
        return {"type": "end", "audio_ms": round(seconds_of(self.samples) * 1000), "speakers": self.speakers}


Event = SegmentEvent | ReviseEvent | SpeakerEvent | EndEvent


def _seconds(samples: int) -> float:
    return round(seconds_of(samples), 3)
