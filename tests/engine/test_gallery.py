"""The gallery keeps voices and finds them again, with their sound and what scores mean."""

import os

import numpy as np
import pytest

from rtspk.engine.calibration import Calibration
from rtspk.errors import GalleryError
from rtspk.types import Embedding, Segment
from tests.engine.conftest import PRINT_DIMENSION as DIMENSION
from tests.engine.conftest import bytes_of, open_gallery, prints


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


def test_a_print_that_a_name_has_already_is_not_stored_twice(gallery):
    anna, ben = prints(1, 2), prints(2)
    gallery.add("Anna", [anna[0], anna[0]], "a.wav")
    again = [Embedding(one.vector * np.float32(1.00001), one.segment, one.net_speech) for one in anna]
    assert gallery.add("Anna", [*again, *ben], "b.wav").exemplars == 3
    assert [one.source for one in gallery.show("Anna").exemplars] == ["a.wav", "b.wav", "b.wav"]
    assert gallery.add("Ben", anna, "a.wav").exemplars == 2


# Sound that is kept


def test_a_clip_that_a_name_has_already_is_not_kept_twice(gallery):
    sound = np.sin(np.arange(8000) / 7.0).astype(np.float32)
    for _ in range(2):
        gallery.add("Anna", prints(1), "a.wav", clips=[("a.wav", sound)])
    gallery.add("Ben", prints(1), "a.wav", clips=[("a.wav", sound)])
    assert [len(gallery.clips(name)) for name in ("Anna", "Ben")] == [1, 1]


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
    gallery.add("Ben", prints(2), "b")
    assert gallery.merge("Anna", "Ben").exemplars == 2  # which needs no clip to be heard


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
