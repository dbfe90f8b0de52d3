"""Windows as a mixture of voices: as many as there are, however they were grouped to start with."""

import math

import numpy as np
import pytest

from rtspk.engine import mixture as module
from rtspk.engine.mixture import mixture

DIMENSION = 48


def windows(voices: list[int], noise: float, seed: int, alike: float = 0.0) -> np.ndarray:
    """Unit vectors of voices by number, whose true directions have a cosine of `alike`."""
    rng = np.random.default_rng(seed)
    shared = np.zeros(DIMENSION)
    shared[-1] = math.sqrt(alike)
    centres = math.sqrt(1.0 - alike) * np.eye(DIMENSION)[voices] + shared
    vectors = centres + rng.normal(0.0, noise / math.sqrt(DIMENSION), centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def seconds(count: int) -> np.ndarray:
    return np.full(count, 0.5, np.float32)


def parts(group: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(group == number).tolist()) for number in np.unique(group)}


def mixed_slowly(
    vectors: np.ndarray, weights: np.ndarray, start: np.ndarray, common: float = 0.0
) -> list[int]:
    """The same model with its numbers spelled out, a window and a voice at a time."""
    n, dimension = vectors.shape
    within, between = module.WITHIN / dimension, module.BETWEEN / dimension
    total = float(weights.sum())
    counts = [min(1.0, float(w) / module.COUNTED_SECONDS) for w in weights]
    cost = module.COST * math.sqrt(min(1.0, total / module.COST_SECONDS))
    voices = list(range(int(start.max()) + 1))
    trust = module.TRUST
    chances = [
        {k: (1.0 - trust) / len(voices) + (trust if start[i] == k else 0.0) for k in voices} for i in range(n)
    ]
    for _ in range(module.ROUNDS):
        spoken = {k: sum(counts[i] * chances[i][k] for i in range(n)) for k in voices}
        voices = [k for k in voices if spoken[k] > min(module.LEAST, max(spoken.values()) / 2)]
        all_spoken = sum(spoken[k] for k in voices)
        means, spreads = {}, {}
        sums = {
            k: sum(counts[i] * chances[i][k] * vectors[i].astype(float) for i in range(n)) for k in voices
        }
        point = np.zeros(dimension)
        if common:
            said = {k: 1.0 / (between + within * cost / module.EVIDENCE / spoken[k]) for k in voices}
            total_said = sum(said.values()) + dimension / common
            point = sum(said[k] * sums[k] / spoken[k] for k in voices) / total_said
        for k in voices:
            precision = 1.0 / between + module.EVIDENCE / cost * spoken[k] / within
            means[k] = (module.EVIDENCE / cost * sums[k] / within + point / between) / precision
            spreads[k] = 1.0 / precision
        for i in range(n):
            fit = {}
            for k in voices:
                product, square = float(vectors[i] @ means[k]), float(means[k] @ means[k])
                fit[k] = module.EVIDENCE * counts[i] / within * (
                    product - 0.5 * (square + dimension * spreads[k])
                ) + module.FAVOUR * math.log(spoken[k] / all_spoken)
            most = max(fit.values())
            odds = {k: math.exp(value - most) for k, value in fit.items()}
            chances[i] = {k: value / sum(odds.values()) for k, value in odds.items()}
    return [max(voices, key=lambda k: chances[i][k]) for i in range(n)]


@pytest.mark.parametrize("common", [0.0, 0.2])
@pytest.mark.parametrize("longest", [1.5, 30.0])
@pytest.mark.parametrize("seed", range(5))
def test_voices_are_those_of_the_slow_way(seed, longest, common):
    rng = np.random.default_rng(seed)
    vectors = windows(rng.integers(0, 3, 40).tolist(), 0.9, seed, alike=0.2)
    weights = rng.uniform(0.1, longest, 40).astype(np.float32)
    start = rng.integers(0, 6, 40)
    slow = mixed_slowly(vectors, weights, start, common)
    assert parts(mixture(vectors, weights, start, common)) == parts(np.array(slow))


@pytest.mark.parametrize("seed", range(5))
def test_there_are_as_many_voices_as_spoke_however_many_groups_there_were(seed):
    voices = [0] * 20 + [1] * 20 + [2] * 8
    start = np.array([i // 4 for i in range(48)])
    found = mixture(windows(voices, 0.9, seed), seconds(48), start)
    assert parts(found) == parts(np.array(voices))


def test_a_window_in_the_wrong_group_goes_where_it_belongs():
    voices = [0] * 12 + [1] * 12
    start = np.array([0] * 11 + [1] * 13)
    assert parts(mixture(windows(voices, 0.8, 1), seconds(24), start)) == parts(np.array(voices))


def test_one_voice_is_one_however_long_it_speaks():
    for count in (20, 120, 240):
        start = np.arange(count) // 10
        assert set(mixture(windows([0] * count, 1.2, 2), seconds(count), start)) == {0}


def test_the_order_of_windows_changes_nothing():
    voices = [0, 1, 2] * 10
    vectors, start = windows(voices, 0.9, 3), np.arange(30) // 2
    order = np.random.default_rng(0).permutation(30)
    found, turned = mixture(vectors, seconds(30), start), mixture(vectors[order], seconds(30), start[order])
    assert parts(found[order]) == parts(turned)


def test_one_window_is_a_voice():
    assert mixture(windows([0], 0.5, 0), np.array([0.1], np.float32), np.array([0])).tolist() == [0]


@pytest.mark.parametrize(("weight", "voice"), [(0.02, 0), (0.5, 1)])
def test_a_moment_goes_by_who_speaks_more_and_a_longer_window_by_its_sound(weight, voice):
    voices = [0] * 40 + [1] * 6
    between = np.zeros(DIMENSION, np.float32)
    between[:2] = 0.45, 0.6
    vectors = np.concatenate([np.eye(DIMENSION, dtype=np.float32)[voices], between[None]])
    weights = np.append(seconds(46), np.float32(weight))
    assert mixture(vectors, weights, np.array([*voices, 0]))[-1] == voice


@pytest.mark.parametrize(("weight", "voices"), [(0.075, [0, 0]), (0.15, [0, 1])])
def test_of_hardly_anything_what_is_less_than_half_of_the_rest_is_no_voice(weight, voices):
    windows_of_two = np.eye(DIMENSION, dtype=np.float32)[:2]
    weights = np.array([0.2, weight], np.float32)
    assert mixture(windows_of_two, weights, np.array([0, 1])).tolist() == voices
