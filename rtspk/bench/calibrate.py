"""What scores mean on somebody's own recordings: fitted to pairs of clips, and tried on other pairs."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from rtspk.audio import loudest, read_audio
from rtspk.bench.trial_list import Trial, read_trials
from rtspk.engine.calibration import Calibration, threshold_at_false_accept
from rtspk.engine.pipeline import Engine
from rtspk.engine.voiceprint import Voiceprint
from rtspk.errors import AudioError, ConfigError, FormatError
from rtspk.metrics import expected_calibration_error, likelihood_ratio_cost
from rtspk.types import FloatArray, samples_of

__all__ = ["LENGTHS", "CalibrationReport", "calibrate"]

LENGTHS: tuple[float | None, ...] = (1.5, 3.0, 6.0, None)  # seconds of the shorter side; None is all of it
PRIOR: float = 0.02  # the loss weighs errors where names are decided: most voices are not a given person's
LEAST: int = 20  # trials of each kind; fewer teach nothing that holds


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A calibration and what it does; rates are of trials that it was not fitted to."""

    calibration: Calibration
    trials: int
    target: int
    unheard: int  # trials left out, because a clip holds too little speech
    false_accept: float  # the rate that was asked for
    threshold: float  # probability, at even odds beforehand
    margin: float  # of cosine, between the threshold and even odds, at 3 s of speech
    measured_false_accept: float
    measured_false_reject: float
    calibration_error: float
    cost: float  # Cllr in bits
    cost_before: float  # of the calibration in use until now

    def to_json(self) -> str:
        """One object on one line."""
        keys = {name: round(value, 5) for name, value in asdict(self.calibration).items()}
        numbers: dict[str, object] = {
            "trials": self.trials,
            "target": self.target,
            "unheard": self.unheard,
            "calibration": keys,
            "false_accept": self.false_accept,
            "threshold": round(self.threshold, 5),
            "margin": round(self.margin, 4),
            "measured_false_accept": round(self.measured_false_accept, 5),
            "measured_false_reject": round(self.measured_false_reject, 5),
            "ece": round(self.calibration_error, 5),
            "cllr": round(self.cost, 5),
            "cllr_before": round(self.cost_before, 5),
        }
        return json.dumps(numbers)

    def to_toml(self) -> str:
        """The calibration as a model's `naming.toml` has it."""
        lines = [f"{name} = {value:.6g}" for name, value in asdict(self.calibration).items()]
        return "\n".join(["# Made by `rtspk calibrate`.", *lines, ""])

    def table(self, console: Console) -> None:
        """Say what came of it in a few lines."""
        found = self.calibration
        for line in (
            f"{self.trials} trials, {self.target} of one voice; each half measured by the other half's fit",
            f"log odds = ({found.scale:.2f} {found.speech_scale:+.2f} ln s) * score {found.offset:+.2f} "
            f"{found.log_speech:+.2f} ln s {found.cohort:+.2f} * standing"
            f"{f' {found.quality:+.2f} * (quality - 1)' if found.quality else ''}, s seconds of speech",
            f"at most {self.false_accept:.2%} false accepts: probability {self.threshold:.3f} or more "
            f"(a cosine {self.margin:+.3f} from even odds at 3 s); "
            f"measured FA {self.measured_false_accept:.2%}, FR {self.measured_false_reject:.2%}",
            f"calibration error {self.calibration_error:.3f}; Cllr {self.cost:.3f} bits, "
            f"{self.cost_before:.3f} with the calibration until now",
        ):
            console.print(line)
        if self.unheard:
            console.print(f"{self.unheard} trials left out: a clip holds too little speech")


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Trials at all lengths: arrays [shape=(pairs,)]; `trial` is the number of each pair's trial."""

    trial: NDArray[np.int64]
    target: NDArray[np.bool_]
    score: NDArray[np.float64]
    net_speech: NDArray[np.int64]
    standing: NDArray[np.float64] | None
    quality: NDArray[np.float64] | None  # None where it is not to count
    whole: NDArray[np.bool_]  # whether both sides are whole clips

    def chosen(self, rows: NDArray[np.bool_]) -> "_Pairs":
        standing = None if self.standing is None else self.standing[rows]
        quality = None if self.quality is None else self.quality[rows]
        return _Pairs(
            self.trial[rows],
            self.target[rows],
            self.score[rows],
            self.net_speech[rows],
            standing,
            quality,
            self.whole[rows],
        )

    def fit(self) -> Calibration:
        """With a slope that depends on the speech, where the lengths are apart enough to tell it."""
        try:
            found = self._fitted(steeper=True)
        except FormatError:  # it would turn the order of scores around for lengths that are not among these
            found = self._fitted(steeper=False)
        return found.with_prior(0.5)

    def _fitted(self, *, steeper: bool) -> Calibration:
        return Calibration.fit(
            self.score,
            self.target,
            self.net_speech,
            prior=PRIOR,
            standing=self.standing,
            quality=self.quality,
            steeper=steeper,
        )

    def odds(self, calibration: Calibration) -> NDArray[np.float64]:
        standing = 0.0 if self.standing is None else self.standing
        quality = 1.0 if self.quality is None else self.quality
        even = calibration.with_prior(0.5)
        return even.odds(self.score, self.net_speech, standing=standing, quality=quality)


