"""The gallery keeps names and voices, whole and private, whatever fails."""

import base64
import gc
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery import Gallery, clean_name
from rtspk.errors import FormatError, GalleryError, RtspkError, StorageError
from rtspk.types import Embedding, Segment

MODEL = "test-model"
DIMENSION = 64


def prints(seed, count=1):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Embedding(vector, Segment(0, 48_000), 32_000) for vector in vectors]


def open_gallery(path, **options):
    return Gallery.open(path, MODEL, DIMENSION, **options)


@pytest.fixture(params=["file", "memory"])
def gallery(request, tmp_path):
    with open_gallery(tmp_path / "voices.db" if request.param == "file" else None) as made:
        yield made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "voices.db"


def bytes_of(path):
    """Everything that SQLite keeps of the gallery on disk."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


def message(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Names and prints


def test_what_is_added_is_found_listed_and_shown(gallery):
    (anna, other), (ben,) = prints(1, 2), prints(2)
    gallery.add("Anna", [anna], "anna1.wav")
    record = gallery.add("Anna", [other], "anna2.wav", qualities=[0.5])
    gallery.add("Ben", [ben], "ben.wav")
    assert (record.name, record.exemplars, record.net_speech) == ("Anna", 2, 64_000)
    assert [one.name for one in gallery.speakers()] == ["Anna", "Ben"]
    assert gallery.speakers()[0] == record
    assert len(gallery) == 2
    assert gallery.search(ben.vector, 1) == [("Ben", pytest.approx(1.0))]
    shown = gallery.show("Anna")
    assert [one.source for one in shown.exemplars] == ["anna1.wav", "anna2.wav"]
    assert [one.quality for one in shown.exemplars] == [1.0, 0.5]
    assert np.array_equal(shown.exemplars[0].vector, anna.vector)
    assert shown.created.endswith("Z")


def test_the_score_of_a_name_is_the_best_of_its_exemplars_and_their_centroid(gallery):
    own = prints(3, 4)
    gallery.add("Anna", own, "a")
    gallery.add("Ben", prints(4, 3), "b")
    middle = np.mean([one.vector for one in own], axis=0)
    found = dict(gallery.search(middle, 2))
    assert found["Anna"] == pytest.approx(1.0, abs=1e-5)
    assert found["Ben"] < 0.9
    assert dict(gallery.search(own[2].vector, 2))["Anna"] == pytest.approx(1.0, abs=1e-5)


def test_the_middle_of_a_names_prints_is_told_and_of_nobody_unknown(gallery):
    own, (ben,) = prints(3, 4), prints(4)
    gallery.add("Anna", own, "a")
    gallery.add("Ben", [ben], "b")
    found = gallery.centroids(["Anna", "Ben", "Cleo"])
    middle = np.sum([one.vector for one in own], axis=0)
    assert list(found) == ["Anna", "Ben"]
    np.testing.assert_allclose(found["Anna"], middle / np.linalg.norm(middle), atol=1e-3)
    np.testing.assert_allclose(found["Ben"], ben.vector, atol=1e-3)


def test_vectors_of_any_length_are_scaled_when_stored_and_when_searched(gallery):
    (anna,) = prints(5)
    gallery.add("Anna", [Embedding(anna.vector * 7, anna.segment, 1)], "a")
    assert np.linalg.norm(gallery.show("Anna").exemplars[0].vector) == pytest.approx(1.0)
    assert gallery.search(anna.vector * 0.01, 1)[0][1] == pytest.approx(1.0)


def test_a_search_of_many_is_the_search_of_each(gallery):
    for seed, name in enumerate(["Anna", "Ben", "Cleo"]):
        gallery.add(name, prints(seed, 2), "x")
    queries = [one.vector for one in prints(9, 4)]
    assert gallery.search_many(queries, 2) == [gallery.search(query, 2) for query in queries]


def test_an_empty_gallery_finds_nobody(gallery):
    assert gallery.search(prints(1)[0].vector, 5) == []
    assert gallery.speakers() == []


def test_what_is_known_is_known_after_reopening(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1, 3), "a.wav")
        before = gallery.speakers()
    with open_gallery(path, create=False) as gallery:
        assert gallery.speakers() == before
        assert gallery.search(prints(1)[0].vector, 1)[0][0] == "Anna"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=300))
def test_a_name_in_any_script_is_stored_in_one_form(name):
    if not name.strip():
        return
    if len(unicodedata.normalize("NFC", name).strip()) > 300:
        return
    try:
        cleaned = clean_name(name)
    except GalleryError:  # bare marks, and marks that turn the direction
        return
    assert cleaned == clean_name(cleaned) == clean_name(unicodedata.normalize("NFD", f" {name} "))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Åsa Öberg",
            "Анна",
            "阿明",
            "आरती",
            "عائشة",
            'O\'Neil "Shorty"',
            "a/b\\c",
            "..",
            "-rf *",
            "%s {0}",
        ),
        *("n" * 300, "'; DROP TABLE speakers; --", "👩🏽\u200d🔬", "<b>Anna</b>", "no  double   blanks lost"),
    ],
)
def test_names_of_all_kinds_live_through_a_whole_life(gallery, tmp_path, name):
    (voice,) = prints(1)
    gallery.add(name, [voice], name)
    assert gallery.search(voice.vector, 1)[0][0] == unicodedata.normalize("NFC", name)
    gallery.export(tmp_path / "voices.json")
    gallery.rename(name, "x")
    gallery.rename("x", name)
    gallery.delete(name)
    assert gallery.import_(tmp_path / "voices.json") == 1
    assert gallery.show(name).exemplars[0].source == name


def test_two_spellings_of_one_name_are_one_name(gallery):
    gallery.add("Zoe\u0308", prints(1), "a")
    gallery.add(" Zo\u00eb ", prints(2), "b")
    assert [(one.name, one.exemplars) for one in gallery.speakers()] == [("Zo\u00eb", 2)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("", "wanted a name, got an empty one"),
        (" \t ", "wanted a name, got an empty one"),
        ("a" * 301, "at most 300 characters, got 301"),
        ("An\x00na", r"without control characters, got '\x00' in it"),
        ("An\nna", r"without control characters, got '\n' in it"),
        ("An\u2028na", r"without control characters, got '\u2028' in it"),
        ("An\ud800na", r"without control characters, got '\ud800' in it"),
        ("An\u202ena", r"without control characters, got '\u202e' in it"),
        ("\u200b\u200d", r"wanted a name that can be seen, got '\u200b\u200d'"),
    ],
)
def test_a_name_that_is_none_is_refused(gallery, name, wanted):
    with pytest.raises(GalleryError) as caught:
        gallery.add(name, prints(1), "a")
    assert wanted in message(caught)
    assert len(gallery) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_no_nan_and_no_zero_vector_enters_or_is_searched(gallery, value):
    good = prints(1)[0]
    bad = Embedding(np.full(DIMENSION, value, np.float32), Segment(0, 1), 1)
    with pytest.raises(GalleryError, match="finite vector that is not zero"):
        gallery.add("Anna", [good, bad], "a")
    with pytest.raises(GalleryError, match="finite vector that is not zero"):
        gallery.search(bad.vector, 1)
    assert len(gallery) == 0


def test_what_makes_no_sense_is_refused_and_changes_nothing(gallery):
    good = prints(1)
    with pytest.raises(GalleryError, match=r"wanted a vector of shape \(64,\), got \(65,\)"):
        gallery.add("Anna", [Embedding(np.ones(65, np.float32), Segment(0, 1), 1)], "a")
    with pytest.raises(GalleryError, match="one vector or more, got none"):
        gallery.add("Anna", [], "a")
    with pytest.raises(GalleryError, match="quality from 0 to 1"):
        gallery.add("Anna", good, "a", qualities=[2.0])
    with pytest.raises(GalleryError, match="0 samples or more"):
        gallery.add("Anna", [Embedding(good[0].vector, Segment(0, 1), -1)], "a")
    with pytest.raises(GalleryError, match="one or more names to search for, got 0"):
        gallery.search(good[0].vector, 0)
    assert len(gallery) == 0


def test_a_source_that_is_no_text_is_stored_readably(gallery):
    gallery.add("Anna", prints(1), os.fsdecode(b"caf\xe9.wav"))
    assert gallery.show("Anna").exemplars[0].source == r"caf\udce9.wav"


# Rename, merge, delete


def test_a_renamed_voice_is_found_under_its_new_name(gallery):
    (anna,) = prints(1)
    gallery.add("Anna", [anna], "a")
    gallery.search(anna.vector, 1)
    assert gallery.rename("Anna", "Anne").name == "Anne"
    assert gallery.search(anna.vector, 1)[0][0] == "Anne"
    assert gallery.rename("Anne", "Anne").exemplars == 1
    with pytest.raises(GalleryError, match="'Anna', which is not in it"):
        gallery.show("Anna")


def test_a_name_that_is_taken_is_not_given_again(gallery):
    gallery.add("Anna", prints(1), "a")
    gallery.add("Ben", prints(2), "b")
    with pytest.raises(GalleryError, match="wanted a name that is free, got 'Ben': merge the two instead"):
        gallery.rename("Anna", "Ben")
    assert [one.name for one in gallery.speakers()] == ["Anna", "Ben"]


def test_merged_voices_are_found_under_the_name_that_stays(gallery):
    anna, annie = prints(1, 2), prints(2, 3)
    gallery.add("Anna", anna, "a")
    gallery.add("Annie", annie, "b")
    gallery.search(anna[0].vector, 1)
    assert gallery.merge("Annie", "Anna").exemplars == 5
    assert [one.name for one in gallery.speakers()] == ["Anna"]
    assert gallery.search(annie[1].vector, 9) == [("Anna", pytest.approx(1.0))]


def test_merging_needs_two_names_that_are_there(gallery):
    gallery.add("Anna", prints(1), "a")
    with pytest.raises(GalleryError, match="two names to merge, got 'Anna' twice"):
        gallery.merge("Anna", "Anna ")
    with pytest.raises(GalleryError, match="'Ben', which is not in it"):
        gallery.merge("Anna", "Ben")
    with pytest.raises(GalleryError, match="'Ben', which is not in it"):
        gallery.delete("Ben")
    assert gallery.speakers()[0].exemplars == 1


def test_a_deleted_voice_is_not_found_any_more(gallery):
    anna, ben = prints(1), prints(2)
    gallery.add("Anna", anna, "a")
    gallery.add("Ben", ben, "b")
    gallery.search(anna[0].vector, 1)
    gallery.delete("Anna")
    assert [name for name, _ in gallery.search(anna[0].vector, 5)] == ["Ben"]


def test_nothing_of_a_deleted_voice_is_left_on_disk_even_while_others_have_it_open(path):
    rng = np.random.default_rng(6)
    with open_gallery(path) as gallery, open_gallery(path) as other:
        for number in range(60):
            gallery.add(
                f"name-{number:03d}-end", prints(100 + number, int(rng.integers(1, 9))), f"{number}.wav"
            )
        other.search(prints(1)[0].vector, 1)
        vectors = {n: gallery.show(f"name-{n:03d}-end").exemplars for n in range(60)}
        assert all(one.vector.tobytes() in bytes_of(path) for one in vectors[7])
        for number in range(0, 60, 2):
            gallery.delete(f"name-{number:03d}-end")
        for when in ("open", "closed"):
            held = bytes_of(path)
            for number, exemplars in vectors.items():
                for one in exemplars:
                    kept = number % 2 == 1
                    assert (one.vector.tobytes() in held) == kept
                    assert (one.vector.tobytes()[8:40] in held) == kept
                assert (f"name-{number:03d}-end".encode() in held) == kept
            if when == "open":
                gallery.close()
                other.close()


def test_what_another_tool_deleted_carelessly_is_wiped_with_the_next_delete(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
        gallery.add("Cleo", prints(3, 100), "c")  # so that Anna and Ben lie on pages of their own
        gallery.add("Ben", prints(2), "b")
        vector = gallery.show("Anna").exemplars[0].vector.tobytes()
        other = sqlite3.connect(path)
        other.execute("PRAGMA secure_delete = OFF")
        other.execute("DELETE FROM exemplars WHERE source = 'a'")
        other.commit()
        other.close()
        assert vector in bytes_of(path)
        gallery.delete("Ben")
        assert vector not in bytes_of(path)


def test_a_reader_that_holds_the_log_is_named_and_the_traces_go_at_the_next_opening(path):
    with open_gallery(path, busy_seconds=0.05) as gallery:
        gallery.add("Anna", prints(1), "a")
        vector = gallery.show("Anna").exemplars[0].vector.tobytes()
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM speakers").fetchall()
        with pytest.raises(StorageError) as caught:
            gallery.delete("Anna")
        assert "the name is gone, its traces go when the gallery is next opened" in message(caught)
        assert len(gallery) == 0
        reader.close()
    with open_gallery(path) as gallery:
        assert vector not in bytes_of(path)


# The file


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


def test_a_vector_that_was_damaged_inside_the_file_is_noticed(path):
    with open_gallery(path) as gallery:
        gallery.add("Anna", prints(1), "a")
    other = sqlite3.connect(path)
    other.execute("UPDATE exemplars SET vector = zeroblob(length(vector))")
    other.commit()
    other.close()
    with open_gallery(path) as gallery, pytest.raises(GalleryError, match="got damaged ones"):
        gallery.search(prints(1)[0].vector, 1)


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


def test_on_a_disk_that_is_really_full_nothing_is_lost(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("a small disk can be made on Linux only")
    disk = tmp_path / "disk"
    disk.mkdir()
    # The disk lives in a namespace of its own and goes with the process.
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", ON_A_FULL_DISK, str(disk)]
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
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "got a full disk; nothing in it was changed" in lines[0]
    assert lines[1] == "True True True"
    assert "got a full disk" in lines[2]
    assert lines[-1] == "True"


# Several at once


def test_what_another_process_stores_is_found_by_the_next_search(path):
    anna, ben = prints(1), prints(2)
    with open_gallery(path) as gallery, open_gallery(path) as other:
        gallery.add("Anna", anna, "a")
        assert [name for name, _ in gallery.search(ben[0].vector, 5)] == ["Anna"]
        other.add("Ben", ben, "b")
        assert gallery.search(ben[0].vector, 1)[0][0] == "Ben"
        other.rename("Ben", "Benjamin")
        assert gallery.search(ben[0].vector, 1)[0][0] == "Benjamin"
        other.delete("Benjamin")
        assert [name for name, _ in gallery.search(ben[0].vector, 5)] == ["Anna"]


def test_a_gallery_that_another_program_locks_is_waited_for_and_then_named(path):
    with open_gallery(path, busy_seconds=0.05) as gallery:
        gallery.add("Anna", prints(1), "a")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError) as caught:
            gallery.add("Ben", prints(2), "b")
        assert "within 0.05 s, got it locked by another program; try again" in message(caught)
        assert gallery.search(prints(1)[0].vector, 5)[0][0] == "Anna"
        other.execute("ROLLBACK")
        other.close()
        gallery.add("Ben", prints(2), "b")


def test_a_lock_that_is_given_back_in_time_is_no_error(path):
    with open_gallery(path, busy_seconds=30) as gallery:
        gallery.add("Anna", prints(1), "a")
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.1, lambda: other.execute("ROLLBACK"))
        timer.start()
        assert gallery.add("Ben", prints(2), "b").exemplars == 1
        timer.join()
        other.close()


def test_a_gallery_that_another_program_has_just_open_is_waited_for(path):
    open_gallery(path).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN")
    other.execute("SELECT * FROM meta").fetchall()
    with pytest.raises(StorageError, match="locked by another program"):
        open_gallery(path, busy_seconds=0.05)
    timer = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    timer.start()
    open_gallery(path, busy_seconds=30).close()
    timer.join()
    other.close()


def test_threads_add_and_search_at_the_same_time(path):
    failures = []
    with open_gallery(path) as gallery:

        def work(number):
            try:
                for turn in range(5):
                    own = prints(1000 * number + turn)
                    gallery.add(f"name {number}", own, "x")
                    if gallery.search(own[0].vector, 1)[0][0] != f"name {number}":
                        failures.append("another name was nearer")
            except RtspkError as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [one.exemplars for one in gallery.speakers()] == [5] * 6


KILLED = """
import sys
from pathlib import Path
import numpy as np
from rtspk.engine.gallery import Gallery
from rtspk.types import Embedding, Segment

