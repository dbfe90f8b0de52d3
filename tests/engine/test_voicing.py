"""Voices against other sounds: the plane, its file, and how it is learnt."""

import numpy as np
import pytest

from rtspk.bench.voices_and_sounds import fit_voicing
from rtspk.engine.voicing import Voicing
from rtspk.errors import ModelError


def around(direction: int, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = 0.5 * np.eye(24)[direction] + rng.normal(0.0, 0.15, (count, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_plane_loses_as_many_voices_as_it_may_and_turns_other_sounds_away():
    voicing = fit_voicing(around(0, 1000, 0), around(1, 100, 1), 0.05)
    assert np.mean([voicing.score(v) < 0.0 for v in around(0, 1000, 0)]) == pytest.approx(0.05, abs=0.01)
    assert np.mean([voicing.score(v) < 0.0 for v in around(1, 500, 2)]) > 0.95


def test_a_vectors_length_plays_no_part():
    voicing = Voicing(np.array([3.0, -1.0], np.float32), 0.5)
    assert voicing.score(np.array([0.6, 0.8], np.float32)) == pytest.approx(1.5)
    assert voicing.score(np.array([0.06, 0.08], np.float32)) == pytest.approx(1.5)


def test_a_plane_is_read_with_its_offset_behind_it(tmp_path):
    np.save(tmp_path / "voicing.npy", np.array([3.0, -1.0, 0.5], np.float16))
    voicing = Voicing.read(tmp_path / "voicing.npy")
    assert (voicing.normal.tolist(), voicing.offset) == ([3.0, -1.0], 0.5)


@pytest.mark.parametrize(
    "table", [np.ones((2, 2)), np.ones(1), np.array([1.0, np.nan, 0.0]), np.array([1.0, 0.0, np.inf])]
)
def test_what_is_no_plane_is_refused(tmp_path, table):
    np.save(tmp_path / "voicing.npy", table)
    with pytest.raises(ModelError, match="wanted"):
        Voicing.read(tmp_path / "voicing.npy")


@pytest.mark.parametrize("content", [b"no table", b""])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "voicing.npy").write_bytes(content)
    with pytest.raises(ModelError, match="wanted a plane"):
        Voicing.read(tmp_path / "voicing.npy")
