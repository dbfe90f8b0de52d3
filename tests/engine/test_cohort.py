"""A score against the strangers that are nearest to each of its two voices."""

import numpy as np
import pytest

from rtspk.engine import cohort as module
from rtspk.engine.cohort import Cohort
from rtspk.errors import ModelError


def units(seed, count, dimension=16):
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_normalised_score_is_its_definition(monkeypatch):
    monkeypatch.setattr(module, "NEAREST", 7)
    cohort, one, other = Cohort(units(0, 40)), units(1, 5), units(2, 5)
    scores = (one * other).sum(1)
    for n, got in enumerate(cohort.normalise(scores, one, other)):
        sides = []
        for side in (one[n], other[n]):
            nearest = sorted((float(side @ voice) for voice in cohort.vectors), reverse=True)[:7]
            sides.append((scores[n] - np.mean(nearest)) / np.std(nearest))
        assert got == pytest.approx(np.mean(sides), rel=1e-4)


def test_a_pair_stands_by_itself():
    cohort, one, other = Cohort(units(0, 40)), units(1, 6), units(2, 6)
    scores = (one * other).sum(1)
    together = cohort.normalise(scores, one, other)
    alone = [cohort.normalise(scores[n : n + 1], one[n : n + 1], other[n : n + 1])[0] for n in range(6)]
    assert together == pytest.approx(alone, rel=1e-5)


def test_a_cohort_of_one_voice_twice_gives_finite_scores():
    cohort = Cohort(np.repeat(units(0, 1), 2, axis=0))
    assert np.isfinite(cohort.normalise(np.ones(3, np.float32), units(1, 3), units(2, 3))).all()


def test_both_sides_count_alike():
    cohort, one, other = Cohort(units(0, 40)), units(1, 6), units(2, 6)
    scores = (one * other).sum(1)
    assert cohort.normalise(scores, one, other) == pytest.approx(cohort.normalise(scores, other, one))


def test_a_cohort_is_read_in_half_precision(tmp_path):
    np.save(tmp_path / "cohort.npy", (3.0 * units(0, 10)).astype(np.float16))
    assert np.allclose(Cohort.read(tmp_path / "cohort.npy").vectors, units(0, 10), atol=1e-3)


@pytest.mark.parametrize("table", [np.ones(()), np.ones(5), np.ones((1, 5)), np.diag([1.0, 1.0, np.nan])])
def test_what_is_no_cohort_is_refused(tmp_path, table):
    np.save(tmp_path / "cohort.npy", table)
    with pytest.raises(ModelError, match="wanted a cohort"):
        Cohort.read(tmp_path / "cohort.npy")


@pytest.mark.parametrize("content", [b"no table", b""])
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    (tmp_path / "cohort.npy").write_bytes(content)
    with pytest.raises(ModelError, match=r"wanted a cohort in .*cohort\.npy"):
        Cohort.read(tmp_path / "cohort.npy")


def test_nearness_is_the_mean_cosine_of_the_nearest_few(monkeypatch):
    monkeypatch.setattr(module, "FEW", 3)
    cohort, voices = Cohort(units(0, 40)), units(1, 5)
    for voice, got in zip(voices, cohort.nearness(voices), strict=True):
        nearest = sorted((float(voice @ other) for other in cohort.vectors), reverse=True)[:3]
        assert got == pytest.approx(np.mean(nearest), rel=1e-5)
    assert Cohort(units(0, 2)).nearness(voices).shape == (5,)
