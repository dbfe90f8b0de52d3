"""Which stretch of which file is whose voice: the list that training starts from."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rtspk.errors import AudioError, ConfigError, FormatError
from rtspk.files import write_atomically
from rtspk.types import samples_of, seconds_of

__all__ = [
    "Fault",
    "Utterance",
    "at_speeds",
    "hold_out",
    "parse_manifest",
    "read_manifest",
    "read_noises",
    "write_manifest",
]

COLUMNS = ("file", "speaker")
WHOLE = (*COLUMNS, "dataset", "start", "end")  # of those that a table has, none may be lacking in a line
WRITTEN = ("file", "speaker", "dataset", "licence", "lang", "gender", "start", "end", "target", "speed")
LEAST_AT_SPEED: int = samples_of(2.0)  # a shorter utterance says little of its speaker at any speed
MISSING: str = "missing files"
NO_SOUND: str = "files that are no sound"
NO_LENGTH: str = "utterances without length"
UNREADABLE: str = "lines that cannot be read"


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
    name: str = ""  # the manifest's own id, where it has such
    rate: int = 0  # Hz that the manifest claims for the file; 0 where it claims none

    @property
    def duration(self) -> int:
        """Length in samples, as it is heard."""
        return int((self.end - self.start) / self.speed)

    @property
    def voice(self) -> str:
        """The speaker, whatever the speed."""
        return self.speaker if self.speed == 1.0 else self.speaker.rpartition("@")[0]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one line of a manifest: the kind, for a report, and the case in words."""

    kind: str
    case: str


def read_manifest(path: Path) -> list[Utterance]:
    """Read a list of utterances: our table, or manifests of lhotse.

    The table is CSV with at least `file` and `speaker`. Optional columns: `start` and `end` in seconds (else
    the utterance is the file), `dataset` (else the table's name), `lang`, `gender`, `licence`, `target` (row
    of the teachers' embeddings), `speed` (how much faster the utterance is played; another speed is another
    speaker), `sample_rate` (checked against the file), `id` (checked to come once). Files are relative to the
    table. A row without a speaker teaches by its target alone. For lhotse see `rtspk.train.cuts`.

    Raises:
        FormatError: for a missing column, a number that is none, an utterance without length, or a file
            without sound whose length was asked for.
    """
    utterances, faults = parse_manifest(path)
    if faults:
        more = f" (and {len(faults) - 1} more such lines)" if len(faults) > 1 else ""
        raise FormatError(faults[0].case + more)
    return utterances


def parse_manifest(path: Path) -> tuple[list[Utterance], list[Fault]]:
    """Read a list of utterances as far as it can be read, and say what is wrong with the other lines."""
    if path.is_dir() or path.name.endswith((".jsonl", ".jsonl.gz")):
        from rtspk.train.cuts import parse_cuts

        return parse_cuts(path)
    utterances, faults = [], []
    rows = _rows(path, COLUMNS)
    lengths = _lengths(
        {path.parent / row["file"] for row in rows if row["file"] and row.get("end", "") == ""}
    )
    for number, row in enumerate(rows, start=2):
        parsed = _utterance(row, path, number, lengths)
        if isinstance(parsed, Fault):
            faults.append(parsed)
        else:
            utterances.append(parsed)
    return utterances, faults


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write our table, whole or not at all; files below its folder stand relative to it."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(WRITTEN)
    folder, files = path.parent.resolve(), dict[Path, str]()
    for u in utterances:
        if u.path not in files:
            whole = u.path.resolve()
            files[u.path] = str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)
        speaker = u.voice.removeprefix(f"{u.dataset}/")
        times = [round(seconds_of(u.start), 6), round(seconds_of(u.end), 6)]
        rest = ["" if u.target < 0 else u.target, "" if u.speed == 1.0 else u.speed]
        about = [speaker, u.dataset, u.licence, u.language, u.gender]
        table.writerow([files[u.path], *about, *times, *rest])
    write_atomically(path, text.getvalue().encode())


