"""Which stretch of which file is whose voice: the list that training starts from."""

import csv
from dataclasses import dataclass
from pathlib import Path

from rtspk.errors import FormatError
from rtspk.types import samples_of

__all__ = ["Utterance", "hold_out", "read_manifest", "read_noises"]

COLUMNS = ("file", "speaker", "dataset", "start", "end")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: samples [start, end) of a file, at 16 kHz, played at `speed`."""

    path: Path
    start: int
    end: int
    speaker: str  # "data set/speaker", unique over all sets; empty where nobody knows
    dataset: str
    language: str
    gender: str
    licence: str
    target: int  # row of the teachers' table, -1 where there is none
    speed: float = 1.0  # a voice at another speed is another speaker (H. Yamamoto et al., Interspeech 2019)

    @property
    def duration(self) -> int:
        """Length in samples, as it is heard."""
        return int((self.end - self.start) / self.speed)


def read_manifest(path: Path) -> list[Utterance]:
    """Read a table of utterances: CSV with at least `file, speaker, dataset, start, end` (seconds).

    Optional columns: `lang`, `gender`, `licence`, `target` (row of the teachers' embeddings), `speed` (how
    much faster the utterance is played; another speed is another speaker). Files are relative to the table.
    A row without a speaker teaches by its target alone.

    Raises:
        FormatError: for a missing column, a number that is none, or an utterance without length.
    """
    return [_utterance(row, path, number) for number, row in enumerate(_rows(path, COLUMNS), start=2)]


def read_noises(path: Path) -> list[Path]:
    """Read a table of noise: CSV with at least the column `file`."""
    return [path.parent / row["file"] for row in _rows(path, ("file",))]


def hold_out(
    utterances: list[Utterance], speakers: frozenset[str]
) -> tuple[list[Utterance], list[Utterance]]:
    """Split into utterances to train on and utterances of the speakers held out, at their own speed alone."""
    kept = [u for u in utterances if u.speaker.partition("@")[0] not in speakers]
    held = [u for u in utterances if u.speaker in speakers]
    return kept, held


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise FormatError(f"expected a table at {path}, got {error.strerror}") from error
    if not rows:
        raise FormatError(f"expected a table at {path}, got no rows")
    missing = [column for column in columns if column not in rows[0]]
    if missing:
        raise FormatError(
            f"expected the columns {', '.join(columns)} in {path}, missing: {', '.join(missing)}"
        )
    return rows


def _utterance(row: dict[str, str], path: Path, line: int) -> Utterance:
    try:
        start, end = float(row["start"]), float(row["end"])
        target = int(row.get("target") or -1)
        speed = float(row.get("speed") or 1.0)
    except ValueError as error:
        raise FormatError(
            f"expected numbers for start, end, target and speed in {path} line {line}, got {error}"
        ) from error
    if not 0 <= start < end:
        raise FormatError(f"expected 0 <= start < end in {path} line {line}, got {start} and {end}")
    if not 0.5 <= speed <= 2.0:
        raise FormatError(f"expected a speed of 0.5 to 2 in {path} line {line}, got {speed}")
    name = row["speaker"] if speed == 1.0 else f"{row['speaker']}@{speed:g}"
    return Utterance(
        path=path.parent / row["file"],
        start=samples_of(start),
        end=samples_of(end),
        speaker=f"{row['dataset']}/{name}" if row["speaker"] else "",
        dataset=row["dataset"],
        language=row.get("lang") or "",
        gender=row.get("gender") or "",
        licence=row.get("licence") or "not stated",
        target=target,
        speed=speed,
    )
