"""Where a gallery lies: which file that is, and how another one takes its place."""

import contextlib
import os
import shutil
from pathlib import Path

from rtspk.errors import GalleryError, StorageError

__all__ = ["BESIDE", "file_at", "forget", "prepare", "take_place", "uri_of"]

BESIDE = ("", "-wal", "-shm")  # what SQLite keeps of a file


def file_at(path: Path) -> tuple[int, int] | None:
    """What tells the file at a path from every other; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def prepare(path: Path, *, create: bool) -> None:
    """Make the file where there is none.

    A file that is there is never opened here: closing it would take away the locks that this process
    holds on it by other connections, and with them what they write
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        if path.is_dir():
            raise GalleryError(f"wanted a gallery (an SQLite file), got the folder {path}")
        if not path.exists():
            if not create:
                raise GalleryError(f"wanted a gallery at {path}, got no such file: enroll a voice first")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Voices are personal: the file, and with it SQLite's -wal and -shm, is its owner's alone.
            with contextlib.suppress(FileExistsError):  # another program was faster
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageError(f"wanted to open the gallery {path}, got {error.strerror or error}") from error


def uri_of(path: Path, *, to_read: bool = False) -> str:
    """How SQLite is to open a gallery.

    A folder that may not be written to has no room for a log: the file is taken as one that stays as it is,
    unless a log lies beside it, which somebody else writes.

    Args:
        path: the file
        to_read: open it for reading alone
    """
    sealed = path.exists() and not os.access(path.parent, os.W_OK)
    if sealed and not path.with_name(path.name + "-wal").exists():
        return f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return f"{path.absolute().as_uri()}?mode={'ro' if to_read else 'rwc'}"


def forget(path: Path) -> None:
    """Take a gallery that nobody has open off the disk, where it is there."""
    for end in BESIDE:
        path.with_name(path.name + end).unlink(missing_ok=True)


def take_place(fresh: Path, path: Path, aside: Path) -> None:
    """Put a closed gallery in the place of another one, which is kept aside.

    There is a gallery at the path at every instant. Who has the former one open finds out when writing.

    Args:
        fresh: the one to come
        path: where the former one is
        aside: where it is kept, with its log
    """
    for end in ("", "-wal"):
        part = path.with_name(path.name + end)
        if part.exists():
            _keep(part, aside.with_name(aside.name + end))
    for end in ("-wal", "-shm"):  # they would be taken for the new one's
        path.with_name(path.name + end).unlink(missing_ok=True)
    fresh.replace(path)


def _keep(part: Path, aside: Path) -> None:
    try:
        os.link(part, aside)
    except OSError:  # a disk that knows no second name for a file
        shutil.copy2(part, aside)