def read_noises(path: Path, *, music: bool | None = None) -> list[Path]:
    """Read a table of noise: CSV with at least the column `file`, and `kind`, which may be `music`.

    Args:
        path: the table
        music: True for music alone, False for all else; None for everything
    """
    rows = _rows(path, ("file",))
    return [
        path.parent / row["file"]
        for row in rows
        if music is None or ((row.get("kind") or "").strip().lower() == "music") == music
    ]


def hold_out(
    utterances: list[Utterance], speakers: frozenset[str]
) -> tuple[list[Utterance], list[Utterance]]:
    """Split into utterances to train on and utterances of the speakers held out, at their own speed alone."""
    kept = [u for u in utterances if u.voice not in speakers]
    held = [u for u in utterances if u.speaker in speakers]
    return kept, held


def at_speeds(utterances: list[Utterance], speeds: tuple[float, ...]) -> list[Utterance]:
    """Add every utterance of a known speaker of 2 s or more at other speeds: new speakers, without a teacher.

    Raises:
        ConfigError: a speed beyond reason, or one that changes nothing.
    """
    for speed in speeds:
        if not 0.5 <= speed <= 2.0 or speed == 1.0:
            raise ConfigError(f"wanted speeds of 0.5 to 2 other than 1, got {speed:g}")
    faster = [
        replace(u, speaker=f"{u.speaker}@{speed:g}", speed=speed, target=-1)
        for speed in sorted(set(speeds))
        for u in utterances
        if u.speaker and u.speed == 1.0 and u.duration >= LEAST_AT_SPEED
    ]
    there = {u.speaker for u in utterances}
    return utterances + [u for u in faster if u.speaker not in there]


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise FormatError(f"wanted a table at {path}, got {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"wanted a table in UTF-8 at {path}, got {error}") from error
    if not rows:
        raise FormatError(f"wanted a table at {path}, got no rows")
    missing = [column for column in columns if column not in rows[0]]
    if missing:
        raise FormatError(f"wanted the columns {', '.join(columns)} in {path}, missing: {', '.join(missing)}")
    return rows


def _lengths(files: set[Path]) -> dict[Path, int | AudioError]:
    """Samples in each file, or why it has none."""
    if not files:
        return {}
    from rtspk.train.headers import read_headers

    found = read_headers(files, lambda _done, _of: None)
    return {file: one if isinstance(one, AudioError) else one.samples for file, one in found.items()}


def _utterance(
    row: dict[str, str], path: Path, line: int, lengths: dict[Path, int | AudioError]
) -> Utterance | Fault:
    if any(row.get(column, "") is None for column in WHOLE) or not row["file"]:
        wanted = ", ".join(column for column in WHOLE if column in row)
        return Fault(UNREADABLE, f"wanted {wanted} in {path} line {line}, got fewer")
    file = path.parent / row["file"]
    length = 0 if row.get("end") else lengths[file]
    if isinstance(length, AudioError):
        kind = NO_SOUND if file.is_file() else MISSING
        return Fault(kind, f"wanted the length of a file in {path} line {line}, got {length}")
    try:
        start, end = float(row.get("start") or 0.0), float(row.get("end") or seconds_of(length))
        target = int(row.get("target") or -1)
        speed = float(row.get("speed") or 1.0)
        rate = int(row.get("sample_rate") or 0)
    except ValueError as error:
        wanted = "numbers for start, end, target, speed and sample_rate"
        return Fault(UNREADABLE, f"wanted {wanted} in {path} line {line}, got {error}")
    if not 0 <= start < end < float("inf"):
        return Fault(NO_LENGTH, f"wanted 0 <= start < end in {path} line {line}, got {start} and {end}")
    if not 0.5 <= speed <= 2.0:
        return Fault(UNREADABLE, f"wanted a speed of 0.5 to 2 in {path} line {line}, got {speed}")
    name = row["speaker"] if speed == 1.0 else f"{row['speaker']}@{speed:g}"
    dataset = row.get("dataset") or path.stem
    return Utterance(
        path=file,
        start=samples_of(start),
        end=samples_of(end),
        speaker=f"{dataset}/{name}" if row["speaker"] else "",
        dataset=dataset,
        language=row.get("lang") or "",
        gender=row.get("gender") or "",
        licence=row.get("licence") or "not stated",
        target=max(-1, target),
        speed=speed,
        name=row.get("id") or "",
        rate=rate,
    )
