"""Where a gallery lies: which file that is, and how another one takes its place."""

import os
import shutil
from pathlib import Path

__all__ = ["BESIDE", "file_at", "forget", "take_place"]

BESIDE = ("", "-wal", "-shm")  # what SQLite keeps of a file


def file_at(path: Path) -> tuple[int, int] | None:
    """What tells the file at a path from every other; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
