"""How close windows of one voice are in a stream, and of two, learnt from it before anybody is known.

A clean line makes all cosines larger, those of one voice and of two alike; a far microphone makes them
smaller. So what parts two voices is not one number for all streams. The segmenter's local speakers tell
the scale: windows of one of them are mostly one person's, windows of two mostly two people's, and those that
hear hardly any common sound say how much of a voice is left. What was tried: bench/LOG.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["FARTHEST", "NEAREST", "SHARED", "USUAL", "Closeness", "Pairs"]

USUAL: float = 0.3  # the mean cosine of windows of one voice in what the tracker's gates were searched on
NEAREST: int = 3  # hops between two windows; nearer ones hear much of the same sound
FARTHEST: int = 8  # hops over which the segmenter is trusted to know a local speaker again
SHARED: float = 0.3  # seconds of speech that make a link
BEFORE: float = 30.0  # pairs of one voice that what is usual counts for,
BEFORE_TWO: float = 100.0  # and of two: a hop tells several, which say little more than one
MOST: float = 600.0  # pairs; earlier ones fade

# What windows of any two people have in common is the line's. It is left alone where it may as well be that
# all are one person's, parted by the segmenter:
UNCOMMON: float = 0.08  # the mean cosine of windows of two people up to which there is nothing of the kind
VOICE: float = 0.33  # of the mean cosine of one voice's windows, what is its own all the same
DIFFERENT, SAME = 0.55, 0.85  # what two local speakers' mean cosine is of one's: surely two people, or one
MIXED, PURE = 1.1, 1.0  # and one local speaker's of all windows': surely several people, or one


@dataclass(slots=True)
class Pairs:
    """A mean of cosines, of which earlier ones fade; two numbers."""

    count: float = 0.0
    total: float = 0.0

    def hear(self, cosines: Iterable[float]) -> None:
        """Take more pairs."""
        for cosine in cosines:
            self.count += 1.0
            self.total += cosine
        if self.count > MOST:
            self.total *= MOST / self.count
            self.count = MOST

    @property
    def mean(self) -> float:
        """Of all of them; there has to be one."""
        return self.total / self.count

    def mean_with(self, usual: float, pairs: float) -> float:
        """Of all of them and of some pairs that are as usual, which count for less and less."""
        return (self.total + pairs * usual) / (self.count + pairs)


@dataclass(slots=True)
class Closeness:
    """A stream's own."""

    own: Pairs = field(default_factory=Pairs)  # of windows of one local speaker
    others: Pairs = field(default_factory=Pairs)  # and of two

    def common(self, anyone: float, share: float) -> float:
        """What of a cosine any two windows have, whoever speaks; nought on most lines.

        Args:
            anyone: the mean cosine of all windows that are remembered
            share: of what is above `UNCOMMON`
        """
        if not self.own.count or not self.others.count:
            return 0.0
        own = max(self.own.mean, USUAL / 10)
        several = _between(self.others.mean / own, SAME, DIFFERENT)
        several *= _between(own / max(anyone, USUAL / 10), PURE, MIXED)
        most = self.own.mean_with(USUAL, BEFORE) - VOICE
        found = share * (self.others.mean_with(0.0, BEFORE_TWO) - UNCOMMON)
        return several * max(0.0, min(found, most))

    def excess(self, common: float) -> float:
        """How much closer than usual windows of one voice are; negative where they are less close.

        `common` is what all cosines have and does not count.
        """
        if not self.own.count:
            return 0.0
        own = (self.own.mean - common) / (1.0 - common)
        return (own - USUAL) * self.own.count / (BEFORE + self.own.count)


def _between(value: float, nought: float, one: float) -> float:
    """0 at `nought`, 1 at `one`, and straight between them."""
    return min(1.0, max(0.0, (value - nought) / (one - nought)))
