"""A list of verification trials, and what is known of its clips: data set, language, gender."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import AudioError, FormatError

__all__ = ["Group", "Trial", "groups_of", "read_trials"]

CLIPS = "utterances.csv"  # beside the list: file, and what is known of it
KINDS = {"dataset": "dataset", "language": "lang", "gender": "gender"}  # what parts trials: its column
LEAST = 10  # trials of each kind that a group must have; a rate over fewer says nothing


@dataclass(frozen=True, slots=True)
class Trial:
    """Two clips, as the list names them, and whether they are one voice; `line` is where it says so."""

    target: bool
    one: str
    other: str
    line: int


@dataclass(frozen=True, slots=True)
class Group:
    """Trials whose two clips have something in common.

    chosen : bool [shape=(trials,)]
    """

    kind: str  # "dataset", "language" or "gender"
    name: str
    chosen: NDArray[np.bool_]


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


def groups_of(trials: list[Trial], path: Path) -> list[Group]:
    """Part trials by what their two clips share; groups of few trials of either kind are left out.

    The facts come from `utterances.csv` beside the list (columns `file` and any of `dataset, lang, gender`).
    Without one, a clip's data set is the first folder of its path.
    """
    target = np.array([trial.target for trial in trials])
    facts = _facts(path.parent / CLIPS)
    groups = []
    for kind, column in KINDS.items():
        shared = [_shared(trial, column, facts) for trial in trials]
        for name in sorted({one for one in shared if one}):
            chosen = np.array([one == name for one in shared])
            if min(target[chosen].sum(), (~target[chosen]).sum()) >= LEAST:
                groups.append(Group(kind, name, chosen))
    return groups


def _facts(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"wanted a table of clips in {path}, got {error}") from error
    if rows and "file" not in rows[0]:
        raise FormatError(f"wanted a column `file` in {path}, got {', '.join(map(str, rows[0]))}")
    return {row["file"]: row for row in rows}


def _shared(trial: Trial, column: str, facts: dict[str, dict[str, str]]) -> str:
    """What both clips have in a column, or nothing."""
    one, other = _values(trial, column, facts)
    return one if one == other else ""


def _values(trial: Trial, column: str, facts: dict[str, dict[str, str]]) -> Iterator[str]:
    for name in (trial.one, trial.other):
        if facts:
            yield facts.get(name, {}).get(column) or ""
        else:
            first, *rest = Path(name).parts
            yield first if rest and column == "dataset" else ""
