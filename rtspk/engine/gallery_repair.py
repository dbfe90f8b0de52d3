"""Save what can be read of a damaged gallery into a new one; the damaged file is kept beside it."""

import json
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery import Gallery
from rtspk.engine.gallery_clips import unpacked, write_clips
from rtspk.engine.gallery_file import STORED, GalleryFile
from rtspk.engine.gallery_pages import Pages
from rtspk.engine.gallery_place import forget, take_place
from rtspk.engine.gallery_records import MOST_SPEECH, Exemplar, SpeakerDetail, clean_name, unit_vectors
from rtspk.engine.gallery_tables import APPLICATION, VERSION
from rtspk.errors import ConfigError, GalleryError, StorageError

__all__ = ["Repair", "repair"]

EARLIER = "1970-01-01T00:00:00Z"


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


def repair(path: Path, model_id: str, dimension: int, *, busy_seconds: float = 5.0) -> Repair:
    """Put a sound gallery in a damaged one's place, with all that can still be read.

    That is names, prints, the clips that were kept, and what scores mean in this deployment.

    Args:
        path: the damaged file
        model_id: of the model that made its prints, where the file itself does not say so any more
        dimension: of its prints, likewise
        busy_seconds: how long to wait for another program that is writing

    Raises:
        GalleryError: it is another program's, or of a newer version, or no print of it can be read.
        StorageError: another program is writing to it.
    """
    with closing(sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)) as guard:
        _hold(guard, path)
        damaged = Pages(path)
        _refuse_strangers(damaged, path)
        meta = {key: value for key, value in damaged.pairs() if isinstance(value, str)}
        model_id = meta.get("model", model_id)
        with suppress(KeyError, ValueError):  # what the caller knows is then right
            dimension = int(meta["dimension"])
        people, lost, nameless = _saved(damaged, dimension)
        prints = sum(len(one.exemplars) for one in people.values())
        if not prints:
            raise GalleryError(f"wanted prints that can still be read in {path}, got none: use a backup")
        fresh = path.with_name(f".{path.name}.repaired")
        forget(fresh)
        with Gallery.open(fresh, model_id, dimension) as gallery:
            gallery.take(people.values())
            with suppress(KeyError, TypeError, ValueError, ConfigError):  # none, or none that can be read
                gallery.calibrate(Calibration(**json.loads(meta["calibration"])))
        names = {speaker: one.name for speaker, one in people.items()}
        with closing(GalleryFile(fresh, model_id, dimension, create=False, busy_seconds=5.0)) as file:
            clips, lost_clips = _copy_clips(damaged, names, file)
        kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        take_place(fresh, path, kept)
    return Repair(len(people), prints, lost, nameless, clips, lost_clips, kept)


def _hold(guard: sqlite3.Connection, path: Path) -> None:
    """Keep others from writing what the repaired gallery would lack; where they can write at all."""
    try:
        guard.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise StorageError(
                f"wanted to repair the gallery {path}, got it locked by another program; try again"
            ) from error


def _refuse_strangers(damaged: Pages, path: Path) -> None:
    if not damaged.begins_well:
        return  # a damaged head says nothing
    application, version = damaged.number(68), damaged.number(60)
    if application != APPLICATION:
        raise GalleryError(f"wanted a gallery, got another program's SQLite file at {path}")
    if version > VERSION:
        raise GalleryError(f"wanted a gallery of version {VERSION} at most, got {version} at {path}")


def _saved(damaged: Pages, dimension: int) -> tuple[dict[int, SpeakerDetail], int, int]:
    """People by id with the prints that are sound, how many are not, and how many names are gone."""
    names: dict[int, tuple[str, str]] = {}
    for number, name, created in damaged.rows(3):
        try:
            names[int(str(number))] = clean_name(str(name)), str(created)
        except (GalleryError, ValueError):
            continue
    for name, number in damaged.pairs():  # the index of the names has each of them a second time
        with suppress(GalleryError):
            if isinstance(number, int):
                names.setdefault(number, (clean_name(name), EARLIER))
    found: dict[int, list[Exemplar]] = {}
    lost = 0
    for _, speaker, vector, source, net_speech, quality, created in damaged.rows(7):
        try:
            values = np.frombuffer(vector if isinstance(vector, bytes) else b"", STORED)
            (sound,) = unit_vectors([values.astype(np.float32)], dimension)
            one = Exemplar(
                sound,
                str(source),
                min(MOST_SPEECH, max(0, int(str(net_speech)))),
                min(1.0, max(0.0, float(str(quality)))),
                str(created),
            )
            found.setdefault(int(str(speaker)), []).append(one)
        except (GalleryError, ValueError):
            lost += 1
    for _, speaker, _, _ in damaged.rows(4):
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


def _copy_clips(damaged: Pages, names: dict[int, str], file: GalleryFile) -> tuple[int, int]:
    """Keep in a sound file the clips that are sound: how many these are, and how many are not."""
    owners = {str(name): int(number) for number, name in file.read("SELECT id, name FROM speakers")}
    saved = lost = 0
    with file.writing():
        for _, speaker, source, packed in damaged.rows(4):
            try:
                sound = unpacked(packed, str(source), file.where)
                owner = owners[names[int(str(speaker))]]
            except (GalleryError, KeyError, ValueError):
                lost += 1
                continue
            write_clips(file, owner, [(str(source), sound)])
            saved += 1
    return saved, lost
