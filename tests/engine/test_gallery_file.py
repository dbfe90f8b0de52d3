"""The gallery's file: private, readable, refused where it is none, whole on a full disk."""

import gc
import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from rtspk.engine.gallery import Gallery
from rtspk.errors import DamagedGalleryError, GalleryError, StorageError
from tests.engine.conftest import MODEL, message, open_gallery, prints
from tests.engine.conftest import PRINT_DIMENSION as DIMENSION


def test_folders_are_made_and_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "a" / "b" / "voices.db"
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_a_missing_gallery_is_not_made_unasked(path):
    with pytest.raises(GalleryError, match="got no such file: enroll a voice first"):
        open_gallery(path, create=False)
    assert not path.exists()


def test_any_sqlite_tool_reads_the_names(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1, 2), "anna.wav")
    plain = sqlite3.connect(path)
    rows = plain.execute(
        "SELECT name, source, net_speech, length(vector) FROM exemplars JOIN speakers s ON speaker = s.id"
    ).fetchall()
    meta = dict(plain.execute("SELECT * FROM meta").fetchall())
    plain.close()
    assert rows == [("Anna", "anna.wav", 32_000, 4 * DIMENSION)] * 2
    assert meta == {"model": MODEL, "dimension": "64"}


@pytest.mark.parametrize(("model", "dimension"), [("other-model", 64), (MODEL, 192)])
def test_another_models_gallery_is_refused_and_left_alone(path, model, dimension):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
    before = path.read_bytes()
    with pytest.raises(GalleryError) as caught:
        Gallery.open(path, model, dimension)
    said = message(caught)
    assert f"wanted a gallery of the model {model} ({dimension}-d), got one of test-model (64-d)" in said
    assert "load that model, or enroll the voices again into another file" in said
    assert path.read_bytes() == before


def schema_of_no_text(path):
    open_gallery(path).close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE", b"CREATE \x98ABLE"))


def a_counter_that_is_no_number(path):
    open_gallery(path).close()
    other = sqlite3.connect(path)
    other.execute("INSERT OR REPLACE INTO meta VALUES ('unclean', 'x'), ('removals', 'x')")
    other.commit()
    other.close()


def foreign(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.commit()
    other.close()


def newer(path):
    open_gallery(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 9")
    other.close()


def cut_short(path):
    with open_gallery(path) as gallery:
        for number in range(50):
            gallery.add(f"n{number}", prints(number, 3), "x")
    path.write_bytes(path.read_bytes()[:20_000])


def overwritten(path):
    with open_gallery(path) as gallery:
        for number in range(50):
            gallery.add(f"n{number}", prints(number, 3), "x")
    data = bytearray(path.read_bytes())
    data[4096 : len(data) : 7] = b"\xa5" * len(data[4096 : len(data) : 7])
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda path: path.write_text("not a gallery at all\n"), "got something else at"),
        (lambda path: path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000), "got a damaged one at"),
        (foreign, "got another program's SQLite file at"),
        (newer, "wanted a gallery of version 2, got version 9"),
        (cut_short, "got a damaged one at"),
        (overwritten, "got a damaged one at"),
        (schema_of_no_text, "got a damaged one at"),
        (a_counter_that_is_no_number, "got a damaged one at"),
    ],
)
def test_a_file_that_is_no_sound_gallery_is_refused_in_one_line_and_left_alone(path, make, wanted):
    make(path)
    before = path.read_bytes()
    with pytest.raises(GalleryError) as caught:
        open_gallery(path)
    assert wanted in message(caught)
    assert path.read_bytes() == before


def test_a_folder_is_no_gallery(tmp_path):
    with pytest.raises(GalleryError, match="got the folder"):
        open_gallery(tmp_path)


def test_an_empty_file_becomes_a_gallery(path):
    path.touch()
    with open_gallery(path) as gallery:
        assert gallery.add("Anna", prints(1), "a").exemplars == 1


def test_an_empty_file_becomes_nobodys_gallery(path):
    path.touch()
    with pytest.raises(GalleryError, match="got an empty file: enroll a voice first"):
        Gallery.open(path, "", 0, create=False)
    with open_gallery(path) as gallery:
        assert gallery.add("Anna", prints(1), "a").exemplars == 1


