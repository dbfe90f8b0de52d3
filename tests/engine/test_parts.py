"""A turn is parted by the labels of its pieces."""

import pytest

from rtspk.engine.parts import SHORTEST, Part, shares
from rtspk.engine.settings import HOP


def parts(count):
    return [Part(piece, piece * HOP, (piece + 1) * HOP) for piece in range(count)]


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({}, [(7, 0, 6)]),
        ({0: 1, 5: 1}, [(1, 0, 6)]),
        ({0: 1, 3: 2}, [(1, 0, 3), (2, 3, 6)]),
        ({2: 1, 4: 2}, [(1, 0, 4), (2, 4, 6)]),  # what is not known goes with what was said before it
        ({0: 1, 2: 2, 4: 1}, [(1, 0, 2), (2, 2, 4), (1, 4, 6)]),
    ],
)
def test_pieces_that_are_known_part_a_turn_and_the_others_go_with_those_before(known, wanted):
    found = shares(parts(6), 7, known)
    assert [(s.label, s.segment.start // HOP, s.segment.end // HOP) for s in found] == wanted
    assert [part.piece for share in found for part in share.parts] == list(range(6))


def test_a_share_that_is_too_short_is_not_somebody_elses():
    short = Part(1, HOP, HOP + SHORTEST - 1)
    beside = [Part(0, 0, HOP), short, Part(2, short.end, short.end + HOP)]
    assert [share.label for share in shares(beside, 1, {0: 1, 1: 2, 2: 1})] == [1]
    assert [share.label for share in shares(beside[1:], 2, {1: 2, 2: 1})] == [1]
    just = Part(1, HOP, HOP + SHORTEST)
    assert [share.label for share in shares([Part(0, 0, HOP), just], 1, {0: 1, 1: 2})] == [1, 2]
    later = Part(2, 2 * HOP, 3 * HOP)
    assert [share.label for share in shares([just, later], 1, {1: 2, 2: 1})] == [2, 1]


@pytest.mark.parametrize(
    ("short", "labels"), [((0,), [2, 1, 2]), ((1,), [1, 2]), ((3,), [1, 2, 1]), ((0, 1, 2, 3), [1])]
)
def test_what_is_too_short_goes_to_who_speaks_before_or_at_the_beginning_behind(short, labels):
    """Of four pieces by two people in turn."""
    own = [Part(n, n * HOP, n * HOP + (SHORTEST // 10 if n in short else HOP)) for n in range(4)]
    found = shares(own, 1, {0: 1, 1: 2, 2: 1, 3: 2})
    assert [share.label for share in found] == labels
    assert [part for share in found for part in share.parts] == own


def test_a_turn_that_is_too_short_for_two_is_one_persons():
    both = [Part(0, 0, SHORTEST // 4), Part(1, SHORTEST // 4, SHORTEST // 2)]
    (share,) = shares(both, 7, {0: 1, 1: 2})
    assert (share.label, list(share.parts)) == (1, both)


def test_pauses_between_shares_are_nobodys():
    found = shares([Part(0, 0, HOP), Part(1, HOP + 800, 2 * HOP)], 1, {0: 1, 1: 2})
    assert [(s.segment.start, s.segment.end) for s in found] == [(0, HOP), (HOP + 800, 2 * HOP)]
