"""Write a file whole or not at all: a reader never sees half of it, and a full disk keeps the old one."""

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from rtspk.errors import ConfigError, StorageError

__all__ = ["bytes_of", "make_folder", "write_atomically"]


def write_atomically(path: Path, data: bytes, *, private: bool = False) -> None:
    """Put data in the file at path, by way of a temporary file beside it; who may read a file stays.

    Args:
        path: where to; its folder must exist. A pipe or device is written to directly.
        data: all of the file.
        private: readable by its owner alone, for files that hold voices.

    Raises:
        StorageError: the disk is full or refuses; what was there before is still there.
        ConfigError: there is no such folder, or path is a folder.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.is_dir():
        raise ConfigError(f"wanted a file to write, got the folder {path}")
    if not target.parent.is_dir():
        raise ConfigError(f"wanted a file in an existing folder, got {path}")
    try:
        if path.exists() and not path.is_file():  # asked of the path: a pipe such as /dev/stdout has no other
            path.write_bytes(data)
        else:
            _replace(target, data, private=private)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(f"wanted room for {len(data)} bytes at {path}, got a full disk") from error
        raise StorageError(f"wanted to write {path}, got {error.strerror or error}") from error


def bytes_of(write: Callable[[io.BytesIO], object]) -> bytes:
    """What something that writes to an open file would put there."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in; one that is there is left as it is.

    Raises:
        ConfigError: a file has its name, or that of a folder above it.
        StorageError: the disk refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"wanted a folder at {path}, got a file in its place") from error
    except OSError as error:
        raise StorageError(f"wanted to make the folder {path}, got {error.strerror or error}") from error


def _replace(target: Path, data: bytes, *, private: bool) -> None:
    kept = stat.S_IMODE(target.stat().st_mode) if target.exists() and not private else None
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}")
    try:
        mode = 0o666 if kept is None and not private else 0o600  # nobody reads it before it may be read
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if kept is not None:
            temporary.chmod(kept)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