def test_a_vector_that_was_damaged_inside_the_file_is_noticed(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
    other = sqlite3.connect(path)
    other.execute("UPDATE exemplars SET vector = zeroblob(length(vector))")
    other.commit()
    other.close()
    with open_gallery(path) as gallery, pytest.raises(GalleryError, match="got damaged ones"):
        gallery.search(prints(1)[0].vector, 1)


def test_a_name_that_the_index_of_names_places_elsewhere_is_noticed(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
        gallery.add("Ben", prints(2), "b")
    data = path.read_bytes()
    assert b"\x01Ben\x02" in data
    path.write_bytes(data.replace(b"\x01Ben\x02", b"\x01Ben\x63"))
    with open_gallery(path) as gallery, pytest.raises(DamagedGalleryError, match="got a damaged one"):
        gallery.show("Ben")


def test_a_gallery_that_nobody_closes_is_closed_when_it_goes(path):
    gallery = open_gallery(path)
    connection = gallery._file._connection
    assert connection.execute("SELECT 1").fetchone() == (1,)
    del gallery
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_closed_gallery_refuses_and_closes_again(gallery):
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="wanted an open gallery, got a closed one"):
        gallery.add("Anna", prints(1), "a")
    with pytest.raises(GalleryError, match="wanted an open gallery, got a closed one"):
        gallery.search(prints(1)[0].vector, 1)


# Full disks


def test_a_full_gallery_says_so_and_loses_nothing(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
        pages = gallery._file.read("PRAGMA page_count")[0][0]
        gallery._file.read(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StorageError) as caught:
            gallery.add("Ben", prints(2, 200), "b")
        assert message(caught).endswith("got a full disk; nothing in it was changed")
        assert [one.name for one in gallery.speakers()] == ["Anna"]
        assert [name for name, _ in gallery.search(prints(2)[0].vector, 5)] == ["Anna"]
        gallery._file.read("PRAGMA max_page_count = 1000000")
        gallery.add("Ben", prints(2, 200), "b")
        assert gallery.search(prints(2, 200)[9].vector, 1)[0][0] == "Ben"


ON_A_FULL_DISK = """
import subprocess, sys
from pathlib import Path
import numpy as np
from rtspk.engine.gallery import Gallery
from rtspk.errors import StorageError
from rtspk.types import Embedding, Segment

disk = Path(sys.argv[1])
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True).returncode:
    sys.exit(77)
rng = np.random.default_rng(1)
prints = [Embedding(row, Segment(0, 1), 1) for row in rng.normal(size=(50, 64)).astype(np.float32)]
gallery = Gallery.open(disk / "voices.db", "m", 64)
stored = 0
try:
    while stored < 1000:
        gallery.add(f"name {stored}", prints, "x")
        stored += 1
except StorageError as error:
    print(error)
names = len(gallery)
gallery.close()
again = Gallery.open(disk / "voices.db", "m", 64)
print(names == stored == len(again), 0 < stored < 1000, all(one.exemplars == 50 for one in again.speakers()))
filler = (disk / "filler").open("wb", buffering=0)
try:
    while filler.write(b"x" * 4096):
        pass
except OSError:
    pass
try:
    again.delete("name 0")
except StorageError as error:
    print(error)
print(len(again))
filler.close()
again.close()
(disk / "filler").unlink()
fresh = Gallery.open(disk / "voices.db", "m", 64)
print(fresh.search(prints[0].vector, 1)[0][1] > 0.999)
"""


ON_A_DISK_TO_READ = """
import subprocess, sys
from pathlib import Path
import numpy as np
from rtspk.engine.gallery import Gallery
from rtspk.errors import StorageError
from rtspk.types import Embedding, Segment

disk = Path(sys.argv[1])
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True).returncode:
    sys.exit(77)
anna, ben = [[Embedding(row, Segment(0, 1), 1)] for row in np.eye(64, dtype=np.float32)[:2]]
with Gallery.open(disk / "voices.db", "m", 64) as gallery:
    gallery.add("Anna", anna, "x")
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
with Gallery.open(disk / "voices.db", "m", 64) as gallery:
    print(gallery.search(anna[0].vector, 1)[0][0], gallery.show("Anna").exemplars[0].source)
    for change in (lambda: gallery.add("Ben", ben, "x"), lambda: gallery.delete("Anna")):
        try:
            change()
        except StorageError as error:
            print(error)
print(len(list(disk.iterdir())))
"""


def on_a_disk_of_its_own(program, disk):
    """Run a program that mounts a disk, which lives in a namespace of its own and goes with the process."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a small disk can be made on Linux only")
    disk.mkdir()
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", program, str(disk)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
    except FileNotFoundError:
        pytest.skip("unshare is not here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no small disk can be mounted here")
    return done


def test_a_gallery_that_can_only_be_read_is_read(tmp_path):
    done = on_a_disk_of_its_own(ON_A_DISK_TO_READ, tmp_path / "disk")
    assert done.returncode == 0, done.stderr
    found, *refused, files = done.stdout.splitlines()
    assert (found, files) == ("Anna x", "1")
    assert len(refused) == 2
    assert all("attempt to write a readonly database" in line for line in refused)


def test_on_a_disk_that_is_really_full_nothing_is_lost(tmp_path):
    done = on_a_disk_of_its_own(ON_A_FULL_DISK, tmp_path / "disk")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "got a full disk; nothing in it was changed" in lines[0]
    assert lines[1] == "True True True"
    assert "got a full disk" in lines[2]
    assert lines[-1] == "True"
