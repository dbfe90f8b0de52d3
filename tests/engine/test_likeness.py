"""What is usual gives way to what a session hears."""

import pytest

from rtspk.engine.likeness import MOST, Likeness


def test_the_usual_counts_as_its_pairs():
    likeness = Likeness.usual(0.4, 0.1, 10.0)
    likeness.hear(0.95, is_same=True)
    assert likeness.same == pytest.approx((10 * 0.4 + 0.95) / 11)
    assert likeness.other == 0.1


def test_many_pairs_make_the_mean_and_old_ones_fade():
    likeness = Likeness.usual(0.4, 0.1, 10.0)
    for _ in range(2000):
        likeness.hear(0.3, is_same=False)
    assert likeness.other == pytest.approx(0.3, abs=1e-3)
    assert likeness.other_pairs == MOST


def test_a_share_is_on_the_way_from_two_voices_to_one():
    likeness = Likeness.usual(0.5, 0.1, 1.0)
    assert [likeness.between(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([0.1, 0.3, 0.5])
    # The centroid of many windows of pairs of 0.5 is at the root of that from each.
    assert likeness.to_centroid(1.0) == pytest.approx(0.5**0.5)


def test_voices_that_sound_the_same_leave_a_way_between():
    likeness = Likeness.usual(0.3, 0.4, 1.0)
    assert likeness.between(1.0) > likeness.between(0.0)
