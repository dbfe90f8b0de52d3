"""Do stated probabilities come true? Bins of equal width, and the expected calibration error over them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rtspk.errors import ConfigError, FormatError

__all__ = ["ReliabilityBins", "expected_calibration_error", "reliability_bins"]


@dataclass(frozen=True, slots=True)
class ReliabilityBins:
    """What was stated and what came true in each bin of probability; `+` pools sets of equal bins."""

    counts: tuple[int, ...]
    stated: tuple[float, ...]  # sum of the probabilities in each bin
    true: tuple[int, ...]  # how many of them came true

    def __add__(self, other: "ReliabilityBins") -> "ReliabilityBins":
        if len(self.counts) != len(other.counts):
            raise ConfigError(f"wanted {len(self.counts)} bins to add, got {len(other.counts)}")
        return ReliabilityBins(
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            tuple(a + b for a, b in zip(self.stated, other.stated, strict=True)),
            tuple(a + b for a, b in zip(self.true, other.true, strict=True)),
        )

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of stated and true share, bins weighted by count."""
        total = sum(self.counts)
        apart = sum(abs(stated - true) for stated, true in zip(self.stated, self.true, strict=True))
        return apart / total if total else 0.0


def reliability_bins(probabilities: ArrayLike, outcomes: ArrayLike, *, bins: int = 15) -> ReliabilityBins:
    """Sort probabilities into bins of equal width from 0 to 1; 1 itself lies in the last.

    probabilities : [shape=(n,)], from 0 to 1
    outcomes : [shape=(n,)], true where what was stated came true
    """
    if bins < 1:
        raise ConfigError(f"wanted at least one bin, got {bins}")
    stated = np.asarray(probabilities, dtype=np.float64)
    true = np.asarray(outcomes, dtype=np.bool_)
    if stated.ndim != 1 or stated.shape != true.shape:
        raise FormatError(f"wanted an outcome for each probability, got shapes {stated.shape}, {true.shape}")
    if not ((stated >= 0) & (stated <= 1)).all():
        raise FormatError("wanted probabilities from 0 to 1, got one outside or NaN")
    place = np.minimum((stated * bins).astype(np.int64), bins - 1)
    return ReliabilityBins(
        tuple(np.bincount(place, minlength=bins).tolist()),
        tuple(np.bincount(place, weights=stated, minlength=bins).tolist()),
        tuple(np.bincount(place[true], minlength=bins).tolist()),
    )


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, *, bins: int = 15) -> float:
    """Mean distance between stated probability and share that came true; arrays as in `reliability_bins`."""
    return reliability_bins(probabilities, outcomes, bins=bins).error
