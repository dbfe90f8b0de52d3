"""What is usual gives way to what a session hears."""

import numpy as np
import pytest

from rtspk.engine.likeness import MOST, Likeness


def test_the_usual_counts_as_its_pairs():
    few, many = Likeness.usual(0.4, 0.1, 3.0), Likeness.usual(0.4, 0.1, 30.0)
    for likeness in (few, many):
        likeness.hear(0.95, is_same=True)
        assert likeness.other == 0.1
    assert few.same > many.same > 0.4


def test_many_pairs_make_the_median_and_old_ones_fade():
    rng = np.random.default_rng(0)
    likeness = Likeness.usual(0.4, 0.1, 10.0)
    for _ in range(3000):
        # A fifth of the pairs is of two people whom the segmenter takes for one.
        likeness.hear(rng.normal(0.5, 0.1) if rng.random() < 0.8 else -0.3, is_same=True)
    assert likeness.same == pytest.approx(np.quantile(rng.normal(0.5, 0.1, 100_000), 0.375), abs=0.03)
    assert likeness.same_pairs == MOST


def test_a_share_is_on_the_way_from_two_voices_to_one():
    likeness = Likeness.usual(0.5, 0.1, 1.0)
    assert [likeness.between(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([0.1, 0.3, 0.5])
    # The centroid of many windows of pairs of 0.5 is at the root of that from each.
    assert likeness.to_centroid(1.0) == pytest.approx(0.5**0.5)


def test_voices_that_sound_the_same_leave_a_way_between():
    likeness = Likeness.usual(0.3, 0.4, 1.0)
    assert likeness.between(1.0) > likeness.between(0.0)
