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
from rtspk.engine.pipeline import Engine
from rtspk.errors import AudioError, FormatError
from rtspk.kernels.mel import log_mel
from rtspk.metrics import equal_error_rate, minimum_cost
from rtspk.types import FloatArray, Segment, Window, samples_of, seconds_of

__all__ = ["LENGTHS", "LengthRates", "Trial", "TrialsReport", "evaluate_trials", "read_trials"]

LENGTHS: tuple[float | None, ...] = (None, 3.0, 2.0, 1.5, 1.0)  # seconds; None is the whole file

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Trial:
    """Two clips, as the list names them, and whether they are one voice; `line` is where it says so."""

    target: bool
    one: str
    other: str
    line: int


@dataclass(frozen=True, slots=True)
class LengthRates:
    """The rates at one length of crop, as fractions."""

    length: float | None  # seconds; None is the whole file
    eer: float
    min_dcf_001: float  # with 1 % of targets
    min_dcf_005: float  # with 5 % of targets

    @property
    def key(self) -> str:
        """How reports name the length: "full", or seconds with one decimal or more."""
        return "full" if self.length is None else str(float(self.length))


@dataclass(frozen=True, slots=True)
class TrialsReport:
    """What came of all trials; `by_dataset` is the EER of whole files, by the first folder of their paths."""

    trials: int
    lengths: tuple[LengthRates, ...]
    by_dataset: tuple[tuple[str, float], ...]

    def to_json(self) -> str:
        """One object on one line."""
        lengths = {
            rates.key: {
                "eer": round(rates.eer, 5),
                "min_dcf_0.01": round(rates.min_dcf_001, 5),
                "min_dcf_0.05": round(rates.min_dcf_005, 5),
            }
            for rates in self.lengths
        }
        by_dataset = {name: round(eer, 5) for name, eer in self.by_dataset}
        keys: Json = {"trials": self.trials, "lengths": lengths, "by_dataset": by_dataset}
        return json.dumps(keys)

    def table(self, console: Console) -> None:
        """Print the rates, a length a row, then the data sets."""
        table = Table(title=f"{self.trials} trials, cosine, loudest crop", title_justify="left")
        for column in ("length", "EER", "minDCF(0.01)", "minDCF(0.05)"):
            table.add_column(column, justify="right")
        for rates in self.lengths:
            name = rates.key if rates.length is None else f"{rates.key} s"
            table.add_row(name, f"{rates.eer:.2%}", f"{rates.min_dcf_001:.3f}", f"{rates.min_dcf_005:.3f}")
        console.print(table)
        if len(self.by_dataset) > 1:
            table = Table(title="EER at full length, by data set", title_justify="left")
            table.add_column("data set")
            table.add_column("EER", justify="right")
            for name, eer in self.by_dataset:
                table.add_row(name, f"{eer:.2%}")
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
    rows = {
        name: row
        for row, name in enumerate(sorted({n for trial in trials for n in (trial.one, trial.other)}))
    }
    vectors = np.zeros((len(lengths), len(rows), engine.embedder.card.dimension), np.float32)
    for name, row in rows.items():
        vectors[:, row] = _embed(engine, path.parent / name, lengths)
        progress(row + 1, len(rows))
    target = np.array([trial.target for trial in trials])
    one = np.array([rows[trial.one] for trial in trials])
    other = np.array([rows[trial.other] for trial in trials])
    rates = []
    for length, table in zip(lengths, vectors, strict=True):
        scores = np.einsum("td,td->t", table[one], table[other])
        rates.append(
            LengthRates(
                length,
                equal_error_rate(scores, target),
                minimum_cost(scores, target, 0.01),
                minimum_cost(scores, target, 0.05),
            )
        )
    by_dataset: tuple[tuple[str, float], ...] = ()
    if None in lengths:
        table = vectors[list(lengths).index(None)]
        by_dataset = _by_dataset(trials, np.einsum("td,td->t", table[one], table[other]), target)
    return TrialsReport(len(trials), tuple(rates), by_dataset)


def read_trials(path: Path) -> list[Trial]:
    """Read a list of trials and see that all its files are there.

    Raises:
        FormatError: a line that is no trial, or no trial at all.
        AudioError: a file that is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"wanted a list of trials in UTF-8, got other bytes in {path}") from error
    except OSError as error:
        raise FormatError(f"wanted a list of trials, got {error.strerror or error}: {path}") from error
    trials = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[0] not in {"0", "1"}:
            raise FormatError(f"{path}, line {number}: wanted `0|1 path path`, got {line.strip()[:80]!r}")
        trials.append(Trial(fields[0] == "1", fields[1], fields[2], number))
    if not trials:
        raise FormatError(f"wanted a list of trials, got no line in {path}")
    seen: set[str] = set()
    for trial in trials:
        for name in (trial.one, trial.other):
            if name not in seen and not (path.parent / name).is_file():
                raise AudioError(f"{path}, line {trial.line}: wanted an audio file, got nothing at {name}")
            seen.add(name)
    return trials


def _embed(engine: Engine, path: Path, lengths: Sequence[float | None]) -> FloatArray:
    """One vector for each length [shape=(lengths, dimension)]; crops of the same length are one."""
    features = engine.embedder.card.features
    samples = read_audio(path)
    known: dict[int, FloatArray] = {}
    vectors = []
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
        vectors.append(known[len(crop)])
    return np.stack(vectors)


def _by_dataset(
    trials: list[Trial], scores: NDArray[np.float32], target: NDArray[np.bool_]
) -> tuple[tuple[str, float], ...]:
    """EER of the trials within each data set that has trials of both kinds."""
    found = []
    sets = [_dataset(trial) for trial in trials]
    for name in sorted({own for own in sets if own is not None}):
        mine = np.array([own == name for own in sets])
        if target[mine].any() and not target[mine].all():
            found.append((name, equal_error_rate(scores[mine], target[mine])))
    return tuple(found)


def _dataset(trial: Trial) -> str | None:
    """The first folder of both paths; None where they have none or not the same."""
    first, *rest = Path(trial.one).parts
    return first if rest and Path(trial.other).parts[0] == first else None
