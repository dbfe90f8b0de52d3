"""A file is written whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from rtspk.errors import ConfigError, StorageError
from rtspk.files import make_folder, write_atomically


def test_what_was_written_is_read_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "talk.rttm"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["talk.rttm"]


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "talk.rttm"
    write_atomically(path, b"old")

    def no_room(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(StorageError, match=r"wanted room for 3 bytes at .*, got a full disk"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["talk.rttm"]


def test_a_link_stays_a_link(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_private_file_is_for_its_owner_alone(tmp_path):
    write_atomically(tmp_path / "voices.json", b"x", private=True)
    assert stat.S_IMODE((tmp_path / "voices.json").stat().st_mode) == 0o600


def test_who_may_read_a_file_is_not_changed(tmp_path):
    path = tmp_path / "talk.rttm"
    path.write_bytes(b"old")
    for mode in (0o600, 0o664):
        path.chmod(mode)
        write_atomically(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_device_is_written_to_directly():
    null = Path(os.devnull)
    write_atomically(null, b"gone")
    assert null.is_char_device()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="pipes have no paths here")
def test_a_pipe_such_as_of_a_shell_is_written_to_directly():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file:
        write_atomically(Path(f"/dev/fd/{writing}"), b"talk")
        os.close(writing)
        assert file.read() == b"talk"


def test_folders_are_told_apart_from_files(tmp_path):
    with pytest.raises(ConfigError, match="got the folder"):
        write_atomically(tmp_path, b"x")
    with pytest.raises(ConfigError, match="existing folder"):
        write_atomically(tmp_path / "missing" / "x", b"x")


def test_a_folder_is_not_made_where_a_file_is(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("hello")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=f"wanted a folder at {path}, got a file in its place"):
            make_folder(path)
    with pytest.raises(StorageError, match="wanted to make the folder /proc/rtspk"):
        make_folder(Path("/proc/rtspk"))
