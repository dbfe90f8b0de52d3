"""A folder of people to enrol: a folder of clips for each, or one clip for each, or a table that says who."""

import csv
from pathlib import Path

from rtspk.errors import FormatError

__all__ = ["NOT_SOUND", "TABLE", "People", "people_in"]

TABLE = "enrol.csv"  # as `rtspk simulate --enrol` writes it: speaker, file, enrolled

# What may lie beside clips and is none.
NOT_SOUND = frozenset(
    {
        *(".rttm", ".uem", ".ctm", ".stm", ".txt", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".toml", ".db"),
        *(".ini", ".lnk", ".log", ".html", ".doc", ".docx", ".xlsx", ".zip", ".py", ".yaml", ".yml"),
        *(".srt", ".vtt", ".md", ".pdf", ".png", ".svg", ".jpg", ".jpeg", ".db-wal", ".db-shm", ".index"),
    }
)

People = dict[str, list[Path]]


def people_in(folder: Path) -> People:
    """Names and their clips, in the order of the names.

    A table `enrol.csv` in the folder, or one beside the folder that names its files, decides who is in it:
    those with `yes` in its column `enrolled`. Without one, each folder in it is a person, by its name, and
    each clip that lies in it by itself, by its stem. Hidden files are passed over.

    Raises:
        FormatError: no folder, nobody in it, or a table that is none.
    """
    if not folder.is_dir():
        raise FormatError(f"wanted a folder of people, got {folder}")
    for table in (folder / TABLE, folder.parent / TABLE):
        if table.is_file():
            people = _listed(table, folder)
            if people is not None:
                return people
    people = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            clips = sorted(p for p in path.rglob("*") if _is_clip(p, path))
            if clips:
                people.setdefault(path.name, []).extend(clips)
        elif _is_clip(path, folder):
            people.setdefault(path.stem, []).append(path)
    if not people:
        raise FormatError(f"wanted a folder for each person, or a clip for each, got none in {folder}")
    return people


def _is_clip(path: Path, top: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(top).parts)
    return path.is_file() and not hidden and path.suffix.lower() not in NOT_SOUND


def _listed(table: Path, folder: Path) -> People | None:
    """Who a table says; None where it is about other folders."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"wanted a table of people in {table}, got {error}") from error
    missing = {"speaker", "file", "enrolled"} - set(rows[0] if rows else ())
    if missing:
        raise FormatError(f"wanted columns {', '.join(sorted(missing))} in {table}, got none such")
    for number, row in enumerate(rows, start=1):
        if None in (row["speaker"], row["file"], row["enrolled"]):
            raise FormatError(f"wanted speaker, file and enrolled in row {number} of {table}, got fewer")
    people: People = {}
    own = [row for row in rows if (table.parent / row["file"]).resolve().is_relative_to(folder.resolve())]
    if not own:
        return None
    for row in own:
        path = table.parent / row["file"]
        if not path.is_file():
            raise FormatError(f"wanted the clip {row['file']} that {table} names, got no such file")
        if row["enrolled"] == "yes":
            people.setdefault(row["speaker"], []).append(path)
    if not people:
        raise FormatError(f"wanted somebody to enrol in {table}, got nobody with `yes`")
    return people
