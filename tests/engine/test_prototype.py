"""What is remembered of a voice: unit vectors, boundedly many, never nothing."""

import numpy as np
import pytest

from rtspk.engine.prototype import Prototype, unit
from rtspk.errors import ModelError


def voices(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [unit(v) for v in rng.normal(size=(count, 16)).astype(np.float32)]


def test_exemplars_and_centroid_are_unit_vectors():
    one = Prototype.of(voices(3), [1.0, 2.0, 1.5], limit=4)
    for vector in voices(20, seed=1):
        one.learn(vector, 1.0, limit=4)
        assert len(one.weights) <= 4
        assert np.linalg.norm(one.exemplars, axis=1) == pytest.approx(1.0, abs=1e-5)
        assert np.linalg.norm(one.centroid) == pytest.approx(1.0, abs=1e-5)


def test_two_kinds_of_a_voice_stay_two_exemplars():
    phone, room = voices(2)
    one = Prototype.of([phone], [1.0], limit=2)
    for _ in range(10):
        one.learn(room, 1.0, limit=2)
    nearest = one.exemplars @ np.stack([phone, room]).T
    assert nearest.max(0) == pytest.approx(1.0, abs=1e-4)


def test_the_weight_of_an_exemplar_is_bounded():
    one = Prototype.of(voices(1), [1.0], limit=1)
    for _ in range(50):
        one.learn(voices(1)[0], 1.75, limit=1)
    assert one.weights.tolist() == [10.0]


def test_absorbing_keeps_the_speech_of_both():
    one, other = Prototype.of(voices(2), [1.0, 1.0], limit=3), Prototype.of(voices(2, 1), [1.0, 1.0], limit=3)
    one.speech, other.speech = 100, 23
    one.absorb(other, limit=3)
    assert (one.speech, len(one.weights)) == (123, 3)


@pytest.mark.parametrize("bad", [np.zeros(16), np.full(16, np.nan), np.full(16, np.inf)])
def test_a_vector_without_direction_is_refused(bad):
    with pytest.raises(ModelError, match="wanted a voice, got a vector of length"):
        unit(bad.astype(np.float32))
