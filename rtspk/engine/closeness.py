"""How close windows of one voice are in a stream, learnt from it before anybody is known.

A clean line makes all cosines larger, those of one voice and of two alike; a far microphone makes them
smaller. So what parts two voices is not one number for all streams. The segmenter's local speakers tell
the scale: windows of one of them are mostly one person's, and those that hear hardly any common sound say
how much of a voice is left. What was tried: bench/LOG.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FARTHEST", "NEAREST", "SHARED", "USUAL", "Closeness"]

USUAL: float = 0.3  # the mean cosine of such windows in what the tracker's gates were searched on
NEAREST: int = 3  # hops between two windows; nearer ones hear much of the same sound
FARTHEST: int = 8  # hops over which the segmenter is trusted to know a local speaker again
SHARED: float = 0.3  # seconds of speech that make a link
BEFORE: float = 30.0  # pairs that what is usual counts for
MOST: float = 600.0  # pairs; earlier ones fade


@dataclass(slots=True)
class Closeness:
    """A stream's own; two numbers."""

    pairs: float = 0.0
    total: float = 0.0  # of their cosines

    def hear(self, cosines: Iterable[float]) -> None:
        """Take more pairs."""
        for cosine in cosines:
            self.pairs += 1.0
            self.total += cosine
        if self.pairs > MOST:
            self.total *= MOST / self.pairs
            self.pairs = MOST

    @property
    def excess(self) -> float:
        """How much closer than usual windows of one voice are; negative where they are less close."""
        return (self.total - USUAL * self.pairs) / (BEFORE + self.pairs)
