"""How close windows of one voice are in a stream."""

import numpy as np
import pytest

from rtspk.engine.closeness import MOST, USUAL, Closeness
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import Heard, piece_of
from tests.engine.conftest import NEVER, Talk, between


def test_before_anything_is_heard_windows_are_as_close_as_usual():
    assert Closeness().excess == 0.0


@pytest.mark.parametrize("cosine", [0.1, USUAL, 0.6])
def test_many_pairs_tell_how_close_windows_are(cosine):
    closeness = Closeness()
    closeness.hear([cosine] * int(MOST))
    assert closeness.excess == pytest.approx(cosine - USUAL, rel=0.06, abs=1e-9)


def test_a_few_pairs_tell_little():
    closeness = Closeness()
    closeness.hear([0.9] * 3)
    assert 0.0 < closeness.excess < 0.1 * (0.9 - USUAL)


def test_what_was_heard_long_ago_fades():
    closeness = Closeness()
    for _ in range(1000):
        closeness.hear([0.9] * 6)
    for _ in range(1000):
        closeness.hear([USUAL] * 6)
    assert closeness.excess == pytest.approx(0.0, abs=1e-3)
    assert closeness.pairs == MOST


@pytest.mark.parametrize(("share", "labels"), [(0.5, [0, 1]), (0.0, [0])])
def test_voices_on_a_clear_line_must_be_closer_to_be_one(share, labels):
    """Two voices with a cosine of 0.39 are one by a threshold of 0.35, unless each has 1.0 with itself."""
    config = TrackerConfig(
        group_cosine=0.35, young_cosine=0.0, closeness_share=share, linked_cosine=0.0, slow_seconds=NEVER
    )
    talk = Talk(config)
    for voice in (0.0, 0.7, 0.0, 0.7):
        begin = talk.hop
        for _ in range(8):
            links = tuple((piece_of(hop, 0), HOP) for hop in range(begin, talk.hop))
            talk.hear(Heard(piece_of(talk.hop, 0), HOP, between(talk, 0, 1, voice), links=links))
            talk.hop += 1
    assert talk.state.labels == labels


@pytest.mark.parametrize(
    ("gap", "samples", "counted"), [(1, HOP, 0), (3, HOP, 1), (8, HOP, 1), (9, HOP, 0), (3, 640, 0)]
)
def test_pairs_that_count_are_sure_links_of_windows_with_hardly_any_common_sound(gap, samples, counted):
    talk = Talk()
    talk.pause(20)
    links = ((piece_of(talk.hop, 0), samples),)
    talk.say(0, 1)
    talk.pause(gap - 1)
    talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(0), links=links))
    assert talk.state.closeness.pairs == counted
    if counted:
        first, second = talk.state.memory.vectors
        assert talk.state.closeness.total == pytest.approx(float(np.dot(first, second)), abs=1e-6)
