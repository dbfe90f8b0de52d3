"""Turn a cosine into a probability: logistic in the score and in the logarithm of the speech behind it."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtspk.errors import ConfigError, FormatError
from rtspk.metrics import threshold_at_false_alarm
from rtspk.types import SAMPLE_RATE

__all__ = ["Calibration", "threshold_at_false_accept"]

# Less speech than this says nothing reliable, more changes nothing: outside the logarithm would run away.
LEAST_SPEECH = SAMPLE_RATE // 2  # 0.5 s
MOST_SPEECH = 8 * SAMPLE_RATE  # 8 s: the longest that calibrations are fitted on

RIDGE = 1e-6  # of the mean loss; keeps a fit finite where the scores part the trials without error
STEPS = 100  # Newton needs about ten


@dataclass(frozen=True, slots=True)
class Calibration:
    """The log odds that two voices are one: scale * score + offset + log_speech * ln(seconds of net speech).

    They hold where a share `prior` of trials is of the same voice; `with_prior` moves them to another.
    """

    scale: float
    offset: float
    log_speech: float = 0.0
    prior: float = 0.5

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.scale, self.offset, self.log_speech))) or self.scale <= 0:
            wanted = "wanted a finite calibration with scale above 0"
            raise ConfigError(f"{wanted}, got {self.scale}, {self.offset}, {self.log_speech}")
        _check_prior(self.prior)

    def probability(self, score: float, net_speech: int) -> float:
        """Probability that the voices are one; net_speech is in samples, of the side that has less."""
        return float(self.probabilities([score], [net_speech])[0])

    def probabilities(self, scores: ArrayLike, net_speech: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of many scores: all arrays [shape=(n,)], net_speech in samples."""
        return _logistic(self.odds(scores, net_speech))

    def odds(self, scores: ArrayLike, net_speech: ArrayLike) -> NDArray[np.float64]:
        """Natural log odds of many scores: all arrays [shape=(n,)], net_speech in samples."""
        score = np.asarray(scores, dtype=np.float64)
        return self.scale * score + self.offset + self.log_speech * _log_seconds(net_speech)

    def score_for(self, probability: float, net_speech: int) -> float:
        """The score at which this probability is reached."""
        if not 0 < probability < 1:
            raise ConfigError(f"wanted a probability between 0 and 1, got {probability}")
        rest = self.offset + self.log_speech * float(_log_seconds(net_speech))
        return (_logit(probability) - rest) / self.scale

    def with_prior(self, prior: float) -> "Calibration":
        """Give the same evidence for another share of same-voice trials."""
        _check_prior(prior)
        return replace(self, offset=self.offset + _logit(prior) - _logit(self.prior), prior=prior)

    @classmethod
    def fit(
        cls, scores: ArrayLike, targets: ArrayLike, net_speech: ArrayLike, *, prior: float = 0.5
    ) -> "Calibration":
        """Fit to trials by logistic regression (Newton's method).

        Trials are weighted so that targets weigh `prior` of the whole, however many of them there are.

        Args:
            scores: [shape=(trials,)], cosine.
            targets: [shape=(trials,)], true where both sides are the same speaker.
            net_speech: [shape=(trials,)], samples of speech, of the side that has less.
            prior: the share of same-voice trials that the probabilities are for.
        """
        _check_prior(prior)
        score = np.asarray(scores, dtype=np.float64)
        target = np.asarray(targets, dtype=np.bool_)
        seconds = _log_seconds(net_speech)
        if score.ndim != 1 or not score.shape == target.shape == seconds.shape:
            shapes = f"{score.shape}, {target.shape}, {seconds.shape}"
            raise FormatError(f"wanted a score, label and net speech for each trial, got shapes {shapes}")
        if not np.isfinite(score).all():
            raise FormatError("wanted finite scores, got NaN or infinity")
        if target.all() or not target.any():
            raise FormatError(f"wanted target and other trials, got {target.sum()} target of {len(target)}")
        features = np.stack([score, seconds], axis=1)  # (trials, 2)
        middle = features.mean(axis=0)
        spread = features.std(axis=0)
        spread[spread < 1e-9] = 1.0  # one length for all trials: no term for it
        weights = np.where(target, prior / target.sum(), (1 - prior) / (~target).sum())
        scaled = np.column_stack([(features - middle) / spread, np.ones(len(score))])  # (trials, 3)
        found = _newton(scaled, target.astype(np.float64), weights)
        slopes = found[:2] / spread
        if slopes[0] <= 0:
            raise FormatError(f"wanted scores that are higher for the same voice, got slope {slopes[0]:.3g}")
        return cls(float(slopes[0]), float(found[2] - slopes @ middle), float(slopes[1]), prior)


def threshold_at_false_accept(scores: ArrayLike, targets: ArrayLike, rate: float) -> float:
    """Find the lowest score at which at most this share of non-target trials is accepted.

    scores, targets : [shape=(trials,)]; a score at or above the threshold is accepted.
    """
    score = np.asarray(scores, dtype=np.float64)
    target = np.asarray(targets, dtype=np.bool_)
    if score.shape != target.shape:
        raise FormatError(f"wanted a label for each score, got shapes {score.shape} and {target.shape}")
    return threshold_at_false_alarm(score[~target], rate)


def _newton(
    features: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Minimise the weighted log loss plus the ridge; a step that does not improve is halved.

    features : float64 [shape=(trials, terms)], the last of them constant and free of the ridge
    target, weights : float64 [shape=(trials,)]; the weights sum to one
    """
    ridge = np.full(features.shape[1], RIDGE)
    ridge[-1] = 0.0

    def loss(values: NDArray[np.float64]) -> float:
        odds = features @ values
        return float(weights @ (np.logaddexp(0.0, odds) - target * odds) + 0.5 * ridge @ values**2)

    values = np.zeros(features.shape[1])
    best = loss(values)
    for _ in range(STEPS):
        probability = _logistic(features @ values)
        gradient = features.T @ (weights * (probability - target)) + ridge * values
        bend = weights * probability * (1.0 - probability)
        step = np.linalg.solve((features.T * bend) @ features + np.diag(ridge + 1e-12), gradient)
        size = 1.0
        while (tried := loss(values - size * step)) > best and size > 1e-6:
            size /= 2
        if best - tried < 1e-12:
            break
        values, best = values - size * step, tried
    return values


def _logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds to probability, without overflow at either end."""
    return 0.5 * (1.0 + np.tanh(0.5 * odds))


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _log_seconds(net_speech: ArrayLike) -> NDArray[np.float64]:
    """Natural logarithm of seconds, kept within what is meaningful."""
    samples = np.asarray(net_speech, dtype=np.float64)
    if not (samples >= 0).all():
        raise FormatError("wanted net speech of 0 samples or more, got less or NaN")
    return np.log(np.clip(samples, LEAST_SPEECH, MOST_SPEECH) / SAMPLE_RATE)


def _check_prior(prior: float) -> None:
    if not 0 < prior < 1:
        raise ConfigError(f"wanted a prior between 0 and 1, got {prior}")
