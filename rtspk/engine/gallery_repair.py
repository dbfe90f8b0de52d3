"""Save what can be read of a damaged gallery into a new one; the damaged file is kept beside it."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery import Gallery
from rtspk.engine.gallery_clips import unpacked, write_clips
from rtspk.engine.gallery_file import STORED, GalleryFile
from rtspk.engine.gallery_records import Exemplar, SpeakerDetail, clean_name, unit_vectors
from rtspk.engine.gallery_tables import APPLICATION, VERSION
from rtspk.errors import ConfigError, GalleryError

__all__ = ["Repair", "repair"]

STEP = 256  # rows that are tried together; where one of them cannot be read, each by itself
FARTHEST = 200_000  # ids that are tried where the file does not say how many it gave
EARLIER = "1970-01-01T00:00:00Z"
BESIDE = ("", "-wal", "-shm")

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """What was saved, and where the damaged file lies now."""

    names: int
    prints: int
    lost: int  # prints that were found damaged; those of pages that are gone nobody can count
    nameless: int  # names that could not be read, and are now "recovered 1", "recovered 2", ...
    clips: int  # sounds that were kept,
    lost_clips: int  # and those that were found damaged
    kept: Path


def repair(path: Path, model_id: str, dimension: int) -> Repair:
    """Put a sound gallery in a damaged one's place, with all that can still be read.

    That is names, prints, the clips that were kept, and what scores mean in this deployment.

    Args:
        path: the damaged file
        model_id: of the model that made its prints, where the file itself does not say so any more
        dimension: of its prints, likewise

    Raises:
        GalleryError: it is another program's, or of a newer version, or no print of it can be read.
    """
    with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as damaged:
        _refuse_strangers(damaged, path)
        meta = {str(key): str(value) for key, value in _all(damaged, "SELECT key, value FROM meta")}
        model_id = meta.get("model", model_id)
        dimension = int(meta.get("dimension", dimension))
        people, lost, nameless = _saved(damaged, dimension)
        prints = sum(len(one.exemplars) for one in people.values())
        if not prints:
            raise GalleryError(f"wanted prints that can still be read in {path}, got none: use a backup")
        fresh = path.with_name(f".{path.name}.repaired")
        for end in BESIDE:
            fresh.with_name(fresh.name + end).unlink(missing_ok=True)
        with Gallery.open(fresh, model_id, dimension) as gallery:
            gallery.take(people.values())
            with suppress(KeyError, TypeError, ValueError, ConfigError):  # none, or none that can be read
                gallery.calibrate(Calibration(**json.loads(meta["calibration"])))
        names = {speaker: one.name for speaker, one in people.items()}
        with closing(GalleryFile(fresh, model_id, dimension, create=False, busy_seconds=5.0)) as file:
            clips, lost_clips = _copy_clips(damaged, names, file)
    kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for end in BESIDE:
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(kept.with_name(kept.name + end))
    os.replace(fresh, path)  # noqa: PTH105 - Path.replace does the same, this says that it is one step
    return Repair(len(people), prints, lost, nameless, clips, lost_clips, kept)


def _refuse_strangers(damaged: sqlite3.Connection, path: Path) -> None:
    try:
        application = int(damaged.execute("PRAGMA application_id").fetchone()[0])
        version = int(damaged.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise GalleryError(f"wanted a gallery at {path}, got: {error}: use a backup") from error
    if application != APPLICATION:
        raise GalleryError(f"wanted a gallery, got another program's SQLite file at {path}")
    if version > VERSION:
        raise GalleryError(f"wanted a gallery of version {VERSION} at most, got {version} at {path}")


def _saved(damaged: sqlite3.Connection, dimension: int) -> tuple[dict[int, SpeakerDetail], int, int]:
    """People by id with the prints that are sound, how many are not, and how many names are gone."""
    names: dict[int, tuple[str, str]] = {}
    for number, name, created in _rows(damaged, "speakers", "id, name, created"):
        try:
            names[int(str(number))] = clean_name(str(name)), str(created)
        except (GalleryError, ValueError):
            continue
    found: dict[int, list[Exemplar]] = {}
    lost = 0
    columns = "id, speaker, vector, source, net_speech, quality, created"
    for _, speaker, vector, source, net_speech, quality, created in _rows(damaged, "exemplars", columns):
        try:
            values = np.frombuffer(vector if isinstance(vector, bytes) else b"", STORED)
            (sound,) = unit_vectors([values.astype(np.float32)], dimension)
            one = Exemplar(
                sound,
                str(source),
                max(0, int(str(net_speech))),
                min(1.0, max(0.0, float(str(quality)))),
                str(created),
            )
            found.setdefault(int(str(speaker)), []).append(one)
        except (GalleryError, ValueError):
            lost += 1
    for _, speaker in _rows(damaged, "clips", "id, speaker"):
        with suppress(ValueError):
            found.setdefault(int(str(speaker)), [])
    people, taken, nameless = {}, {name for name, _ in names.values()}, 0
    for speaker, exemplars in sorted(found.items()):
        if speaker not in names:
            nameless += 1
            number = nameless
            while f"recovered {number}" in taken:
                number += 1
            taken.add(f"recovered {number}")
            names[speaker] = f"recovered {number}", EARLIER
        name, created = names[speaker]
        people[speaker] = SpeakerDetail(name, created, tuple(exemplars))
    return people, lost, nameless


def _copy_clips(damaged: sqlite3.Connection, names: dict[int, str], file: GalleryFile) -> tuple[int, int]:
    """Keep in a sound file the clips that are sound: how many these are, and how many are not."""
    owners = {str(name): int(number) for number, name in file.read("SELECT id, name FROM speakers")}
    saved = lost = 0
    with file.writing():
        for number, speaker, source in _rows(damaged, "clips", "id, speaker, source"):
            rows = _all(damaged, f"SELECT sound FROM clips WHERE id = {number}")
            try:
                sound = unpacked(rows[0][0] if rows else None, str(source), file.where)
                owner = owners[names[int(str(speaker))]]
            except (GalleryError, KeyError, ValueError):
                lost += 1
                continue
            write_clips(file, owner, [(str(source), sound)])
            saved += 1
    return saved, lost


def _rows(damaged: sqlite3.Connection, table: str, columns: str) -> Iterator[Row]:
    """All rows of a table that can be read, in the order of their ids."""
    last, top = 0, _top(damaged, table)
    while last < top:
        try:
            sql = f"SELECT {columns} FROM {table} WHERE id > ? ORDER BY id LIMIT {STEP}"
            rows = damaged.execute(sql, (last,)).fetchall()
        except sqlite3.Error:
            for number in range(last + 1, min(last + STEP, top) + 1):
                yield from _all(damaged, f"SELECT {columns} FROM {table} WHERE id = {number}")
            last += STEP
            continue
        if not rows:
            return
        yield from rows
        last = int(rows[-1][0])


def _top(damaged: sqlite3.Connection, table: str) -> int:
    """The highest id that a row may have; none where there never was such a table."""
    if not _all(damaged, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"):
        return 0
    for sql in (f"SELECT max(id) FROM {table}", f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'"):
        rows = _all(damaged, sql)
        if rows and rows[0][0] is not None:
            return int(str(rows[0][0]))
    return FARTHEST


def _all(damaged: sqlite3.Connection, sql: str) -> list[Row]:
    """The rows of a query; none where it cannot be answered."""
    try:
        return damaged.execute(sql).fetchall()
    except sqlite3.Error:
        return []
