"""Probabilities come true, and the parameters behind made-up trials are found again."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.engine.calibration import Calibration, threshold_at_false_accept
from rtspk.errors import ConfigError, FormatError
from rtspk.metrics import expected_calibration_error

TRUTH = Calibration(scale=14.0, offset=-6.0, log_speech=0.8)


def made_up(seed, trials=40_000):
    """Trials whose labels are drawn from the true probabilities."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-0.2, 1.0, trials)
    net_speech = rng.integers(16_000, 320_000, trials)
    targets = rng.random(trials) < TRUTH.probabilities(scores, net_speech)
    return scores, targets, net_speech


def test_the_parameters_behind_the_trials_are_found_again():
    scores, targets, net_speech = made_up(1)
    found = Calibration.fit(scores, targets, net_speech, prior=float(targets.mean()))
    assert found.scale == pytest.approx(TRUTH.scale, rel=0.05)
    assert found.offset == pytest.approx(TRUTH.offset, abs=0.3)
    assert found.log_speech == pytest.approx(TRUTH.log_speech, abs=0.1)


def test_probabilities_come_true_on_other_trials():
    scores, targets, net_speech = made_up(1)
    found = Calibration.fit(scores, targets, net_speech, prior=float(targets.mean()))
    scores, targets, net_speech = made_up(2)
    assert expected_calibration_error(found.probabilities(scores, net_speech), targets) < 0.015
    shifted = Calibration(found.scale, found.offset + 2.0, found.log_speech)
    assert expected_calibration_error(shifted.probabilities(scores, net_speech), targets) > 0.05


def test_the_share_of_targets_among_the_trials_does_not_matter():
    scores, targets, net_speech = made_up(3)
    keep = ~targets | (np.random.default_rng(4).random(len(targets)) < 0.1)
    whole = Calibration.fit(scores, targets, net_speech)
    fewer = Calibration.fit(scores[keep], targets[keep], net_speech[keep])
    for score in (0.2, 0.4, 0.6):
        assert fewer.probability(score, 80_000) == pytest.approx(whole.probability(score, 80_000), abs=0.04)


def test_another_prior_moves_the_probability_as_bayes_says():
    evidence = TRUTH.probability(0.4, 48_000)
    moved = TRUTH.with_prior(0.1).probability(0.4, 48_000)
    assert moved == pytest.approx(0.1 * evidence / (0.1 * evidence + 0.9 * (1 - evidence)))
    back = TRUTH.with_prior(0.1).with_prior(0.5)
    assert back.probability(0.4, 48_000) == pytest.approx(evidence)


@given(st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 10**9))
def test_a_higher_score_is_never_less_probable(one, two, net_speech):
    low, high = sorted([one, two])
    assert 0 <= TRUTH.probability(low, net_speech) <= TRUTH.probability(high, net_speech) <= 1


@given(st.floats(0.001, 0.999), st.integers(0, 10**7))
def test_the_score_for_a_probability_has_that_probability(probability, net_speech):
    score = TRUTH.score_for(probability, net_speech)
    assert TRUTH.probability(score, net_speech) == pytest.approx(probability)


def test_probabilities_of_many_are_those_of_each_and_of_the_textbook():
    scores, net_speech = [0.1, 0.5, 0.9], [16_000, 32_000, 64_000]
    for score, speech, found in zip(scores, net_speech, TRUTH.probabilities(scores, net_speech), strict=True):
        odds = 14.0 * score - 6.0 + 0.8 * math.log(speech / 16_000)
        assert found == pytest.approx(1 / (1 + math.exp(-odds)))
        assert TRUTH.probability(score, speech) == found


def test_extremes_do_not_overflow():
    steep = Calibration(scale=1e6, offset=0.0, log_speech=5.0)
    assert steep.probability(1.0, 10**12) == 1.0
    assert steep.probability(-1.0, 0) == 0.0


def test_trials_that_the_score_parts_without_error_still_give_a_finite_fit():
    scores = np.concatenate([np.linspace(0.5, 0.9, 50), np.linspace(-0.1, 0.3, 50)])
    found = Calibration.fit(scores, np.arange(100) < 50, np.full(100, 48_000))
    assert found.log_speech == pytest.approx(0.0, abs=1e-9)
    assert found.probability(0.9, 48_000) > 0.99
    assert found.probability(-0.1, 48_000) < 0.01
    assert 0.3 < found.score_for(0.5, 48_000) < 0.5


