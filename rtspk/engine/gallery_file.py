"""The gallery's SQLite file: opened with care, written in whole transactions, its errors in one line.

It is readable by any SQLite tool. Whatever fails, the file keeps what it held before.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from rtspk.errors import GalleryError, RtspkError, StorageError

__all__ = ["GalleryFile", "Value"]

Value = str | int | float | bytes

APPLICATION = 0x72747370  # "rtsp": tells our files from other programs' (PRAGMA application_id)
VERSION = 1  # of the tables (PRAGMA user_version)
MAGIC = b"SQLite format 3\x00"
REFUSED = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
LITTLE_ROOM = 1 << 20  # an I/O error with less than this free is a full disk

NOW = "DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))"
SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"""CREATE TABLE speakers (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL {NOW})""",
    f"""CREATE TABLE exemplars (
        id INTEGER PRIMARY KEY,
        speaker INTEGER NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
        vector BLOB NOT NULL, -- float32, little-endian, unit length
        source TEXT NOT NULL, -- what it was made from
        net_speech INTEGER NOT NULL, -- samples at 16 kHz
        quality REAL NOT NULL, -- 0 to 1
        created TEXT NOT NULL {NOW})""",
    "CREATE INDEX exemplars_of_speaker ON exemplars (speaker)",
)


class GalleryFile:
    """One connection to one gallery. Not safe for threads by itself: the gallery above holds the lock.

    Args:
        path: the file; None keeps everything in memory.
        model: id of the model whose prints it holds.
        dimension: length of a print.
        create: make the file and its folders where they are missing.
        busy_seconds: how long to wait for another program that is writing.
    """

    def __init__(
        self, path: Path | None, model: str, dimension: int, *, create: bool, busy_seconds: float
    ) -> None:
        self.where = "in memory" if path is None else str(path)
        self._path = path
        self._busy_seconds = busy_seconds
        if path is not None:
            self._prepare(path, create=create)
        with self._translated():
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path,
                timeout=busy_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._open(model, dimension)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._connection.close()

    def read(self, sql: str, *values: Value) -> list[tuple[Value, ...]]:
        """All rows of a query; none of it stays open, so that no reader holds up a writer."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def write(self, sql: str, *values: Value) -> int:
        """Change rows inside `writing`; returns the id of the row last inserted."""
        return self._connection.execute(sql, values).lastrowid or 0

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """All changes inside are made together, or none of them."""
        with self._translated(), self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """All reads inside see the gallery at one moment."""
        with self._translated(), self._transaction("BEGIN"):
            yield

    def data_version(self) -> int:
        """A number that changes when another connection has changed the gallery."""
        return int(self.read("PRAGMA data_version")[0][0])

    def mark_unclean(self) -> None:
        """Note, inside `writing`, that something deleted still has to be wiped out of the file."""
        self.write("INSERT OR REPLACE INTO meta VALUES ('unclean', '1')")

    def wipe(self) -> None:
        """Rewrite the file so that nothing deleted is left in it, nor in its write-ahead log.

        SQLite's `secure_delete` overwrites freed cells, but now and then (measured: one row in two thousand)
        a page that was rebalanced keeps a copy; rewriting the whole file leaves none.
        """
        try:
            self._connection.execute("VACUUM")
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                self._connection.execute("DELETE FROM meta WHERE key = 'unclean'")
                return
            reason = "another program that reads it"
        except sqlite3.Error as error:
            reason = str(error)
        raise StorageError(
            f"wanted to wipe what was deleted out of the gallery {self.where}, got {reason}: "
            "the name is gone, its traces go when the gallery is next opened"
        )

    def _prepare(self, path: Path, *, create: bool) -> None:
        """Look at the file before SQLite does, so that nothing that is not a gallery is ever changed."""
        try:
            if path.is_dir():
                raise GalleryError(f"wanted a gallery (an SQLite file), got the folder {path}")
            if not path.exists():
                if not create:
                    raise GalleryError(f"wanted a gallery at {path}, got no such file: enroll a voice first")
                path.parent.mkdir(parents=True, exist_ok=True)
                # Voices are personal: the file, and with it SQLite's -wal and -shm, is its owner's alone.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with path.open("rb") as file:
                head = file.read(len(MAGIC))
        except OSError as error:
            raise StorageError(f"wanted to open the gallery {path}, got {error.strerror or error}") from error
        if head not in {b"", MAGIC}:
            raise GalleryError(f"wanted a gallery (an SQLite file), got something else at {path}")

    def _open(self, model: str, dimension: int) -> None:
        with self._translated():
            run = self._connection.execute
            for pragma in ("foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY"):
                run(f"PRAGMA {pragma}")
            if run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._check(model, dimension)
                unclean = bool(run("SELECT 1 FROM meta WHERE key = 'unclean'").fetchall())
            else:
                self._create(model, dimension)
                unclean = False
            self._switch_to_log()
        if unclean:
            with contextlib.suppress(StorageError):
                self.wipe()  # it is tried again at the next opening

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
            if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
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
        if version != VERSION:
            raise GalleryError(
                f"wanted a gallery of version {VERSION}, got version {version} at {self.where}: "
                "use the version of rtspk that made it"
            )
        verdict = run("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise GalleryError(f"wanted a sound gallery, got a damaged one at {self.where}: use a backup")
        meta = dict(run("SELECT key, value FROM meta").fetchall())
        made_by, made_with = meta.get("model"), meta.get("dimension")
        if (made_by, made_with) != (model, str(dimension)):
            raise GalleryError(
                f"wanted a gallery of the model {model} ({dimension}-d), got one of "
                f"{made_by} ({made_with}-d) at {self.where}: "
                "load that model, or enroll the voices again into another file "
                "(`rtspk models list` shows what is installed, --model ID loads it)"
            )

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
            raise GalleryError(f"wanted an open gallery, got a closed one ({self.where})") from error
        except sqlite3.Error as error:
            raise self._error_for(error) from error

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
            return GalleryError(f"wanted a sound gallery, got a damaged one at {self.where}: use a backup")
        if code in REFUSED:
            return StorageError(f"wanted to read and write the gallery {self.where}, got: {error}")
        return GalleryError(f"wanted a sound gallery at {self.where}, got: {error}")

    def _disk_is_full(self) -> bool:
        return self._path is not None and shutil.disk_usage(self._path.parent).free < LITTLE_ROOM
