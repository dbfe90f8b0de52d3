"""One gallery takes another's place: there is one at every instant, and who has the former open finds out."""

import subprocess
import sys

import pytest

from rtspk.engine.gallery_place import take_place
from rtspk.errors import StorageError
from tests.engine.conftest import open_gallery, prints

KILLED_AT = """
import os, sys
from pathlib import Path
from rtspk.engine.gallery_place import take_place
left = [int(sys.argv[1])]
def die_in_time(event, arguments):
    if event in ("os.link", "os.remove", "os.rename"):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
sys.addaudithook(die_in_time)
take_place(*map(Path, sys.argv[2:]))
"""


@pytest.mark.parametrize("step", range(6))
def test_a_process_that_is_killed_while_galleries_change_places_leaves_one_there(tmp_path, step):
    path, fresh, aside = tmp_path / "voices.db", tmp_path / "fresh.db", tmp_path / "aside.db"
    for file, name in ((path, "Anna"), (fresh, "Ben")):
        with open_gallery(file) as gallery:
            gallery.add(name, prints(1), "x")
    arguments = [sys.executable, "-c", KILLED_AT, str(step), fresh, path, aside]
    done = subprocess.run(arguments, check=False)
    with open_gallery(path, create=False) as gallery:
        names = [one.name for one in gallery.speakers()]
    assert names == (["Ben"] if done.returncode == 0 else ["Anna"])
    if done.returncode == 0:
        with open_gallery(aside, create=False) as gallery:
            assert [one.name for one in gallery.speakers()] == ["Anna"]


def test_nothing_is_stored_in_a_gallery_that_is_not_in_its_place_any_more(tmp_path, monkeypatch):
    path, fresh = tmp_path / "voices.db", tmp_path / "fresh.db"
    open_gallery(fresh).close()
    monkeypatch.chdir(tmp_path)
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "x")
        take_place(fresh, path, tmp_path / "aside.db")
        with pytest.raises(StorageError, match="got another file in its place"):
            gallery.add("Ben", prints(2), "x")
        path.unlink()
        with pytest.raises(StorageError, match="got nothing there any more"):
            gallery.delete("Anna")
        assert [one.name for one in gallery.speakers()] == ["Anna"]


def test_a_gallery_is_known_again_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_gallery(tmp_path.relative_to(tmp_path) / "voices.db") as gallery:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        gallery.add("Anna", prints(1), "x")
        assert len(gallery) == 1
