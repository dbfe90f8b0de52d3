"""How alike windows of one voice and of two are in this session, as its segmenter's local speakers tell.

A telephone or a room makes all voices more alike; thresholds that stand between the two follow it.
"""

import math
from dataclasses import dataclass

__all__ = ["Likeness"]

MOST: float = 200.0  # pairs that count; older ones fade
SPREAD: float = (
    0.4  # of cosines: twice what half of them lie within, so that the median is found as fast as a mean
)


@dataclass(slots=True)
class Likeness:
    """Median cosines of pairs of windows, and how many pairs stand behind each.

    Medians, because the segmenter at times takes two people for one.
    """

    same: float
    other: float
    same_pairs: float
    other_pairs: float

    @classmethod
    def usual(cls, same: float, other: float, pairs: float) -> "Likeness":
        """What is usual, worth so many pairs, before any is heard."""
        return cls(same, other, pairs, pairs)

    def hear(self, cosine: float, *, is_same: bool) -> None:
        """Take in a pair of windows."""
        if is_same:
            self.same_pairs = min(MOST, self.same_pairs + 1.0)
            self.same += _step(cosine, self.same, self.same_pairs)
        else:
            self.other_pairs = min(MOST, self.other_pairs + 1.0)
            self.other += _step(cosine, self.other, self.other_pairs)

    def between(self, share: float) -> float:
        """The cosine of a pair that is so far on the way from two voices to one."""
        return self.other + share * max(0.05, self.same - self.other)

    def to_centroid(self, share: float) -> float:
        """The same for a window and the centroid of many windows of one voice."""
        return self.between(share) / math.sqrt(max(0.2, self.same))


def _step(cosine: float, median: float, pairs: float) -> float:
    """How far a running median moves: a fixed way up or down, shorter the more is known."""
    return math.copysign(min(abs(cosine - median), SPREAD / pairs), cosine - median)
