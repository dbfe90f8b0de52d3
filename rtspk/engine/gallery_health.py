"""A gallery's file looked at from outside, whoever's model made it and however damaged it is."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rtspk.engine.gallery_file import WAY_OUT, vectors_of
from rtspk.engine.gallery_place import BESIDE, uri_of
from rtspk.errors import GalleryError

__all__ = ["count_names", "damage", "is_private", "made_by", "make_private"]

OTHERS = 0o077  # what a file's mode says of everybody but its owner
AT_ONCE = 4_096  # prints that are checked at once


def made_by(path: Path) -> tuple[str, int] | None:
    """The id and dimension of the model that made a gallery; None where the file does not say."""
    try:
        with _read_only(path) as connection:
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        return str(meta["model"]), int(meta["dimension"])
    except (sqlite3.Error, KeyError, ValueError):
        return None


def count_names(path: Path) -> int:
    """How many names are in a gallery that is sound."""
    with _read_only(path) as connection:
        return int(connection.execute("SELECT count(*) FROM speakers").fetchone()[0])


def damage(path: Path) -> str:
    """What is wrong with a gallery's file, or nothing: pages, tables, and every print."""
    try:
        with _read_only(path) as connection:
            verdict = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            connection.execute("SELECT count(*) FROM speakers").fetchone()
            dimension = int(
                connection.execute("SELECT value FROM meta WHERE key = 'dimension'").fetchone()[0]
            )
            rows = connection.execute("SELECT vector FROM exemplars")
            while some := rows.fetchmany(AT_ONCE):
                vectors_of([row[0] for row in some], dimension, str(path))
    except (sqlite3.Error, TypeError, ValueError) as error:
        return f"wanted a gallery at {path}, got: {error}; {WAY_OUT}"
    except GalleryError as error:
        return str(error)
    return "" if verdict == "ok" else f"damaged at {path}: {verdict.splitlines()[-1]}; {WAY_OUT}"


def is_private(path: Path) -> bool:
    """Whether its owner alone may read it, where a file's mode says so."""
    return sys.platform == "win32" or not path.stat().st_mode & OTHERS


def make_private(path: Path) -> None:
    """Let its owner alone read and write it, and what SQLite keeps beside it."""
    for end in BESIDE:
        part = path.with_name(path.name + end)
        if part.exists():
            part.chmod(0o600)


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri_of(path, to_read=True), uri=True)) as connection:
        yield connection
