"""Turn a cosine into a probability: logistic in the score and in what the score was made from.

That is the logarithm of the speech behind it, how near the voice stands to strangers at large, and how good
the recording is.
"""

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
    """The log odds that two voices are one, with `s` the ln of the seconds of net speech.

    odds = (scale + speech_scale * s) * score + offset + log_speech * s + cohort * standing
           + quality * (quality of the recording - 1)

    They hold where a share `prior` of trials is of the same voice; `with_prior` moves them to another.
    """

    scale: float
    offset: float
    log_speech: float = 0.0
    prior: float = 0.5
    speech_scale: float = 0.0  # more speech makes the same difference of scores say more
    cohort: float = 0.0  # for each unit of the voice's standing among strangers (`Cohort.nearness`)
    quality: float = 0.0  # from a worthless recording to a perfect one

    def __post_init__(self) -> None:
        values = (self.scale, self.offset, self.log_speech, self.speech_scale, self.cohort, self.quality)
        slopes = [self.scale + self.speech_scale * float(_log_seconds(n)) for n in (0, MOST_SPEECH)]
        if not all(map(math.isfinite, values)) or min(slopes) <= 0:
            wanted = "wanted a finite calibration with scale above 0"
            raise ConfigError(f"{wanted}, got {', '.join(f'{value:g}' for value in values)}")
        _check_prior(self.prior)

    def probability(
        self, score: float, net_speech: int, *, standing: float = 0.0, quality: float = 1.0
    ) -> float:
        """Probability that the voices are one; net_speech is in samples, of the side that has less."""
        return float(self.probabilities([score], [net_speech], standing=[standing], quality=[quality])[0])

    def probabilities(
        self,
        scores: ArrayLike,
        net_speech: ArrayLike,
        *,
        standing: ArrayLike = 0.0,
        quality: ArrayLike = 1.0,
    ) -> NDArray[np.float64]:
        """Probabilities of many scores; the arguments are those of `odds`."""
        return _logistic(self.odds(scores, net_speech, standing=standing, quality=quality))

    def odds(
        self,
        scores: ArrayLike,
        net_speech: ArrayLike,
        *,
        standing: ArrayLike = 0.0,
        quality: ArrayLike = 1.0,
    ) -> NDArray[np.float64]:
        """Natural log odds of many scores: all arrays [shape=(n,)] or one number for all.

        Args:
            scores: cosines
            net_speech: samples, of the side that has less
            standing: how near that side is to the cohort
            quality: of its recording, 0 to 1
        """
        score = np.asarray(scores, dtype=np.float64)
        seconds = _log_seconds(net_speech)
        rest = self.cohort * np.asarray(standing, np.float64)
        rest = rest + self.quality * (np.asarray(quality, np.float64) - 1.0)
        slope = self.scale + self.speech_scale * seconds
        return slope * score + self.offset + self.log_speech * seconds + rest

    def score_for(
        self, probability: float, net_speech: int, *, standing: float = 0.0, quality: float = 1.0
    ) -> float:
        """The score at which this probability is reached."""
        if not 0 < probability < 1:
            raise ConfigError(f"wanted a probability between 0 and 1, got {probability}")
        rest = float(self.odds(0.0, net_speech, standing=standing, quality=quality))
        return (_logit(probability) - rest) / (
            self.scale + self.speech_scale * float(_log_seconds(net_speech))
        )

    def with_prior(self, prior: float) -> "Calibration":
        """Give the same evidence for another share of same-voice trials."""
        _check_prior(prior)
        return replace(self, offset=self.offset + _logit(prior) - _logit(self.prior), prior=prior)

    @classmethod
    def fit(
        cls,
        scores: ArrayLike,
        targets: ArrayLike,
        net_speech: ArrayLike,
        *,
        prior: float = 0.5,
        standing: ArrayLike | None = None,
        quality: ArrayLike | None = None,
        steeper: bool = False,
    ) -> "Calibration":
        """Fit to trials by logistic regression (Newton's method).

        Trials are weighted so that targets weigh `prior` of the whole, however many of them there are.

        Args:
            scores: [shape=(trials,)], cosine.
            targets: [shape=(trials,)], true where both sides are the same speaker.
            net_speech: [shape=(trials,)], samples of speech, of the side that has less.
            prior: the share of same-voice trials that the probabilities are for.
            standing: [shape=(trials,)], of that side in the cohort; None fits no term for it.
            quality: [shape=(trials,)], of its recording; likewise.
            steeper: let scores say more where there is more speech.
        """
        _check_prior(prior)
        score = np.asarray(scores, dtype=np.float64)
        target = np.asarray(targets, dtype=np.bool_)
        seconds = _log_seconds(net_speech)
        terms = {"scale": score, "log_speech": seconds}
        if steeper:
            terms["speech_scale"] = score * seconds if score.shape == seconds.shape else score
        if standing is not None:
            terms["cohort"] = np.asarray(standing, np.float64)
        if quality is not None:
            terms["quality"] = np.asarray(quality, np.float64) - 1.0
        if score.ndim != 1 or any(term.shape != target.shape for term in terms.values()):
            shapes = ", ".join(str(term.shape) for term in (target, *terms.values()))
            raise FormatError(f"wanted a score, label and net speech for each trial, got shapes {shapes}")
        if not all(np.isfinite(term).all() for term in terms.values()):
            raise FormatError("wanted finite scores, got NaN or infinity")
        if target.all() or not target.any():
            raise FormatError(f"wanted target and other trials, got {target.sum()} target of {len(target)}")
        features = np.stack(list(terms.values()), axis=1)  # (trials, terms)
        middle = features.mean(axis=0)
        spread = features.std(axis=0)
        spread[spread < 1e-9] = 1.0  # one length for all trials: no term for it
        weights = np.where(target, prior / target.sum(), (1 - prior) / (~target).sum())
        scaled = np.column_stack([(features - middle) / spread, np.ones(len(score))])
        found = _newton(scaled, target.astype(np.float64), weights)
        slopes = found[:-1] / spread
        own = dict(zip(terms, map(float, slopes), strict=True))
        try:
            return cls(offset=float(found[-1] - slopes @ middle), prior=prior, **own)
        except ConfigError:
            wanted = "wanted scores that are higher for the same voice"
            raise FormatError(f"{wanted}, got slope {slopes[0]:.3g}") from None


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
