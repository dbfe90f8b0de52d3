"""Open-set rates: named right, named wrong, strangers named."""

import numpy as np
import pytest

from rtspk.errors import FormatError
from rtspk.metrics import OpenSetCounts, open_set_at_false_alarm, open_set_counts

SCORES = [0.9, 0.8, 0.3, 0.7, 0.6, 0.2]
ENROLLED = [1, 1, 1, 0, 0, 0]
CORRECT = [1, 0, 1, 0, 0, 0]


def test_each_probe_is_counted_once_where_it_belongs():
    counts = open_set_counts(SCORES, ENROLLED, CORRECT, 0.65)
    assert counts == OpenSetCounts(3, 2, 1, 3, 1)
    assert counts.detection_rate == pytest.approx(2 / 3)
    assert counts.identification_rate == pytest.approx(1 / 3)
    assert counts.false_alarm_rate == pytest.approx(1 / 3)


def test_a_score_at_the_threshold_is_named():
    assert open_set_counts([0.5], [1], [1], 0.5).identified == 1


def test_the_threshold_keeps_the_false_alarm_rate_and_no_lower_one_does():
    rng = np.random.default_rng(5)
    enrolled = rng.random(500) < 0.4
    scores = np.round(rng.normal(0.2, 0.15, 500) + 0.4 * enrolled, 2)
    correct = enrolled & (rng.random(500) < 0.9)
    for rate in (0.0, 0.01, 0.1, 0.5):
        threshold, counts = open_set_at_false_alarm(scores, enrolled, correct, rate)
        assert counts.false_alarm_rate <= rate
        lower = open_set_counts(scores, enrolled, correct, np.nextafter(threshold, -np.inf))
        assert lower.false_alarm_rate > rate
        slow = sum(1 for s, c in zip(scores, correct, strict=True) if c and s >= threshold)
        assert counts.identified == slow


def test_sets_of_probes_are_pooled():
    one = open_set_counts(SCORES, ENROLLED, CORRECT, 0.65)
    assert one + one == OpenSetCounts(6, 4, 2, 6, 2)
    nobody = OpenSetCounts()
    assert (nobody.detection_rate, nobody.identification_rate, nobody.false_alarm_rate) == (0.0, 0.0, 0.0)


def test_nonsense_is_refused():
    with pytest.raises(FormatError, match="one value a probe"):
        open_set_counts([0.5], [1, 0], [1], 0.5)
    with pytest.raises(FormatError, match="one value a probe"):
        open_set_counts([[0.5]], [[1]], [[1]], 0.5)
    with pytest.raises(FormatError, match="a stranger that is correct"):
        open_set_counts([0.5, 0.5], [0, 1], [1, 1], 0.5)
    with pytest.raises(FormatError, match="NaN"):
        open_set_counts([0.5, float("nan")], [0, 0], [0, 0], 0.5)
