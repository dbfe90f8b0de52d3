"""Codes find what could be near; whatever is coded can be taken out again."""

import numpy as np
import pytest

from rtspk.engine.voice_codes import VoiceCodes
from rtspk.errors import GalleryError


def units(seed, count, dimension):
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def coded(vectors):
    codes = VoiceCodes.train(vectors.shape[1], vectors[:500])
    return codes.extended([(np.arange(1, len(vectors) + 1), codes.encode(vectors))])


@pytest.mark.parametrize("dimension", [32, 33])
def test_the_nearest_of_all_is_on_the_short_list(dimension):
    vectors, queries = units(0, 3000, dimension), units(1, 40, dimension)
    codes = coded(vectors)
    for query in queries:
        assert int(np.argmax(vectors @ query)) + 1 in codes.nearest(query, 64)


def test_what_is_taken_out_is_found_no_more_and_the_rest_is():
    vectors = units(0, 500, 16)
    codes = coded(vectors).without([5, 77])
    assert len(codes) == 498
    assert 5 not in codes.nearest(vectors[4], 498)
    assert codes.nearest(vectors[9], 20).count(10) == 1


def test_an_id_that_comes_again_has_its_newer_code():
    vectors = units(0, 500, 16)
    codes = coded(vectors)
    moved = codes.extended([(np.array([5]), codes.encode(vectors[99:100]))])
    assert len(moved) == 500
    assert np.array_equal(moved.codes[moved.ids == 5], moved.codes[moved.ids == 100])


def test_no_codes_find_nothing():
    assert VoiceCodes.train(16, units(0, 100, 16)).nearest(units(1, 1, 16)[0], 5) == []


def test_codes_that_do_not_fit_are_refused():
    codes = coded(units(0, 500, 16))
    with pytest.raises(GalleryError, match="wanted codes of 16 dimensions"):
        VoiceCodes(16, codes.ids[:-1], codes.codes, codes.codebook)
