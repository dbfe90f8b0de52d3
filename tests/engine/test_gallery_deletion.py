"""A deleted voice is not found any more, and nothing of it is left on disk."""

import sqlite3

import numpy as np
import pytest

from rtspk.errors import GalleryError, StorageError
from tests.engine.conftest import bytes_of, message, open_gallery, prints


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


def test_one_print_is_forgotten_with_the_clip_that_it_alone_is_from(path):
    sounds = np.random.default_rng(0).uniform(-1, 1, (2, 4000)).astype(np.float32)
    good, bad = prints(1, 2), prints(2, 2)
    with open_gallery(path) as gallery, open_gallery(path) as other:
        gallery.add("Anna", good, "good.wav", clips=[("good.wav", sounds[0])])
        gallery.add("Anna", bad, "bad.wav", clips=[("bad.wav", sounds[1])])
        numbers = [one.number for one in gallery.show("Anna").exemplars]
        assert other.search(bad[0].vector, 1)[0][1] > 0.999
        packed = gallery._file.read("SELECT sound FROM clips ORDER BY id")[1][0]
        assert gallery.forget("Anna", numbers[2]).exemplars == 3
        assert [source for source, _ in gallery.clips("Anna")] == ["good.wav", "bad.wav"]
        assert gallery.forget("Anna", numbers[3]).exemplars == 2
        assert [source for source, _ in gallery.clips("Anna")] == ["good.wav"]
        assert [one.number for one in gallery.show("Anna").exemplars] == numbers[:2]
        assert other.search(bad[0].vector, 1)[0][1] < 0.9
        for gone in (bad[0].vector.tobytes(), bad[1].vector.tobytes(), packed[100:200], b"bad.wav"):
            assert gone not in bytes_of(path)


def test_a_print_of_somebody_else_and_the_only_one_are_not_forgotten(gallery):
    gallery.add("Anna", prints(1, 2), "a")
    gallery.add("Ben", prints(2), "b")
    first, second = (one.number for one in gallery.show("Anna").exemplars)
    (ben,) = (one.number for one in gallery.show("Ben").exemplars)
    with pytest.raises(GalleryError, match=rf"wanted a print of 'Anna', one of {first}, {second}, got {ben}"):
        gallery.forget("Anna", ben)
    with pytest.raises(GalleryError, match="wanted one of several prints of 'Ben', got the only one"):
        gallery.forget("Ben", ben)
    assert [one.exemplars for one in gallery.speakers()] == [2, 1]


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


def test_what_somebody_else_removes_while_the_file_is_wiped_stays_marked_for_their_own_wiping(path):
    with open_gallery(path) as gallery, open_gallery(path) as other:
        gallery.add("Anna", prints(1), "a")

        def remove_meanwhile(statement):
            if "wal_checkpoint" in statement:
                with other._file.writing():
                    other._file.count_up("removals")
                    other._file.mark_unclean()

        gallery._file._connection.set_trace_callback(remove_meanwhile)
        gallery.delete("Anna")
        gallery._file._connection.set_trace_callback(None)
        assert other._file.counter("unclean") == 2
    with open_gallery(path) as gallery:
        assert gallery._file.counter("unclean") == 0


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
