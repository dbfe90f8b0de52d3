"""The gallery's SQLite file: opened with care, written in whole transactions, its errors in one line.

It is readable by any SQLite tool. Whatever fails, the file keeps what it held before.
"""

import contextlib
import os
import shutil
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.gallery_place import file_at, prepare, uri_of
from rtspk.engine.gallery_tables import APPLICATION, FROM_FIRST, MAGIC, PAGE, SCHEMA, VERSION
from rtspk.errors import DamagedGalleryError, GalleryError, RtspkError, StorageError
from rtspk.types import FloatArray

__all__ = ["STORED", "WAY_OUT", "GalleryFile", "Value", "default_gallery", "vectors_of"]

Value = str | int | float | bytes

CHECKED = 64 << 20  # bytes: a larger file is looked through by `rtspk doctor`, not at every opening
AT_ONCE = 2_048  # rows with vectors that are read at once
STORED = np.dtype("<f4")  # how the file holds a vector, on any machine
REFUSED = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
LITTLE_ROOM = 1 << 20  # an I/O error with less than this free is a full disk

WAY_OUT = "`rtspk doctor --repair` saves what can be read, or use a backup"


def default_gallery() -> Path:
    """Where voices are kept: RTSPK_GALLERY, or a file in the user's data directory."""
    from platformdirs import user_data_path

    named = os.environ.get("RTSPK_GALLERY")
    return Path(named) if named else user_data_path("rtspk", appauthor=False) / "voices.db"


