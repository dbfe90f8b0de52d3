"""Stated probabilities against what came true."""

import numpy as np
import pytest

from rtspk.errors import ConfigError, FormatError
from rtspk.metrics import ReliabilityBins, expected_calibration_error, reliability_bins


def test_the_error_is_the_one_counted_bin_by_bin():
    rng = np.random.default_rng(2)
    stated = rng.random(1000)
    true = rng.random(1000) < stated**2
    slow = 0.0
    for number in range(10):
        inside = [i for i, p in enumerate(stated) if number / 10 <= p < (number + 1) / 10]
        slow += abs(sum(stated[i] for i in inside) - sum(true[i] for i in inside))
    assert expected_calibration_error(stated, true, bins=10) == pytest.approx(slow / 1000)


def test_honest_probabilities_have_a_small_error_and_boastful_ones_a_large_one():
    rng = np.random.default_rng(4)
    stated = rng.random(20000)
    true = rng.random(20000) < stated
    assert expected_calibration_error(stated, true) < 0.02
    assert expected_calibration_error(np.ones(20000), true) == pytest.approx(0.5, abs=0.02)


def test_certainty_lies_in_the_outer_bins():
    assert reliability_bins([0.0, 1.0], [False, True], bins=2) == ReliabilityBins((1, 1), (0.0, 1.0), (0, 1))


def test_sets_are_pooled_bin_by_bin():
    first, second = [0.1, 0.9, 0.6], [0.2, 0.4]
    true_first, true_second = [0, 1, 1], [1, 0]
    pooled = reliability_bins(first, true_first) + reliability_bins(second, true_second)
    assert pooled.error == pytest.approx(expected_calibration_error(first + second, true_first + true_second))
    assert reliability_bins([], []).error == 0.0


def test_nonsense_is_refused():
    with pytest.raises(FormatError, match="from 0 to 1"):
        expected_calibration_error([1.5], [True])
    with pytest.raises(FormatError, match="from 0 to 1"):
        expected_calibration_error([float("nan")], [True])
    with pytest.raises(FormatError, match="outcome for each"):
        expected_calibration_error([0.5], [True, False])
    with pytest.raises(ConfigError, match="at least one bin"):
        expected_calibration_error([0.5], [True], bins=0)
    with pytest.raises(ConfigError, match="wanted 15 bins"):
        reliability_bins([0.5], [1]) + reliability_bins([0.5], [1], bins=2)
