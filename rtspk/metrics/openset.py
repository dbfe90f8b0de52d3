"""Open-set identification: are enrolled voices found under their own name, and strangers left unnamed?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rtspk.errors import FormatError
from rtspk.metrics.detection import threshold_at_false_alarm
from rtspk.metrics.pooled import Pooled

__all__ = ["OpenSetCounts", "open_set_at_false_alarm", "open_set_counts"]


@dataclass(frozen=True, slots=True)
class OpenSetCounts(Pooled):
    """What happened to the probes at one threshold; `+` pools sets of probes."""

    enrolled: int = 0  # probes of voices that are in the gallery
    detected: int = 0  # of these, best score at or above the threshold, whatever the name
    identified: int = 0  # of these, under the right name
    strangers: int = 0  # probes of voices that are not in the gallery
    strangers_named: int = 0  # of these, best score at or above the threshold

    @property
    def detection_rate(self) -> float:
        """Share of enrolled probes that were given any name."""
        return self.detected / self.enrolled if self.enrolled else 0.0

    @property
    def identification_rate(self) -> float:
        """Share of enrolled probes that were given their own name: the detection and identification rate."""
        return self.identified / self.enrolled if self.enrolled else 0.0

    @property
    def false_alarm_rate(self) -> float:
        """Share of strangers that were given a name."""
        return self.strangers_named / self.strangers if self.strangers else 0.0


def open_set_counts(
    scores: ArrayLike, enrolled: ArrayLike, correct: ArrayLike, threshold: float
) -> OpenSetCounts:
    """Count what happens at one threshold.

    scores : [shape=(probes,)], the best score of each probe over the gallery
    enrolled : [shape=(probes,)], true where the probe's voice is in the gallery
    correct : [shape=(probes,)], true where the best name is the probe's own; false for strangers
    """
    score = np.asarray(scores, dtype=np.float64)
    known = np.asarray(enrolled, dtype=np.bool_)
    right = np.asarray(correct, dtype=np.bool_)
    if score.ndim != 1 or not score.shape == known.shape == right.shape:
        raise FormatError(f"wanted one value a probe, got shapes {score.shape}, {known.shape}, {right.shape}")
    if np.isnan(score).any():
        raise FormatError("wanted scores, got NaN")
    if (right & ~known).any():
        raise FormatError("wanted strangers without a correct name, got a stranger that is correct")
    named = score >= threshold
    return OpenSetCounts(
        enrolled=int(known.sum()),
        detected=int((known & named).sum()),
        identified=int((right & named).sum()),
        strangers=int((~known).sum()),
        strangers_named=int((~known & named).sum()),
    )


def open_set_at_false_alarm(
    scores: ArrayLike, enrolled: ArrayLike, correct: ArrayLike, rate: float
) -> tuple[float, OpenSetCounts]:
    """Find the lowest threshold at which at most this share of strangers is named, and count there.

    The arrays are those of `open_set_counts`. The threshold is chosen on the same strangers, so the result is
    the curve's point, not a promise for other strangers.
    """
    known = np.asarray(enrolled, dtype=np.bool_)
    threshold = threshold_at_false_alarm(np.asarray(scores, dtype=np.float64)[~known], rate)
    return threshold, open_set_counts(scores, enrolled, correct, threshold)
