"""A turn by whose its parts are: what was taken for one person may turn out to be two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rtspk.types import Segment, samples_of

__all__ = ["Part", "Share", "shares"]

SHORTEST: int = samples_of(0.4)  # of a share: one window more or less is no other person


@dataclass(slots=True)
class Part:
    """What a turn has of one piece."""

    piece: int
    start: int  # samples
    end: int


@dataclass(frozen=True, slots=True)
class Share:
    """A stretch of a turn that is one label's."""

    label: int
    parts: tuple[Part, ...]

    @property
    def pieces(self) -> list[int]:
        """Theirs."""
        return [part.piece for part in self.parts]

    @property
    def segment(self) -> Segment:
        """From its first part to its last."""
        return Segment(self.parts[0].start, max(part.end for part in self.parts))


def shares(parts: Sequence[Part], label: int, labels: Mapping[int, int]) -> list[Share]:
    """Part a turn.

    Args:
        parts: of the turn, in order, at least one
        label: that it has as a whole
        labels: of those pieces whose own is known; others go with what was said before them
    """
    own = [labels.get(part.piece) for part in parts]
    last = next((one for one in own if one is not None), label)
    filled = []
    for one in own:
        last = last if one is None else one
        filled.append(last)
    found: list[Share] = []
    for owner, run in groupby(zip(filled, parts, strict=True), key=lambda pair: pair[0]):
        share = Share(owner, tuple(part for _, part in run))
        if found and (found[-1].label == owner or share.segment.duration < SHORTEST):
            found[-1] = Share(found[-1].label, found[-1].parts + share.parts)
        else:
            found.append(share)
    if len(found) > 1 and found[0].segment.duration < SHORTEST:
        found[:2] = [Share(found[1].label, found[0].parts + found[1].parts)]
    return found
