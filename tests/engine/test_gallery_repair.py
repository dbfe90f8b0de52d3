"""A damaged gallery: what can be read is saved, what is damaged stays beside it."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery import Gallery
from rtspk.engine.gallery_repair import repair
from rtspk.errors import GalleryError, StorageError
from rtspk.types import Embedding, Segment

PAGE = 16_384


@pytest.fixture
def path(tmp_path):
    """Forty people with three prints each."""
    file = tmp_path / "voices.db"
    rng = np.random.default_rng(0)
    with Gallery.open(file, "m", 192) as gallery:
        gallery.add_many(
            (
                f"name {number}",
                [Embedding(row, Segment(0, 1), 7) for row in rng.normal(size=(3, 192)).astype(np.float32)],
                "x.wav",
                [0.5] * 3,
            )
            for number in range(40)
        )
    return file


def change(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_pages_that_are_overwritten_cost_what_lay_on_them_alone(path):
    with Gallery.open(path, "m", 192) as gallery:
        before = {one.name: gallery.show(one.name).exemplars for one in gallery.speakers()}
    data = bytearray(path.read_bytes())
    data[PAGE * 8 : PAGE * 9] = bytes(PAGE)
    path.write_bytes(data)
    with pytest.raises(GalleryError, match="`rtspk doctor --repair` saves what can be read"):
        Gallery.open(path, "m", 192)
    done = repair(path, "another", 7)
    assert 90 <= done.prints < 120
    assert done.kept.read_bytes() == data
    with Gallery.open(path, "m", 192) as gallery:
        assert len(gallery) == done.names
        for one in gallery.speakers():
            for now in gallery.show(one.name).exemplars:
                then = [e for e in before[one.name] if np.array_equal(e.vector, now.vector)]
                assert [(e.source, e.net_speech, e.quality, e.created) for e in then] == [
                    (now.source, now.net_speech, now.quality, now.created)
                ]


def roots(path):
    """The first page of each table and index."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall())


def overwrite(path, start, length):
    data = bytearray(path.read_bytes())
    data[start : start + length] = np.random.default_rng(1).bytes(length)
    path.write_bytes(data)


def test_a_file_whose_end_is_gone_keeps_what_is_before_it(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    done = repair(path, "m", 192)
    assert 0 < done.prints < 120
    with Gallery.open(path, "m", 192) as gallery:
        assert len(gallery) == done.names


def test_a_file_whose_head_is_overwritten_loses_nothing(path):
    overwrite(path, 0, PAGE)
    done = repair(path, "m", 192)
    assert (done.prints, done.names, done.lost, done.nameless) == (120, 40, 0, 0)


@pytest.mark.parametrize("table", ["exemplars", "speakers", "sqlite_autoindex_speakers_1", "meta"])
def test_the_first_page_of_a_table_may_be_gone(path, table):
    overwrite(path, (roots(path)[table] - 1) * PAGE, PAGE)
    done = repair(path, "m", 192)
    assert (done.prints, done.names, done.lost, done.nameless) == (120, 40, 0, 0)
    with Gallery.open(path, "m", 192) as gallery:
        assert [one.name for one in gallery.speakers()] == sorted(f"name {number}" for number in range(40))


def test_what_was_committed_to_the_log_alone_is_saved_up_to_the_last_whole_commit(path):
    one = Embedding(np.eye(192, dtype=np.float32)[0], Segment(0, 1), 7)
    other = path.with_name("copy.db")
    with Gallery.open(path, "m", 192) as gallery:
        for name in ("Zoe", "Zora"):
            gallery.add(name, [one], "z")
        other.write_bytes(path.read_bytes())
        log = path.with_name("voices.db-wal").read_bytes()
        other.with_name("copy.db-wal").write_bytes(log[:-1])
    overwrite(other, 0, 100)
    assert repair(other, "m", 192).prints == 121
    with Gallery.open(other, "m", 192) as gallery:
        names = {found.name for found in gallery.speakers()}
        assert ("Zoe" in names, "Zora" in names) == (True, False)


def test_a_gallery_that_somebody_writes_to_is_not_repaired_behind_their_back(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked by another program"):
            repair(path, "m", 192, busy_seconds=0.05)


def test_prints_that_are_no_voices_are_dropped_and_counted(path):
    change(
        path,
        "UPDATE exemplars SET vector = zeroblob(768) WHERE id = 5",
        "UPDATE exemplars SET vector = x'00' WHERE id = 6",
        "UPDATE exemplars SET vector = NULL, id = 999 WHERE 0",
    )
    done = repair(path, "m", 192)
    assert (done.prints, done.lost, done.names) == (118, 2, 40)


def test_prints_whose_name_is_gone_are_saved_under_one_that_says_so(path):
    change(path, "PRAGMA foreign_keys = OFF", "DELETE FROM speakers WHERE id = 3")
    done = repair(path, "m", 192)
    assert (done.names, done.nameless) == (40, 1)
    with Gallery.open(path, "m", 192) as gallery:
        assert gallery.show("recovered 1").exemplars[0].net_speech == 7


def test_clips_and_what_scores_mean_are_saved_too(path):
    sound, calibration = np.sin(np.arange(8000) / 7.0).astype(np.float32), Calibration(20.0, -9.0)
    one = [Embedding(np.eye(192, dtype=np.float32)[0], Segment(0, 1), 7)]
    with Gallery.open(path, "m", 192) as gallery:
        gallery.add("name 1", one, "a.wav", clips=[("a.wav", sound), ("b.wav", sound)])
        gallery.add("Zoe", one, "c.wav", clips=[("c.wav", sound)])
        gallery.calibrate(calibration)
        kept = gallery.clips("name 1")
    change(
        path,
        "UPDATE clips SET sound = x'00' WHERE source = 'b.wav'",
        "DELETE FROM exemplars WHERE source = 'c.wav'",
    )
    done = repair(path, "m", 192)
    assert (done.clips, done.lost_clips, done.names) == (2, 1, 41)
    with Gallery.open(path, "m", 192) as gallery:
        ((source, saved),) = gallery.clips("name 1")
        assert (source, gallery.clips("Zoe")[0][0]) == ("a.wav", "c.wav")
        assert np.array_equal(saved, kept[0][1])
        assert gallery.show("Zoe").exemplars == ()
        assert gallery.calibration() == calibration
        assert gallery.search(one[0].vector, 1)[0][0] == "name 1"


def test_what_scores_mean_is_left_out_where_it_cannot_be_read(path):
    change(path, "INSERT INTO meta VALUES ('calibration', '{')")
    repair(path, "m", 192)
    with Gallery.open(path, "m", 192) as gallery:
        assert gallery.calibration() is None


def test_what_is_no_gallery_of_ours_is_left_alone(path, tmp_path):
    change(path, "PRAGMA user_version = 9")
    before = path.read_bytes()
    with pytest.raises(GalleryError, match="version 2 at most, got 9"):
        repair(path, "m", 192)
    change(path, "PRAGMA user_version = 2", "PRAGMA application_id = 1")
    with pytest.raises(GalleryError, match="another program's"):
        repair(path, "m", 192)
    assert len(path.read_bytes()) == len(before)
    (tmp_path / "text.db").write_text("no gallery\n" * 100)
    with pytest.raises(GalleryError, match="use a backup"):
        repair(tmp_path / "text.db", "m", 192)


def test_where_nothing_can_be_read_nothing_is_changed(path):
    change(path, "DELETE FROM exemplars")
    with pytest.raises(GalleryError, match="prints that can still be read"):
        repair(path, "m", 192)
    assert [one.name for one in path.parent.iterdir() if "damaged" in one.name] == []
