"""Same voice or not, against the truth: error rates over all thresholds, EER and minimum detection cost.

A trial is accepted when its score is at or above the threshold. Trials of equal score are accepted or refused
together, so that the order in which they come never matters.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtspk.errors import ConfigError, FormatError

__all__ = [
    "DetectionCurve",
    "detection_curve",
    "equal_error_rate",
    "likelihood_ratio_cost",
    "minimum_cost",
    "threshold_at_false_alarm",
]


@dataclass(frozen=True, slots=True)
class DetectionCurve:
    """Every operating point, from accepting all trials to refusing all.

    thresholds : float64 [shape=(points,)], rising; one for each distinct score, then infinity
    miss : float64 [shape=(points,)], share of target trials refused, rising from 0 to 1
    false_alarm : float64 [shape=(points,)], share of other trials accepted, falling from 1 to 0
    """

    thresholds: NDArray[np.float64]
    miss: NDArray[np.float64]
    false_alarm: NDArray[np.float64]


def detection_curve(scores: ArrayLike, targets: ArrayLike) -> DetectionCurve:
    """Count both errors at every threshold that changes anything.

    scores : [shape=(trials,)], finite, higher is more alike
    targets : [shape=(trials,)], true where both sides are the same speaker
    """
    score = np.asarray(scores, dtype=np.float64)
    target = np.asarray(targets, dtype=np.bool_)
    if score.ndim != 1 or score.shape != target.shape:
        raise FormatError(
            f"wanted a score and a label for each trial, got shapes {score.shape}, {target.shape}"
        )
    if not np.isfinite(score).all():
        raise FormatError("wanted finite scores, got NaN or infinity")
    if target.all() or not target.any():
        raise FormatError(
            f"wanted target and other trials, got {target.sum()} of {len(target)} that are target"
        )
    wanted = np.sort(score[target])
    other = np.sort(score[~target])
    distinct = np.unique(score)
    miss = np.append(np.searchsorted(wanted, distinct), len(wanted)) / len(wanted)
    false_alarm = 1.0 - np.append(np.searchsorted(other, distinct), len(other)) / len(other)
    return DetectionCurve(np.append(distinct, np.inf), miss, false_alarm)


def equal_error_rate(scores: ArrayLike, targets: ArrayLike) -> float:
    """Find the rate at which misses and false alarms are equally frequent, as a fraction.

    Between the two neighbouring operating points where the difference changes its sign the curve is taken
    as a straight line. The convex hull of the curve is not used (it would come out lower).
    """
    curve = detection_curve(scores, targets)
    difference = curve.miss - curve.false_alarm  # rises from -1 to 1
    after = int(np.argmax(difference >= 0))
    before = after - 1
    share = -difference[before] / (difference[after] - difference[before])
    return float(curve.miss[before] + share * (curve.miss[after] - curve.miss[before]))


def minimum_cost(scores: ArrayLike, targets: ArrayLike, p_target: float) -> float:
    """Find the least detection cost over all thresholds (minDCF), both errors costing 1.

    It is divided by the cost of the better blind answer (refuse all or accept all), so it lies from 0 to 1.
    """
    if not 0 < p_target < 1:
        raise ConfigError(f"wanted a share of targets between 0 and 1, got {p_target}")
    curve = detection_curve(scores, targets)
    cost = p_target * curve.miss + (1 - p_target) * curve.false_alarm
    return float(cost.min() / min(p_target, 1 - p_target))


def likelihood_ratio_cost(odds: ArrayLike, targets: ArrayLike) -> float:
    """Cost of log likelihood ratios, Cllr, in bits (N. Brummer and J. du Preez, 2006).

    0 is perfect, 1 is what saying nothing costs, and above 1 the ratios mislead.

    odds : [shape=(trials,)], natural logarithms of likelihood ratios
    targets : [shape=(trials,)], true where both sides are the same speaker
    """
    ratios = np.asarray(odds, dtype=np.float64)
    target = np.asarray(targets, dtype=np.bool_)
    if ratios.ndim != 1 or ratios.shape != target.shape:
        raise FormatError(f"wanted a ratio and a label for each trial, got {ratios.shape}, {target.shape}")
    if np.isnan(ratios).any():
        raise FormatError("wanted log likelihood ratios, got NaN")
    if target.all() or not target.any():
        raise FormatError(
            f"wanted target and other trials, got {target.sum()} of {len(target)} that are target"
        )
    missed = np.logaddexp(0.0, -ratios[target]).mean()
    taken = np.logaddexp(0.0, ratios[~target]).mean()
    return float((missed + taken) / (2.0 * math.log(2.0)))


def threshold_at_false_alarm(other_scores: ArrayLike, rate: float) -> float:
    """Find the lowest threshold at which at most this share of non-target scores is accepted.

    other_scores : [shape=(trials,)], finite

    The threshold lies just above the highest score that must be refused; it is minus infinity where all may
    be accepted.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"wanted a false-alarm rate from 0 to 1, got {rate}")
    other = np.asarray(other_scores, dtype=np.float64)
    if other.ndim != 1 or not len(other) or not np.isfinite(other).all():
        raise FormatError(f"wanted finite scores of non-target trials, got shape {other.shape} or NaN")
    allowed = math.floor(rate * len(other) + 1e-9)  # 0.29 * 100 is a little below 29 in binary
    if allowed >= len(other):
        return -math.inf
    return float(np.nextafter(np.sort(other)[-1 - allowed], np.inf))