class GalleryFile:
    """One connection to one gallery. Not safe for threads by itself: the gallery above holds the lock.

    Args:
        path: the file; None keeps everything in memory.
        model: id of the model whose prints it holds.
        dimension: length of a print; 0 makes no gallery of an empty file.
        create: make the file and its folders where they are missing.
        busy_seconds: how long to wait for another program that is writing.
    """

    def __init__(
        self, path: Path | None, model: str, dimension: int, *, create: bool, busy_seconds: float
    ) -> None:
        self.where = "in memory" if path is None else str(path)
        self.on_disk = path is not None
        self._path = None if path is None else path.absolute()
        self._model, self._dimension = model, dimension
        self._busy_seconds = busy_seconds
        if path is not None:
            prepare(path, create=create)
        with self._translated():
            self._connection = sqlite3.connect(
                ":memory:" if self._path is None else uri_of(self._path),
                uri=True,
                timeout=busy_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
        self._closing = weakref.finalize(self, self._connection.close)  # also where nobody closes it
        self._opened = None if self._path is None else file_at(self._path)
        try:
            self._open(model, dimension)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._closing()

    def another(self) -> "GalleryFile":
        """Open another connection to the same file, for another thread."""
        return GalleryFile(
            self._path, self._model, self._dimension, create=False, busy_seconds=self._busy_seconds
        )

    def read(self, sql: str, *values: Value) -> list[tuple[Value, ...]]:
        """All rows of a query; none of it stays open, so that no reader holds up a writer."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def read_vectors(self, sql: str, *values: Value) -> tuple[NDArray[np.int64], FloatArray]:
        """Many vectors at once, without a Python object for each that stays.

        Args:
            sql: selects an id, an owner and a vector
            values: of its marks

        Returns:
            ids and owners, int64 [shape=(n, 2)], and vectors, float32 [shape=(n, dimension)]
        """
        numbers, parts = [np.zeros((0, 2), np.int64)], [np.zeros((0, self._dimension), np.float32)]
        with self._translated():
            cursor = self._connection.execute(sql, values)
            while rows := cursor.fetchmany(AT_ONCE):
                numbers.append(np.array([row[:2] for row in rows], np.int64))
                parts.append(vectors_of([row[2] for row in rows], self._dimension, self.where))
        return np.concatenate(numbers), np.concatenate(parts)

    def write(self, sql: str, *values: Value) -> int:
        """Change rows inside `writing`; returns the id of the row last inserted."""
        return self._connection.execute(sql, values).lastrowid or 0

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """All changes inside are made together, or none of them."""
        with self._translated(), self._transaction("BEGIN IMMEDIATE"):
            self._check_place()
            yield

    def _check_place(self) -> None:
        """See that what is written is written where others will read it."""
        if self._path is None:
            return
        now = file_at(self._path)
        if now != self._opened:
            got = "nothing there any more" if now is None else "another file in its place"
            raise StorageError(
                f"wanted the gallery {self.where} that was opened, got {got}: open it again; "
                "nothing was changed"
            )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """All reads inside see the gallery at one moment, that of `writing` where they are inside it too."""
        whole = contextlib.nullcontext() if self._connection.in_transaction else self._transaction("BEGIN")
        with self._translated(), whole:
            yield

    def data_version(self) -> int:
        """A number that changes when another connection has changed the gallery."""
        return int(self.read("PRAGMA data_version")[0][0])

    def counter(self, key: str) -> int:
        """A number that the gallery keeps under a key, 0 at first."""
        rows = self.read("SELECT value FROM meta WHERE key = ?", key)
        try:
            return int(rows[0][0]) if rows else 0
        except (TypeError, ValueError) as error:
            raise self.damaged() from error

    def count_up(self, key: str) -> None:
        """Raise such a number by one, inside `writing`."""
        self.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, str(self.counter(key) + 1))

    def mark_unclean(self) -> None:
        """Note, inside `writing`, that what was just removed still has to be wiped out of the file."""
        self.write("INSERT OR REPLACE INTO meta VALUES ('unclean', ?)", str(self.counter("removals")))

    def damaged(self) -> DamagedGalleryError:
        """What to raise where rows do not fit together."""
        return DamagedGalleryError(f"wanted a sound gallery, got a damaged one at {self.where}: {WAY_OUT}")

    def wipe(self) -> None:
        """Rewrite the file so that nothing deleted is left in it, nor in its write-ahead log.

        SQLite's `secure_delete` overwrites freed cells, but now and then (measured: one row in two thousand)
        a page that was rebalanced keeps a copy; rewriting the whole file leaves none.
        """
        try:
            marked = str(self.counter("unclean"))
            self._connection.execute("VACUUM")
            if self._empty_log():
                # What somebody else removed meanwhile has another mark.
                sql = "DELETE FROM meta WHERE key = 'unclean' AND value = ?"
                self._connection.execute(sql, (marked,))
                return
            reason = "another program that reads it"
        except sqlite3.Error as error:
            reason = str(error)
        raise StorageError(
            f"wanted to wipe what was deleted out of the gallery {self.where}, got {reason}: "
            "the name is gone, its traces go when the gallery is next opened"
        )

    def _empty_log(self) -> bool:
        """Move the log into the file; SQLite waits for who reads it, but not for who moves it too."""
        give_up = time.monotonic() + self._busy_seconds
        while self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        return True

    def _open(self, model: str, dimension: int) -> None:
        with self._translated():
            run = self._connection.execute
            for pragma in ("foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY"):
                run(f"PRAGMA {pragma}")
            if self._has_tables():
                self._check(model, dimension)
                self._migrate()
                unclean = bool(run("SELECT 1 FROM meta WHERE key = 'unclean'").fetchall())
            elif not dimension:
                raise GalleryError(
                    f"wanted a gallery at {self.where}, got an empty file: enroll a voice first"
                )
            else:
                run(f"PRAGMA page_size = {PAGE}")
                self._create(model, dimension)
                unclean = False
            self._switch_to_log()
        if unclean:
            with contextlib.suppress(StorageError):
                self.wipe()  # it is tried again at the next opening

    def _has_tables(self) -> bool:
        try:
            return bool(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB or self._begins_well():
                raise
            raise GalleryError(
                f"wanted a gallery (an SQLite file), got something else at {self.where}"
            ) from error

    def _begins_well(self) -> bool:
        """Whether what SQLite takes for no database was one; nobody holds a lock on such a file."""
        if self._path is None:
            return True
        with self._path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC

    def _switch_to_log(self) -> None:
        """Use a write-ahead log; SQLite itself does not wait here for others that have the file open."""
        give_up = time.monotonic() + self._busy_seconds
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
            else:
                return

    def _create(self, model: str, dimension: int) -> None:
        with self._transaction("BEGIN IMMEDIATE"):
            if self._has_tables():
                return self._check(model, dimension)  # another program was faster
            for statement in SCHEMA:
                self._connection.execute(statement)
            meta = [("model", model), ("dimension", str(dimension))]
            self._connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
        return None

    def _check(self, model: str, dimension: int) -> None:
        run = self._connection.execute
        if run("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise GalleryError(f"wanted a gallery, got another program's SQLite file at {self.where}")
        version = run("PRAGMA user_version").fetchone()[0]
        if not 1 <= version <= VERSION:
            raise GalleryError(
                f"wanted a gallery of version {VERSION}, got version {version} at {self.where}: "
                "use the version of rtspk that made it"
            )
        size = run("PRAGMA page_count").fetchone()[0] * run("PRAGMA page_size").fetchone()[0]
        if size <= CHECKED and run("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise self.damaged()
        meta = dict(run("SELECT key, value FROM meta").fetchall())
        made_by, made_with = meta.get("model"), meta.get("dimension")
        if (made_by, made_with) != (model, str(dimension)):
            raise GalleryError(
                f"wanted a gallery of the model {model} ({dimension}-d), got one of "
                f"{made_by} ({made_with}-d) at {self.where}: "
                "load that model, or enroll the voices again into another file "
                "(`rtspk models list` shows what is installed, --model ID loads it; "
                "`rtspk speakers reenroll` does it where clips were kept)"
            )

    def _migrate(self) -> None:
        """Bring the tables of an older version to today's; nothing is lost, older programs refuse them."""
        if self._connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        with self._transaction("BEGIN IMMEDIATE"):
            if self._connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
                return  # another program was faster
            for statement in FROM_FIRST:
                self._connection.execute(statement)

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what SQLite reports in one line of ours."""
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise DamagedGalleryError(f"wanted an open gallery, got a closed one ({self.where})") from error
        except sqlite3.Error as error:
            raise self._error_for(error) from error
        except UnicodeDecodeError as error:  # SQLite quotes what it cannot read
            raise self.damaged() from error

    def _error_for(self, error: sqlite3.Error) -> RtspkError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without the extended part
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._disk_is_full()):
            return StorageError(
                f"wanted room for the gallery {self.where}, got a full disk; nothing in it was changed"
            )
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return StorageError(
                f"wanted the gallery {self.where} within {self._busy_seconds:g} s, "
                "got it locked by another program; try again"
            )
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return self.damaged()
        if code in REFUSED:
            return StorageError(f"wanted to read and write the gallery {self.where}, got: {error}")
        return DamagedGalleryError(f"wanted a sound gallery at {self.where}, got: {error}")

    def _disk_is_full(self) -> bool:
        return self._path is not None and shutil.disk_usage(self._path.parent).free < LITTLE_ROOM


def vectors_of(blobs: Sequence[Value], dimension: int, where: str) -> FloatArray:
    """Stored vectors as float32 [shape=(blobs, dimension)]; one that is damaged is refused."""
    data = b"".join(blob for blob in blobs if isinstance(blob, bytes))
    if len(data) == len(blobs) * dimension * STORED.itemsize:
        vectors = np.frombuffer(data, dtype=STORED).reshape(-1, dimension).astype(np.float32)
        if (np.abs(np.einsum("nd,nd->n", vectors, vectors) - 1.0) < 1e-3).all():
            return vectors
    raise DamagedGalleryError(f"wanted unit vectors, got damaged ones in the gallery {where}: {WAY_OUT}")
