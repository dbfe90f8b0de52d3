"""Whitening within speakers: what differs within one voice counts less."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.scoring import whitening  # noqa: E402 - behind the skip


def voices(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Voices that differ in three directions, and takes that differ wildly in a fourth."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(200), 5)
    means = rng.normal(0, 1, (200, 4)) * [1, 1, 1, 0]
    return (means[speakers] + rng.normal(0, [0.2, 0.2, 0.2, 3.0], (1000, 4))).astype(np.float32), speakers


def test_the_spread_within_speakers_becomes_a_ball():
    vectors, speakers = voices()
    white = vectors @ whitening(vectors, speakers, 0.0)
    rest = white.reshape(200, 5, 4) - white.reshape(200, 5, 4).mean(1, keepdims=True)
    covariance = rest.reshape(-1, 4).T @ rest.reshape(-1, 4) / 800
    assert covariance == pytest.approx(np.eye(4), abs=1e-4)


def test_full_shrinkage_only_scales():
    vectors, speakers = voices()
    matrix = whitening(vectors, speakers, 1.0)
    assert matrix == pytest.approx(np.eye(4) * matrix[0, 0], abs=1e-6)


def test_speakers_with_one_utterance_do_not_count():
    vectors, speakers = voices()
    lone = np.full((3, 4), 100.0, np.float32) * np.arange(1, 4, dtype=np.float32)[:, None]
    more = whitening(np.concatenate([vectors, lone]), np.concatenate([speakers, [900, 901, 902]]), 0.3)
    assert more == pytest.approx(whitening(vectors, speakers, 0.3), rel=1e-5)
