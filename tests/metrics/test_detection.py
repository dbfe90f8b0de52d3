"""EER and minimum cost against slow twins that try every threshold."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.errors import ConfigError, FormatError
from rtspk.metrics import (
    detection_curve,
    equal_error_rate,
    likelihood_ratio_cost,
    minimum_cost,
    threshold_at_false_alarm,
)


def trials(seed, targets, others, ties):
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(1.0, 1.0, targets), rng.normal(-1.0, 1.0, others)])
    if ties:
        scores = np.round(scores * 2) / 2
    labels = np.arange(targets + others) < targets
    order = rng.permutation(len(scores))
    return scores[order], labels[order]


def points(scores, labels):
    """Both errors at every threshold, counted one trial at a time."""
    made = []
    for threshold in [*sorted(set(scores.tolist())), math.inf]:
        refused = sum(1 for s, t in zip(scores, labels, strict=True) if t and s < threshold)
        accepted = sum(1 for s, t in zip(scores, labels, strict=True) if not t and s >= threshold)
        made.append((refused / labels.sum(), accepted / (~labels).sum()))
    return made


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_operating_point_is_the_one_counted_by_hand(seed, ties):
    scores, labels = trials(seed, 30, 70, ties)
    curve = detection_curve(scores, labels)
    assert np.allclose(np.stack([curve.miss, curve.false_alarm], axis=1), points(scores, labels))
    assert curve.false_alarm[0] == curve.miss[-1] == 1.0
    assert curve.false_alarm[-1] == curve.miss[0] == 0.0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_equal_error_rate_lies_where_the_line_between_neighbours_crosses(seed, ties):
    scores, labels = trials(seed, 41, 97, ties)
    eer = equal_error_rate(scores, labels)
    made = points(scores, labels)
    crossed = []
    for (miss, alarm), (next_miss, next_alarm) in itertools.pairwise(made):
        # Where on the line from one point to the next both errors are the same.
        slope = (next_miss - miss) - (next_alarm - alarm)
        if slope > 0 and 0 <= (alarm - miss) / slope <= 1:
            crossed.append(miss + (alarm - miss) / slope * (next_miss - miss))
    assert crossed
    assert all(eer == pytest.approx(rate) for rate in crossed)


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5, 0.9])
def test_the_minimum_cost_is_the_least_over_all_thresholds(p_target):
    scores, labels = trials(3, 50, 200, ties=True)
    costs = [p_target * miss + (1 - p_target) * alarm for miss, alarm in points(scores, labels)]
    assert minimum_cost(scores, labels, p_target) == pytest.approx(min(costs) / min(p_target, 1 - p_target))


def test_worked_examples():
    assert equal_error_rate([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]) == 0.0
    assert equal_error_rate([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]) == 1.0
    assert equal_error_rate([0.9, 0.3, 0.5, 0.1], [1, 1, 0, 0]) == 0.5
    assert minimum_cost([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.01) == 0.0
    assert minimum_cost([0.5, 0.5], [1, 0], 0.01) == pytest.approx(1.0)


def test_scores_that_are_all_equal_tell_nothing():
    assert equal_error_rate(np.zeros(10), np.arange(10) < 3) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40), st.randoms())
def test_the_order_of_trials_and_a_rising_change_of_scale_do_not_matter(rows, random):
    labels = [label for _, label in rows]
    if all(labels) or not any(labels):
        rows = [*rows, (0, True), (0, False)]
    before = equal_error_rate([s for s, _ in rows], [t for _, t in rows])
    random.shuffle(rows)
    assert equal_error_rate([math.exp(s) for s, _ in rows], [t for _, t in rows]) == pytest.approx(before)
    assert 0 <= minimum_cost([s for s, _ in rows], [t for _, t in rows], 0.05) <= 1


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=60), st.floats(0, 1))
def test_the_threshold_is_the_lowest_that_keeps_the_promise(scores, rate):
    threshold = threshold_at_false_alarm(scores, rate)
    other = np.asarray(scores, dtype=float)
    assert (other >= threshold).mean() <= rate + 1e-9
    if threshold > -math.inf:
        assert (other >= np.nextafter(threshold, -np.inf)).mean() > rate


def test_whole_counts_are_not_lost_to_binary_fractions():
    scores = np.arange(100.0)
    assert (scores >= threshold_at_false_alarm(scores, 0.29)).sum() == 29


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, 0.2], [1], "wanted a score and a label"),
        ([0.1, float("nan")], [1, 0], "finite scores"),
        ([0.1, 0.2], [1, 1], "target and other trials"),
        ([0.1, 0.2], [0, 0], "target and other trials"),
        ([[0.1, 0.2]], [[1, 0]], "wanted a score and a label"),
        ([], [], "target and other trials"),
    ],
)
def test_trials_that_cannot_be_measured_are_refused(scores, labels, message):
    with pytest.raises(FormatError, match=message):
        equal_error_rate(scores, labels)
    with pytest.raises(
        FormatError, match=message.replace("a score", "a ratio").replace("finite scores", "NaN")
    ):
        likelihood_ratio_cost(scores, labels)


def test_rates_outside_their_range_are_refused():
    with pytest.raises(ConfigError, match="between 0 and 1, got 0"):
        minimum_cost([0, 1], [0, 1], 0)
    with pytest.raises(ConfigError, match="from 0 to 1, got 2"):
        threshold_at_false_alarm([0.0], 2)
    for scores in ([], [[0.1, 0.2]], [0.1, math.inf]):
        with pytest.raises(FormatError, match="non-target"):
            threshold_at_false_alarm(scores, 0.5)


def test_the_cost_of_likelihood_ratios_is_its_definition():
    odds, target = [2.0, -1.0, 0.5, -3.0], [True, True, False, False]
    missed = np.mean([math.log2(1 + math.exp(-2.0)), math.log2(1 + math.exp(1.0))])
    taken = np.mean([math.log2(1 + math.exp(0.5)), math.log2(1 + math.exp(-3.0))])
    assert likelihood_ratio_cost(odds, target) == pytest.approx((missed + taken) / 2)


def test_saying_nothing_costs_one_bit():
    assert likelihood_ratio_cost([0.0, 0.0, 0.0], [True, False, False]) == pytest.approx(1.0)
