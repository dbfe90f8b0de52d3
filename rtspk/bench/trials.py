"""Speaker verification over a list of trials: EER and minimum cost, at full length and on short crops.

A score is the plain cosine of two vectors as the embedder gives them, centred on the model's own mean.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rtspk.audio import loudest, read_audio
from rtspk.bench.trial_list import groups_of, read_trials
from rtspk.engine.pipeline import Engine
from rtspk.errors import AudioError
from rtspk.kernels.mel import log_mel
from rtspk.metrics import equal_error_rate, likelihood_ratio_cost, minimum_cost
from rtspk.types import FloatArray, Segment, Window, samples_of, seconds_of

__all__ = ["LENGTHS", "GroupRates", "LengthRates", "TrialsReport", "evaluate_trials"]

LENGTHS: tuple[float | None, ...] = (None, 3.0, 2.0, 1.5, 1.0)  # seconds; None is the whole file

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class LengthRates:
    """What came of all trials at one length of crop; rates are fractions.

    scores : float32 [shape=(trials,)], plain cosines
    """

    length: float | None  # seconds; None is the whole file
    eer: float
    min_dcf_001: float  # with 1 % of targets
    min_dcf_005: float  # with 5 % of targets
    eer_asnorm: float | None  # of scores normalised by the model's cohort, where it has one
    cllr: float  # of the model's calibrated probabilities, in bits; 1 is no better than a coin
    scores: NDArray[np.float32]

    @property
    def key(self) -> str:
        """How reports name the length: "full", or seconds with one decimal or more."""
        return "full" if self.length is None else str(float(self.length))

    def to_json(self) -> Json:
        """The rates by their names in reports."""
        rates: Json = {
            "eer": round(self.eer, 5),
            "min_dcf_0.01": round(self.min_dcf_001, 5),
            "min_dcf_0.05": round(self.min_dcf_005, 5),
            "cllr": round(self.cllr, 5),
        }
        if self.eer_asnorm is not None:
            rates["eer_asnorm"] = round(self.eer_asnorm, 5)
        return rates


@dataclass(frozen=True, slots=True)
class GroupRates:
    """Equal error rates of the trials within one data set, language or gender, by length."""

    kind: str
    name: str
    trials: int
    eer: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrialsReport:
    """What came of all trials.

    target : bool [shape=(trials,)], true where both clips are the same speaker
    """

    target: NDArray[np.bool_]
    lengths: tuple[LengthRates, ...]
    groups: tuple[GroupRates, ...]

    @property
    def trials(self) -> int:
        """How many trials there were."""
        return len(self.target)

    def to_json(self) -> str:
        """One object on one line."""
        groups: dict[str, Json] = {}
        for group in self.groups:
            eer = {rates.key: round(own, 5) for rates, own in zip(self.lengths, group.eer, strict=True)}
            groups.setdefault(group.kind, {})[group.name] = {"trials": group.trials, "eer": eer}
        keys: Json = {
            "trials": self.trials,
            "lengths": {rates.key: rates.to_json() for rates in self.lengths},
            "groups": groups,
        }
        return json.dumps(keys)

    def table(self, console: Console) -> None:
        """Print the rates, a length a row, then the groups."""
        normalised = any(rates.eer_asnorm is not None for rates in self.lengths)
        table = Table(title=f"{self.trials} trials, cosine, loudest crop", title_justify="left")
        for column in ("length", "EER", "minDCF(0.01)", "minDCF(0.05)", "Cllr"):
            table.add_column(column, justify="right")
        if normalised:
            table.add_column("EER, AS-norm", justify="right")
        for rates in self.lengths:
            row = [
                _seconds(rates),
                f"{rates.eer:.2%}",
                f"{rates.min_dcf_001:.3f}",
                f"{rates.min_dcf_005:.3f}",
                f"{rates.cllr:.3f}",
            ]
            if rates.eer_asnorm is not None:
                row.append(f"{rates.eer_asnorm:.2%}")
            table.add_row(*row)
        console.print(table)
        for kind in dict.fromkeys(group.kind for group in self.groups):
            table = Table(title=f"EER by {kind}", title_justify="left")
            table.add_column(kind)
            table.add_column("trials", justify="right")
            for rates in self.lengths:
                table.add_column(_seconds(rates), justify="right")
            for group in self.groups:
                if group.kind == kind:
                    table.add_row(group.name, str(group.trials), *(f"{own:.2%}" for own in group.eer))
            console.print(table)


def evaluate_trials(
    engine: Engine,
    path: Path,
    progress: Callable[[int, int], None],
    *,
    lengths: Sequence[float | None] = LENGTHS,
) -> TrialsReport:
    """Score every trial of a list at every length.

    Each file is decoded once. A crop is the loudest window of its length, and the whole file where that is
    shorter; all frames of it are heard, pauses included.

    Args:
        engine: whose embedder is measured
        path: the list, `0|1 path path` a line, paths relative to it
        progress: called with files embedded and files in all
        lengths: seconds; None is the whole file

    Raises:
        FormatError: a line that is no trial, or trials of one kind only.
        AudioError: a file that is missing, unreadable or too short.
    """
    trials = read_trials(path)
    names = sorted({name for trial in trials for name in (trial.one, trial.other)})
    rows = {name: row for row, name in enumerate(names)}
    vectors = np.zeros((len(lengths), len(rows), engine.embedder.card.dimension), np.float32)
    heard = np.zeros((len(lengths), len(rows)), np.int64)  # samples
    for name, row in rows.items():
        heard[:, row], vectors[:, row] = _embed(engine, path.parent / name, lengths)
        progress(row + 1, len(rows))
    target = np.array([trial.target for trial in trials])
    one = np.array([rows[trial.one] for trial in trials])
    other = np.array([rows[trial.other] for trial in trials])
    rates = [
        _rates(engine, length, target, table[one], table[other], np.minimum(own[one], own[other]))
        for length, table, own in zip(lengths, vectors, heard, strict=True)
    ]
    groups = []
    for group in groups_of(trials, path):
        eer = [equal_error_rate(own.scores[group.chosen], target[group.chosen]) for own in rates]
        groups.append(GroupRates(group.kind, group.name, int(group.chosen.sum()), tuple(eer)))
    return TrialsReport(target, tuple(rates), tuple(groups))


def _rates(
    engine: Engine,
    length: float | None,
    target: NDArray[np.bool_],
    one: FloatArray,
    other: FloatArray,
    heard: NDArray[np.int64],
) -> LengthRates:
    """All rates of one length; one and other are unit vectors [shape=(trials, dimension)]."""
    scores = np.einsum("td,td->t", one, other)
    cohort = engine.embedder.cohort
    normalised = None if cohort is None else equal_error_rate(cohort.normalise(scores, one, other), target)
    return LengthRates(
        length,
        equal_error_rate(scores, target),
        minimum_cost(scores, target, 0.01),
        minimum_cost(scores, target, 0.05),
        normalised,
        likelihood_ratio_cost(engine.embedder.card.calibration.with_prior(0.5).odds(scores, heard), target),
        scores,
    )


def _embed(
    engine: Engine, path: Path, lengths: Sequence[float | None]
) -> tuple[NDArray[np.int64], FloatArray]:
    """Samples heard and a vector for each length [shape=(lengths, dimension)]; equal crops are one."""
    features = engine.embedder.card.features
    samples = read_audio(path)
    known: dict[int, FloatArray] = {}
    heard = []
    for length in lengths:
        crop = samples if length is None else loudest(samples, samples_of(length))
        if len(crop) < features.window:
            raise AudioError(
                f"{path}: wanted at least {seconds_of(features.window)} s, got {seconds_of(len(crop)):.3f} s"
            )
        if len(crop) not in known:
            rows = log_mel(crop, features)
            window = Window(Segment(0, len(crop)), rows, np.ones(len(rows), np.float32), len(crop))
            known[len(crop)] = engine.embedder.embed([window])[0].vector
        heard.append(len(crop))
    return np.array(heard), np.stack([known[length] for length in heard])


def _seconds(rates: LengthRates) -> str:
    return rates.key if rates.length is None else f"{rates.key} s"
