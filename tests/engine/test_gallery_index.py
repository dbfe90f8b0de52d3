"""A large gallery: codes made behind, the same answers as a search of everything, the file's last word."""

import sqlite3
import threading

import numpy as np
import pytest

from rtspk.engine import gallery_codes, gallery_index
from rtspk.engine.gallery import Gallery
from rtspk.types import Embedding, Segment

DIMENSION = 48


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Codes from 300 exemplars on, and again behind 60."""
    monkeypatch.setattr(gallery_index, "LIMIT", 300)
    monkeypatch.setattr(gallery_index, "BEHIND", 60)
    monkeypatch.setattr(gallery_index, "MANY", 20)
    monkeypatch.setattr(gallery_codes, "CHUNK", 97)
    monkeypatch.setattr(gallery_codes, "GROUP", 31)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "voices.db"


def units(seed, count):
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def prints(vectors):
    return [Embedding(vector, Segment(0, 1), 16_000) for vector in vectors]


def open_gallery(path):
    return Gallery.open(path, "m", DIMENSION)


def fill(gallery, people=200, each=3, seed=0):
    """People by name, each with some prints that are near to each other."""
    own = {}
    for number, middle in enumerate(units(seed, people)):
        vectors = middle + 0.6 * units(1000 * seed + number + 1, each)
        own[f"name {number}"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery.add_many((name, prints(vectors), "x", None) for name, vectors in own.items())
    return own


def settled(gallery):
    """The gallery once its codes are made and in use."""
    gallery.search(units(1, 1)[0], 1)
    gallery.settle()
    gallery.search(units(1, 1)[0], 1)
    assert gallery._index._codes is not None
    return gallery


def slow_search(own, query, k):
    best = []
    for name, vectors in own.items():
        middle = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
        best.append((name, float(max(*(vectors @ query), middle @ query))))
    return sorted(best, key=lambda one: -one[1])[:k]


def same(found, wanted):
    assert [name for name, _ in found] == [name for name, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-5)


def test_with_codes_the_nearest_are_those_of_a_search_of_everything(path):
    with open_gallery(path) as gallery:
        own = fill(gallery)
        settled(gallery)
        for query in (*units(7, 20), *(vectors[0] for vectors in list(own.values())[:20])):
            same(gallery.search(query, 3), slow_search(own, query, 3))


def test_codes_are_found_by_the_next_process_and_not_made_again(path):
    with open_gallery(path) as gallery:
        own = fill(gallery)
        settled(gallery)
    with open_gallery(path) as gallery:
        query = units(8, 1)[0]
        same(gallery.search(query, 2), slow_search(own, query, 2))
        assert gallery._index._builder is None
        assert gallery._index._codes is not None


def test_who_comes_after_the_codes_is_found_at_once(path):
    with open_gallery(path) as gallery, open_gallery(path) as other:
        own = fill(gallery)
        settled(gallery)
        settled(other)
        own["newcomer"] = units(50, 2)
        gallery.add("newcomer", prints(own["newcomer"]), "x")
        # One more print for somebody with codes moves their centroid.
        own["name 3"] = np.concatenate([own["name 3"], units(51, 1)])
        gallery.add("name 3", prints(own["name 3"][-1:]), "x")
        for one in (gallery, other):
            middle = own["name 3"].mean(0)
            for query in (own["newcomer"][0], own["name 3"][-1], middle / np.linalg.norm(middle)):
                same(one.search(query, 2), slow_search(own, query, 2))


def test_codes_follow_when_many_came_after_them(path):
    with open_gallery(path) as gallery:
        own = fill(gallery)
        before = settled(gallery)._index._codes
        own |= {f"later {n}": vectors[None] for n, vectors in enumerate(units(60, 70))}
        gallery.add_many((name, prints(own[name]), "x", None) for name in own if name.startswith("later"))
        settled(gallery)
        codes = gallery._index._codes
        assert len(codes) == len(before) + 70
        assert np.array_equal(codes.codebook, before.codebook)
        assert len(gallery._index._exact) == 0
        for query in (*units(9, 10), *(own[f"later {n}"][0] for n in range(10))):
            same(gallery.search(query, 2), slow_search(own, query, 2))


def test_renamed_merged_and_deleted_people_are_so_in_the_next_search_of_every_process(path):
    with open_gallery(path) as gallery, open_gallery(path) as other:
        own = fill(gallery)
        settled(gallery)
        settled(other)
        gallery.rename("name 1", "Anna")
        gallery.merge("name 2", "name 4")
        gallery.delete("name 5")
        own["Anna"] = own.pop("name 1")
        own["name 4"] = np.concatenate([own["name 4"], own.pop("name 2")])
        gone = own.pop("name 5")
        middle = own["name 4"].mean(0)
        for one in (other, gallery):
            for query in (own["Anna"][0], own["name 4"][-1], middle / np.linalg.norm(middle), gone[0]):
                same(one.search(query, 2), slow_search(own, query, 2))
            assert len(one) == 198


def test_nothing_of_a_deleted_voice_is_left_among_the_codes(path):
    with open_gallery(path) as gallery:
        fill(gallery, people=150)
        settled(gallery)
        codes = gallery._index._codes
        speaker = gallery._people.find("name 9")
        ids = [row[0] for row in gallery._file.read("SELECT id FROM exemplars WHERE speaker = ?", speaker)]
        own = [codes.codes[codes.ids == one].tobytes() for one in (*ids, -speaker)]
        held = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert all(len(code) == 12 and code in held for code in own)
        gallery.delete("name 9")
        held = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert not any(code in held for code in own)
        gallery.merge("name 10", "name 11")
        gallery.delete("name 11")
        left = gallery_codes.read_codes(gallery._file, DIMENSION)
        assert len(left) == 147 * 4


def test_a_name_that_is_deleted_while_codes_are_made_has_none(path, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    parts = gallery_codes._centroid_parts

    def held_up(*args):
        yield from parts(*args)
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(gallery_codes, "_centroid_parts", held_up)
    with open_gallery(path) as gallery:
        fill(gallery)
        gallery.search(units(1, 1)[0], 1)
        assert begun.wait(60)
        gallery.delete("name 0")
        go_on.set()
        gallery.settle()
        codes = gallery_codes.read_codes(gallery._file, DIMENSION)
        assert len(codes) == 199 * 4
        assert gallery.search(units(1, 1)[0], 500)[0][0] != "name 0"


def test_damaged_codes_are_made_again(path):
    with open_gallery(path) as gallery:
        own = fill(gallery)
        settled(gallery)
    other = sqlite3.connect(path)
    other.execute("UPDATE codes SET codes = zeroblob(5)")
    other.commit()
    other.close()
    with open_gallery(path) as gallery:
        query = units(8, 1)[0]
        same(gallery.search(query, 2), slow_search(own, query, 2))
        settled(gallery)
        same(gallery.search(query, 2), slow_search(own, query, 2))


def test_closing_ends_what_goes_on_behind(path):
    with open_gallery(path) as gallery:
        fill(gallery)
        gallery.search(units(1, 1)[0], 1)
    assert not gallery._index._builder.is_alive()


def test_a_gallery_in_memory_stays_exact():
    with open_gallery(None) as gallery:
        own = fill(gallery)
        gallery.settle()
        query = units(8, 1)[0]
        same(gallery.search(query, 2), slow_search(own, query, 2))
        assert gallery._index._codes is None


FIRST = """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE speakers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')));
    CREATE TABLE exemplars (id INTEGER PRIMARY KEY,
        speaker INTEGER NOT NULL REFERENCES speakers (id) ON DELETE CASCADE, vector BLOB NOT NULL,
        source TEXT NOT NULL, net_speech INTEGER NOT NULL, quality REAL NOT NULL, created TEXT NOT NULL);
    CREATE INDEX exemplars_of_speaker ON exemplars (speaker);
    PRAGMA application_id = 0x72747370; PRAGMA user_version = 1;
    INSERT INTO meta VALUES ('model', 'm'), ('dimension', '48');
    INSERT INTO speakers VALUES (1, 'Anna', '2026-01-01T00:00:00Z'), (2, 'Ben', '2026-01-01T00:00:00Z');
"""


def test_a_gallery_of_the_first_version_is_brought_up_to_date_with_all_it_holds(path):
    vectors = units(3, 3)
    old = sqlite3.connect(path)
    old.executescript(FIRST)
    for number, (speaker, vector) in enumerate(zip((1, 1, 2), vectors, strict=True), start=5):
        row = number, speaker, vector.tobytes(), "a.wav", 7, 0.5, "2026-01-02T00:00:00Z"
        old.execute("INSERT INTO exemplars VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    old.commit()
    old.close()
    for _ in range(2):
        with open_gallery(path) as gallery:
            shown = gallery.show("Anna")
            assert [one.created for one in shown.exemplars] == ["2026-01-02T00:00:00Z"] * 2
            assert gallery.search(vectors[2], 1) == [("Ben", pytest.approx(1.0))]
    with open_gallery(path) as gallery:
        gallery.delete("Ben")
        gallery.add("Cleo", prints(vectors[:1]), "c")
        assert gallery._file.read("SELECT max(id) FROM exemplars")[0][0] == 8  # 7 is not given again
