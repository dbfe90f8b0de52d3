"""The index finds what a search of every vector finds."""

import faiss
import numpy as np
import pytest

from rtspk.engine.voice_index import VoiceIndex

DIMENSION = 16


def unit(rng, count):
    vectors = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def slow_search(owners, vectors, query, k):
    """Score every speaker from its definition."""
    best = []
    for speaker in sorted(set(owners.tolist())):
        own = vectors[owners == speaker].astype(np.float64)
        middle = own.mean(axis=0)
        best.append((speaker, max(*(own @ query), (middle / np.linalg.norm(middle)) @ query)))
    return sorted(best, key=lambda pair: -pair[1])[:k]


def same(found, wanted):
    assert [speaker for speaker, _ in found] == [speaker for speaker, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-5)


@pytest.mark.parametrize("k", [1, 3, 40, 1000])
def test_the_best_speakers_are_those_of_a_search_of_every_vector(k):
    rng = np.random.default_rng(0)
    owners = np.sort(rng.integers(1, 60, 150))
    vectors = unit(rng, 150)
    index = VoiceIndex(DIMENSION, owners, vectors)
    queries = unit(rng, 7)
    for query, found in zip(queries, index.search(queries, k), strict=True):
        same(found, slow_search(owners, vectors, query, k))


def test_a_search_waits_for_no_other_core():
    faiss.omp_set_num_threads(2)
    rng = np.random.default_rng(4)
    VoiceIndex(DIMENSION, np.arange(50), unit(rng, 50)).search(unit(rng, 1), 1)
    assert faiss.omp_get_max_threads() == 1


def test_one_speaker_with_very_many_exemplars_does_not_hide_the_others():
    rng = np.random.default_rng(1)
    middle = unit(rng, 1)
    crowd = middle + 0.01 * unit(rng, 2000)
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    others = unit(rng, 5)
    owners = np.concatenate([np.full(2000, 1), np.arange(2, 7)])
    vectors = np.concatenate([crowd, others]).astype(np.float32)
    found = VoiceIndex(DIMENSION, owners, vectors).search(middle, 4)[0]
    same(found, slow_search(owners, vectors, middle[0], 4))
    assert found[0][0] == 1


def test_adding_one_by_one_gives_the_same_as_building_at_once():
    rng = np.random.default_rng(2)
    vectors = unit(rng, 40)
    owners = rng.integers(1, 9, 40)
    index = VoiceIndex(DIMENSION, np.empty(0, np.int64), np.empty((0, DIMENSION), np.float32))
    queries = unit(rng, 3)
    for count, (owner, vector) in enumerate(zip(owners.tolist(), vectors, strict=True), start=1):
        index.add(owner, vector[None])
        for query, found in zip(queries, index.search(queries, 5), strict=True):
            same(found, slow_search(owners[:count], vectors[:count], query, 5))


def test_an_empty_index_finds_nobody():
    index = VoiceIndex(DIMENSION, np.empty(0, np.int64), np.empty((0, DIMENSION), np.float32))
    assert index.search(unit(np.random.default_rng(3), 2), 5) == [[], []]


def test_exemplars_that_cancel_out_make_no_centroid_of_zeros():
    vector = unit(np.random.default_rng(4), 1)
    both = np.concatenate([vector, -vector])
    at_once = VoiceIndex(DIMENSION, np.array([1, 1]), both)
    later = VoiceIndex(DIMENSION, np.array([1]), vector)
    later.add(1, -vector)
    for index in (at_once, later):
        assert index.search(vector, 1)[0][0][1] == pytest.approx(1.0)
        assert index.search(-vector, 1)[0][0][1] == pytest.approx(1.0)


def test_no_score_passes_one():
    vectors = unit(np.random.default_rng(5), 300)
    index = VoiceIndex(DIMENSION, np.arange(1, 301), vectors)
    assert all(found[0][1] <= 1.0 for found in index.search(vectors, 1))