def test_the_threshold_keeps_its_false_accept_rate():
    scores, targets, _ = made_up(5)
    for rate in (0.0, 0.001, 0.01, 0.1):
        threshold = threshold_at_false_accept(scores, targets, rate)
        assert (scores[~targets] >= threshold).mean() <= rate
        assert (scores[~targets] >= np.nextafter(threshold, -np.inf)).mean() > rate


@pytest.mark.parametrize(
    ("scores", "targets", "net_speech", "message"),
    [
        ([0.1, 0.2], [1, 1], [1, 1], "target and other"),
        ([0.1, 0.2], [0, 0], [1, 1], "target and other"),
        ([[0.1, 0.2]], [[1, 0]], [[1, 1]], "for each trial"),
        ([0.1, 0.2], [1, 0], [1], "for each trial"),
        ([0.1, float("nan")], [1, 0], [1, 1], "finite scores"),
        ([0.1, 0.2], [1, 0], [1, -1], "0 samples or more"),
        ([0.1, 0.9, 0.2, 0.8], [1, 0, 1, 0], [1, 1, 1, 1], "higher for the same voice"),
    ],
)
def test_trials_that_teach_nothing_are_refused(scores, targets, net_speech, message):
    with pytest.raises(FormatError, match=message):
        Calibration.fit(scores, targets, net_speech)


def test_settings_outside_their_range_are_refused():
    with pytest.raises(ConfigError, match="prior between 0 and 1, got 1"):
        Calibration(1.0, 0.0, prior=1)
    for numbers in ((-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf), (1.0, 0.0, math.nan)):
        with pytest.raises(ConfigError, match="scale above 0"):
            Calibration(*numbers)
    with pytest.raises(ConfigError, match="probability between 0 and 1"):
        TRUTH.score_for(1.0, 16_000)
    with pytest.raises(FormatError, match="a label for each score"):
        threshold_at_false_accept([0.1], [1, 0], 0.1)


WHOLE = Calibration(14.0, -4.0, 0.8, speech_scale=2.0, cohort=-9.0, quality=1.5)


def made_up_whole(seed, count=20_000):
    """Trials whose labels come from the full calibration itself."""
    rng = np.random.default_rng(seed)
    scores, standing = rng.uniform(-0.2, 1.0, count), rng.uniform(0.2, 0.5, count)
    net_speech, quality = rng.integers(8_000, 128_000, count), rng.uniform(0.1, 1.0, count)
    targets = rng.random(count) < WHOLE.probabilities(scores, net_speech, standing=standing, quality=quality)
    return scores, targets, net_speech, standing, quality


def test_a_fit_finds_all_terms_that_it_is_given():
    scores, targets, net_speech, standing, quality = made_up_whole(1)
    found = Calibration.fit(
        scores,
        targets,
        net_speech,
        prior=float(targets.mean()),
        standing=standing,
        quality=quality,
        steeper=True,
    )
    assert (found.scale, found.speech_scale) == pytest.approx((14.0, 2.0), abs=1.5)
    assert (found.cohort, found.quality) == pytest.approx((-9.0, 1.5), abs=0.6)
    told = found.probabilities(scores, net_speech, standing=standing, quality=quality)
    assert expected_calibration_error(told, targets) < 0.015
    blind = Calibration.fit(scores, targets, net_speech, prior=float(targets.mean()))
    assert blind.cohort == blind.quality == blind.speech_scale == 0.0


def test_more_speech_makes_the_same_difference_of_scores_say_more():
    steps = [
        float(np.diff(WHOLE.odds([0.3, 0.6], [speech, speech]))[0]) for speech in (16_000, 32_000, 128_000)
    ]
    assert steps == sorted(steps)
    assert steps[0] == pytest.approx(14.0 * 0.3)
    for speech in (8_000, 128_000):
        score = WHOLE.score_for(0.7, speech, standing=0.4, quality=0.5)
        assert WHOLE.probability(score, speech, standing=0.4, quality=0.5) == pytest.approx(0.7)


def test_a_slope_that_falls_below_zero_for_some_speech_is_refused():
    with pytest.raises(ConfigError, match="scale above 0"):
        Calibration(3.0, 0.0, speech_scale=-2.0)