gallery = Gallery.open(Path(sys.argv[1]), "test-model", 64)
first = int(sys.argv[2])
for number in range(first, first + 100_000):
    rng = np.random.default_rng(number)
    own = [Embedding(row, Segment(0, 1), 1) for row in rng.normal(size=(3, 64)).astype(np.float32)]
    gallery.add(f"name {number}", own, "x")
    print(number, flush=True)
"""


def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(path):
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    acknowledged = []
    for attempt in range(3):
        command = [sys.executable, "-c", KILLED, str(path), str(1_000_000 * attempt)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as child:
            acknowledged += [int(child.stdout.readline()) for _ in range(5 + 3 * attempt)]
            child.kill()
            acknowledged += map(int, child.stdout.read().split())
        with open_gallery(path) as gallery:
            names = {one.name: one.exemplars for one in gallery.speakers()}
            assert {f"name {number}" for number in acknowledged} <= set(names)
            assert set(names.values()) == {3}  # a person is there with all prints or not at all
            assert len(names) <= len(acknowledged) + attempt + 1
            vector = np.random.default_rng(acknowledged[-1]).normal(size=(3, 64)).astype(np.float32)[1]
            assert gallery.search(vector, 1)[0][0] == f"name {acknowledged[-1]}"


def test_two_processes_that_write_at_once_lose_nothing(path):
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    script = KILLED.replace("100_000", "20")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(start)], stdout=subprocess.DEVNULL, env=env
        )
        for start in (0, 1000)
    ]
    assert [child.wait(120) for child in started] == [0, 0]
    with open_gallery(path) as gallery:
        wanted = {f"name {number}" for start in (0, 1000) for number in range(start, start + 20)}
        assert {one.name for one in gallery.speakers()} == wanted


LISTS = """
import sys
from pathlib import Path
from rtspk.engine.gallery import Gallery

