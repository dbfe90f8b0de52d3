"""How close windows of one voice are in a stream."""

import numpy as np
import pytest

from rtspk.engine.closeness import MOST, UNCOMMON, USUAL, VOICE, Closeness
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import Heard, piece_of
from rtspk.types import Embedding, Segment, samples_of
from tests.engine.conftest import NEVER, VOICE_DIMENSION, Talk, between

SHARE = TrackerConfig().common_share


def heard(own: float, others: float | None = None, pairs: int = int(MOST)) -> Closeness:
    closeness = Closeness()
    closeness.own.hear([own] * pairs)
    if others is not None:
        closeness.others.hear([others] * pairs)
    return closeness


def test_before_anything_is_heard_windows_are_as_close_as_usual():
    assert Closeness().excess(0.0) == 0.0
    assert Closeness().common(0.5, SHARE) == 0.0


@pytest.mark.parametrize("cosine", [0.1, USUAL, 0.6])
def test_many_pairs_tell_how_close_windows_are(cosine):
    assert heard(cosine).excess(0.0) == pytest.approx(cosine - USUAL, rel=0.06, abs=1e-9)


def test_a_few_pairs_tell_little():
    assert 0.0 < heard(0.9, pairs=3).excess(0.0) < 0.1 * (0.9 - USUAL)


def test_what_was_heard_long_ago_fades():
    closeness = Closeness()
    for _ in range(1000):
        closeness.own.hear([0.9] * 6)
    for _ in range(1000):
        closeness.own.hear([USUAL] * 6)
    assert closeness.excess(0.0) == pytest.approx(0.0, abs=1e-3)
    assert closeness.own.count == MOST


def test_what_two_people_have_in_common_is_the_lines():
    closeness = heard(0.55, 0.25)
    assert closeness.common(0.4, 1.0) == pytest.approx(0.25 - UNCOMMON, abs=0.05)
    assert closeness.common(0.4, 0.0) == 0.0


@pytest.mark.parametrize(
    ("own", "others", "anyone"),
    [
        (0.5, UNCOMMON, 0.2),  # two people have nothing in common
        (0.5, 0.45, 0.4),  # the segmenter parts one person in two
        (0.5, 0.25, 0.5),  # all windows are as close as those of one person
        (VOICE, 0.15, 0.1),  # all of it may be the voice's own
    ],
)
def test_what_may_be_one_persons_is_left_alone(own, others, anyone):
    assert heard(own, others).common(anyone, SHARE) == pytest.approx(0.0, abs=0.01)


def test_a_few_pairs_of_two_people_tell_little():
    many, few = (heard(0.55, 0.25, pairs).common(0.4, SHARE) for pairs in (600, 70))
    assert 0.0 < few < 0.25 * many


def test_a_voice_keeps_something_of_its_own():
    assert heard(0.6, 0.45).common(0.5, 3.0) <= 0.6 - VOICE


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
    assert talk.state.closeness.own.count == counted
    if counted:
        first, second = talk.state.memory.vectors
        assert talk.state.closeness.own.total == pytest.approx(float(np.dot(first, second)), abs=1e-6)


@pytest.mark.parametrize(
    ("gap", "linked", "counted"), [(2, False, 0), (3, False, 1), (8, False, 1), (9, False, 0), (3, True, 0)]
)
def test_pairs_of_two_people_are_of_local_speakers_that_share_nothing(gap, linked, counted):
    talk = Talk()
    talk.pause(20)
    other = piece_of(talk.hop, 1)
    talk.hear(Heard(other, HOP, talk.window(0)))
    talk.hop += 1
    talk.pause(gap - 1)
    links = ((other, 640),) if linked else ()
    talk.hear(Heard(piece_of(talk.hop, 0), HOP, talk.window(1), links=links, others=(other,)))
    assert talk.state.closeness.others.count == counted
    if counted:
        first, second = talk.state.memory.vectors
        assert talk.state.closeness.others.total == pytest.approx(float(np.dot(first, second)), abs=1e-6)


@pytest.mark.parametrize(("share", "labels"), [(1.3, 2), (0.0, 1)])
def test_two_voices_through_one_line_are_two(share, labels):
    """Each has 0.6 with itself and 0.33 with the other, which is the line; the segmenter tells them apart."""
    rng = np.random.default_rng(2)
    config = TrackerConfig(common_share=share, linked_cosine=0.0, parted_cosine=0.0, young_cosine=0.0)
    talk = Talk(config)
    pieces: dict[int, list[int]] = {0: [], 1: []}
    for turn in range(40):
        voice = turn % 2
        for _ in range(4):
            vector = np.zeros(VOICE_DIMENSION)
            vector[0], vector[1 + voice] = np.sqrt(0.33), np.sqrt(0.27)
            noise = np.append(np.zeros(3), rng.normal(size=VOICE_DIMENSION - 3))
            vector += np.sqrt(0.4) * noise / np.linalg.norm(noise)
            piece = piece_of(talk.hop, voice)
            links = tuple((other, HOP) for other in pieces[voice][-8:])
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            window = Embedding(unit, Segment(talk.hop * HOP, (talk.hop + 1) * HOP), samples_of(1.5))
            talk.hear(Heard(piece, HOP, window, links=links, others=tuple(pieces[1 - voice][-8:])))
            pieces[voice].append(piece)
            talk.hop += 1
    assert len(talk.state.labels) == labels
