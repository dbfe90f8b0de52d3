"""The bench of galleries measures what it says, on a small one."""

import numpy as np
import pytest

from rtspk.bench import gallery
from rtspk.bench.gallery import VoiceMaker
from rtspk.errors import ConfigError


def test_made_up_voices_spread_as_the_cohort_does():
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(12, 12)) * np.linspace(2.0, 0.1, 12)
    cohort = (rng.normal(size=(4000, 12)) @ axes.T + 0.5).astype(np.float32)
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    voices = VoiceMaker(cohort, np.random.default_rng(1)).voices(4000)
    assert np.linalg.norm(voices, axis=1) == pytest.approx(np.ones(4000), abs=1e-5)
    assert np.abs(np.cov(voices.T) - np.cov(cohort.T)).max() < 0.03
    assert np.abs(voices.mean(0) - cohort.mean(0)).max() < 0.1


def test_a_voice_heard_anew_has_the_cosine_that_is_wanted():
    maker = VoiceMaker(
        np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32), np.random.default_rng(1)
    )
    voices = maker.voices(40)
    again = maker.heard_anew(voices, 0.65)
    assert np.einsum("nd,nd->n", voices, again) == pytest.approx(np.full(40, 0.65), abs=1e-4)


def test_a_small_gallery_is_measured_in_all_its_ways(monkeypatch):
    monkeypatch.setattr(gallery, "SIZES", (300, 1000))
    monkeypatch.setattr(gallery, "QUERIES", 40)
    results = {(one.case, one.peer): one for one in gallery.run(0, 1, 300)}
    assert {case for case, _ in results} == {
        *("identify_3e2", "recall_3e2", "add_and_find_3e2", "open_and_find_3e2"),
        *("memory_an_exemplar_3e2", "disk_an_exemplar_3e2"),
    }
    assert results["recall_3e2", "numpy"].value == 1.0  # a small gallery is exact
    assert results["identify_3e2", "numpy"].spread.p99 > 0
    assert 768 < results["disk_an_exemplar_3e2", None].value < 2000


def test_no_gallery_at_all_is_refused():
    with pytest.raises(ConfigError, match="wanted a gallery of 1000 exemplars or more, got 10"):
        list(gallery.run(0, 1, 10))