print(*(one.name for one in Gallery.open(Path(sys.argv[1]), "test-model", 64).speakers()), sep="\\n")
"""


def test_a_gallery_opened_twice_in_a_process_keeps_what_is_written_while_other_processes_come_and_go(path):
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}

    def another_process(script, *arguments):
        command = [sys.executable, "-c", script, str(path), *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, env=env, text=True, check=True).stdout

    with open_gallery(path) as gallery:
        assert gallery.speakers() == []
        open_gallery(path).close()
        another_process(KILLED.replace("100_000", "1"), "0")
        assert [one.name for one in gallery.speakers()] == ["name 0"]
        gallery.add("name 1", prints(1), "x")
        assert another_process(LISTS).split("\n")[:-1] == ["name 0", "name 1"]


# Sound that is kept


def test_clips_are_kept_where_that_is_wanted_and_go_with_their_name(path):
    sound = np.sin(np.arange(16_000) / 7.0).astype(np.float32) * 0.5
    other = np.random.default_rng(0).uniform(-1, 1, 4000).astype(np.float32)
    with open_gallery(path) as gallery:
        assert len(gallery) == 0
        gallery.add("Anna", prints(1), "a.wav")
        assert gallery.clips("Anna") == []
        gallery.add("Anna", prints(2), "b.wav", clips=[("b.wav", sound), ("c.wav", other * 2)])
        gallery.add("Ben", prints(3), "d.wav", clips=[("d.wav", other)])
        (first, heard), (second, loud) = gallery.clips("Anna")
        assert (first, second) == ("b.wav", "c.wav")
        assert heard == pytest.approx(sound, abs=1e-4)
        assert np.abs(loud).max() == 1.0  # what is too loud is cut, not turned around
        gallery.merge("Ben", "Anna")
        assert [source for source, _ in gallery.clips("Anna")] == ["b.wav", "c.wav", "d.wav"]
        packed = [row[0] for row in gallery._file.read("SELECT sound FROM clips")]
        assert all(sound[100:200] in bytes_of(path) for sound in packed)
        gallery.delete("Anna")
        assert not any(sound[100:200] in bytes_of(path) for sound in packed)


def test_a_clip_that_was_damaged_is_named(gallery):
    gallery.add("Anna", prints(1), "a", clips=[("a.wav", np.zeros(100, np.float32))])
    with gallery._file.writing():
        gallery._file.write("UPDATE clips SET sound = x'00'")
    with pytest.raises(GalleryError, match=r"got a damaged one: a\.wav"):
        gallery.clips("Anna")


# What scores mean here


def test_a_calibration_is_kept_and_taken_back(gallery):
    assert gallery.calibration() is None
    gallery.calibrate(Calibration(17.0, -3.5, 0.5, cohort=-2.0))
    assert gallery.calibration() == Calibration(17.0, -3.5, 0.5, cohort=-2.0)
    gallery.calibrate(None)
    assert gallery.calibration() is None


def test_a_calibration_that_is_none_is_named(gallery):
    with gallery._file.writing():
        gallery._file.write("INSERT INTO meta VALUES ('calibration', '{\"scale\": -1, \"offset\": 0}')")
    with pytest.raises(GalleryError, match="wanted a calibration in the gallery"):
        gallery.calibration()


# Export and import


def test_what_is_exported_is_imported_to_the_bit_and_only_once(tmp_path, gallery):
    gallery.add("Anna", prints(1, 3), "a.wav", qualities=[0.1, 0.2, 0.3])
    gallery.add("Бен", prints(2), "b.wav")
    assert gallery.export(tmp_path / "voices.json") == 2
    assert stat.S_IMODE((tmp_path / "voices.json").stat().st_mode) == 0o600
    with open_gallery(tmp_path / "other.db") as other:
        assert other.import_(tmp_path / "voices.json") == 4
        assert other.import_(tmp_path / "voices.json") == 0
        assert other.speakers() == gallery.speakers()
        for one, two in zip(other.show("Anna").exemplars, gallery.show("Anna").exemplars, strict=True):
            assert np.array_equal(one.vector, two.vector)
            assert (one.source, one.quality, one.created) == (two.source, two.quality, two.created)
        other.export(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "voices.json").read_bytes()


def test_a_signed_archive_opens_with_its_key_alone(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    signed, plain = tmp_path / "signed.json", tmp_path / "plain.json"
    gallery.export(signed, key=b"correct horse")
    gallery.export(plain)
    with open_gallery(None) as other:
        for file, key, wanted in (
            (signed, None, "wanted the key of a signed archive, got none"),
            (signed, b"wrong horse", "got another key, or a change behind the signature"),
            (plain, b"correct horse", "wanted an archive that is signed, got one that is not"),
        ):
            with pytest.raises(FormatError, match=wanted):
                other.import_(file, key=key)
        assert len(other) == 0
        assert other.import_(signed, key=b"correct horse") == 1


@pytest.mark.parametrize("key", [None, b"correct horse"])
def test_an_archive_that_was_changed_is_refused(tmp_path, gallery, key):
    gallery.add("Anna", prints(1), "a")
    file = tmp_path / "voices.json"
    gallery.export(file, key=key)
    file.write_text(file.read_text().replace("Anna", "Hans"))
    with pytest.raises(FormatError, match=r"got .*a change behind the s"):
        gallery.import_(file, key=key)
    assert [one.name for one in gallery.speakers()] == ["Anna"]


def test_an_archive_of_the_first_version_has_no_seal_and_is_imported(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    file = tmp_path / "voices.json"
    gallery.export(file)
    first = json.loads(file.read_text()) | {"version": 1}
    del first["seal"]
    file.write_text(json.dumps(first))
    with open_gallery(None) as other:
        assert other.import_(file) == 1


def test_an_import_adds_to_a_name_that_is_known(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    gallery.export(tmp_path / "voices.json")
    with open_gallery(tmp_path / "other.db") as other:
        other.add("Anna", prints(2), "b")
        other.search(prints(1)[0].vector, 1)
        assert other.import_(tmp_path / "voices.json") == 1
        assert other.speakers()[0].exemplars == 2
        assert other.search(prints(1)[0].vector, 1)[0][1] == pytest.approx(1.0)


def test_voices_of_another_model_are_not_imported(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    gallery.export(tmp_path / "voices.json")
    with Gallery.open(None, "other-model", DIMENSION) as other:
        with pytest.raises(GalleryError, match=r"wanted voices of the model other-model .* of test-model"):
            other.import_(tmp_path / "voices.json")
        assert len(other) == 0


ZEROS = base64.b64encode(bytes(4 * DIMENSION)).decode()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda export: export.update(version=3), "at version"),
        (lambda export: export.update(format="x"), "at format"),
        (lambda export: export.update(extra=1), "at extra"),
        (lambda export: export.pop("speakers"), "at speakers"),
        (lambda export: export["speakers"][1].update(name="\n"), "wanted a name"),
        (lambda export: export["speakers"][1]["exemplars"][0].update(vector="?"), "float32 in base64"),
        (lambda export: export["speakers"][1]["exemplars"][0].update(vector=ZEROS), "not zero"),
        (
            lambda export: export["speakers"][1]["exemplars"][0].update(quality=7),
            "at speakers.1.exemplars.0.quality",
        ),
        (lambda export: export["speakers"][1]["exemplars"][0].update(net_speech="9"), "net_speech"),
        (lambda export: export["speakers"][1].update(created="yesterday"), "at speakers.1.created"),
    ],
)
def test_a_file_that_is_no_sound_export_is_refused_whole(tmp_path, gallery, change, wanted):
    gallery.add("Anna", prints(1), "a")
    gallery.add("Ben", prints(2), "b")
    file = tmp_path / "voices.json"
    gallery.export(file)
    export = json.loads(file.read_text()) | {"version": 1}  # which has no seal to be broken
    change(export)
    file.write_text(json.dumps(export))
    with open_gallery(None) as other:
        with pytest.raises((FormatError, GalleryError)) as caught:
            other.import_(file)
        assert wanted in message(caught)
        assert len(other) == 0


def test_a_missing_or_broken_export_is_named(tmp_path, gallery):
    with pytest.raises(FormatError, match="wanted an exported gallery, got No such file"):
        gallery.import_(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format": "rtspk-gal')
    with pytest.raises(FormatError, match="wanted an exported gallery, got at the file: Invalid JSON"):
        gallery.import_(tmp_path / "half.json")