def calibrate(
    engine: Engine,
    path: Path,
    false_accept: float,
    progress: Callable[[int, int], None],
    *,
    with_quality: bool = False,
) -> CalibrationReport:
    """Fit the engine's probabilities to trials.

    The first clip of a trial is heard whole, as an enrolment is; the second at several lengths too, so that
    the fit knows what little speech is worth.

    Args:
        engine: whose scores are calibrated
        path: the list, `0|1 path path` a line, paths relative to it
        false_accept: share of trials of two voices that may be accepted
        progress: called with clips heard and clips in all
        with_quality: let it count too how clean the second clip is; a stream counts as clean

    Raises:
        FormatError: too few trials of a kind, or scores that do not tell voices apart.
        AudioError: a clip that is missing or cannot be read.
    """
    if not 0.0 < false_accept < 1.0:
        raise ConfigError(f"wanted a rate of false accepts between 0 and 1, got {false_accept:g}")
    trials = read_trials(path)
    pairs, unheard = _heard(engine, trials, path.parent, progress)
    if not with_quality:
        pairs = replace(pairs, quality=None)
    own = np.unique(pairs.trial[pairs.target])
    if min(len(own), len(np.unique(pairs.trial)) - len(own)) < LEAST:
        raise FormatError(
            f"wanted {LEAST} trials of one voice and {LEAST} of two, "
            f"got {len(own)} of one among {len(trials)}"
        )
    calibration = pairs.fit()
    crossed = np.zeros(len(pairs.target))
    halves = _halves(trials)[pairs.trial]
    for half in (0, 1):
        rows = halves == half
        crossed[rows] = pairs.chosen(rows).odds(pairs.chosen(~rows).fit())
    whole, chances = pairs.whole, 0.5 * (1.0 + np.tanh(0.5 * crossed))
    fitted = pairs.odds(calibration)[whole]
    least = threshold_at_false_accept(fitted, pairs.target[whole], false_accept)
    threshold = float(0.5 * (1.0 + np.tanh(0.5 * least)))
    accepted = crossed[whole] >= least
    other, same = ~pairs.target[whole], pairs.target[whole]
    even = calibration.score_for(0.5, samples_of(3.0))
    return CalibrationReport(
        calibration,
        len(trials) - unheard,
        len(own),
        unheard,
        false_accept,
        threshold,
        calibration.score_for(min(max(threshold, 1e-9), 1 - 1e-9), samples_of(3.0)) - even,
        float(accepted[other].mean()),
        float(1.0 - accepted[same].mean()),
        expected_calibration_error(_at_share(chances, pairs.target), pairs.target),
        likelihood_ratio_cost(crossed, pairs.target),
        likelihood_ratio_cost(pairs.odds(engine.naming), pairs.target),
    )


def _halves(trials: list[Trial]) -> NDArray[np.int64]:
    """The half that each trial is in: by turns among those of its kind, as lists often alternate the two."""
    target = np.array([trial.target for trial in trials])
    halves: NDArray[np.int64] = np.where(target, np.cumsum(target), np.cumsum(~target)) % 2
    return halves


def _at_share(chances: NDArray[np.float64], target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probabilities for the share of targets that the trials have, which those at even odds are not for."""
    odds = chances / (1.0 - chances).clip(1e-12) * target.mean() / (1.0 - target.mean())
    moved: NDArray[np.float64] = odds / (1.0 + odds)
    return moved


def _heard(
    engine: Engine, trials: list[Trial], folder: Path, progress: Callable[[int, int], None]
) -> tuple[_Pairs, int]:
    """All trials at all lengths, and how many were left out for want of speech."""
    names = sorted({name for trial in trials for name in (trial.one, trial.other)})
    prints: dict[str, list[Voiceprint]] = {}
    for number, name in enumerate(names, start=1):
        samples = read_audio(folder / name)
        heard = [_print(engine, samples, length) for length in LENGTHS]
        prints[name] = [one for one in heard if one is not None]
        progress(number, len(names))
    rows: list[tuple[int, bool, float, int, float, float, bool]] = []
    unheard, cohort = 0, engine.embedder.cohort
    for number, trial in enumerate(trials):
        wholes, others = prints[trial.one], prints[trial.other]
        if not wholes or not others:
            unheard += 1
            continue
        one = wholes[-1]
        for place, other in enumerate(others, start=1):
            standing = 0.0 if cohort is None else float(cohort.nearness(other.vector[None])[0])
            score = float(one.vector @ other.vector)
            least = min(one.net_speech, other.net_speech)
            quality = other.quality.score
            rows.append((number, trial.target, score, least, standing, quality, place == len(others)))
    if not rows:
        raise FormatError(f"wanted trials with speech in their clips, got none of {len(trials)}")
    number_, target, scores, net, standings, qualities, whole = zip(*rows, strict=True)
    pairs = _Pairs(
        np.array(number_, np.int64),
        np.array(target, np.bool_),
        np.array(scores, np.float64),
        np.array(net, np.int64),
        None if cohort is None else np.array(standings, np.float64),
        np.array(qualities, np.float64),
        np.array(whole, np.bool_),
    )
    return pairs, unheard


def _print(engine: Engine, samples: FloatArray, length: float | None) -> Voiceprint | None:
    """The voice of a clip's loudest part; None where it is the whole clip, or holds too little speech."""
    if length is not None and samples_of(length) >= len(samples):
        return None
    try:
        return engine.voiceprint(samples if length is None else loudest(samples, samples_of(length)))
    except AudioError:
        return None
