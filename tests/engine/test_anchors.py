"""The enrolled among the windows: a voice that the gallery knows is told apart at once, others are not."""

import numpy as np
import pytest

from rtspk.engine.anchors import Anchors
from rtspk.engine.memory import NOBODY
from rtspk.engine.review import Review
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker_state import Birth, Heard, Joined, LabelChange, TrackerState, piece_of
from rtspk.engine.voicing import Voicing
from rtspk.types import FloatArray, samples_of
from tests.engine.conftest import VOICE_DIMENSION, Talk

SEVERAL = 12  # windows of half a second each


def voice(*cosines: float) -> FloatArray:
    """A unit vector with these cosines to the first axes."""
    vector = np.zeros(8, np.float32)
    vector[: len(cosines)] = cosines
    vector[-1] = np.sqrt(1.0 - np.square(vector).sum())
    return vector


ANNA, BEN = voice(1.0), voice(0.0, 1.0)
LIKE_ANNA, LIKE_BEN = voice(0.9, 0.3), voice(0.3, 0.9)  # on one bad line: both are a little like either


def anchors(*prints: FloatArray, labels: tuple[int, ...] | None = None, known: bool = True) -> Anchors:
    labels = labels or (NOBODY,) * len(prints)
    return Anchors(np.stack(prints), np.array(labels), lambda vector, _: known and float(vector @ BEN) > 0.0)


class Table:
    """A memory that windows are put into, one in a hop."""

    def __init__(
        self, config: TrackerConfig | None = None, certainty: float = 1.0, voicing: Voicing | None = None
    ) -> None:
        self.review, self.state = Review(config or TrackerConfig(), 20, voicing), TrackerState()
        self.certainty = certainty

    def hear(
        self, vector: FloatArray, anchors: Anchors | None = None, seconds: float = 0.5
    ) -> list[LabelChange]:
        state, memory = self.state, self.state.memory
        piece = 3 * (int(memory.pieces.max()) // 3 + 1) if len(memory.pieces) else 0
        memory.add(vector, seconds, self.certainty, piece, 240, {})
        changes = self.review.review(state, (), anchors)
        state.speech = [samples_of(float(memory.weights[memory.labels == one].sum())) for one in state.labels]
        return changes

    def labels(self) -> list[int]:
        return self.state.memory.labels.tolist()


def after_much_of(vector: FloatArray) -> Table:
    table = Table(TrackerConfig(group_cosine=0.5, settled_seconds=1.0))
    for _ in range(SEVERAL):
        table.hear(vector)
    return table


def test_a_voice_that_is_taken_for_another_is_told_apart_by_its_print():
    apart, together = after_much_of(LIKE_ANNA), after_much_of(LIKE_ANNA)
    for _ in range(2):
        together.hear(LIKE_BEN)
        apart.hear(LIKE_BEN, anchors(ANNA, BEN))
    assert len(set(together.labels())) == 1
    assert len(set(apart.labels())) == 2


def test_whom_the_gallery_knows_gets_a_label_with_the_first_window():
    table = after_much_of(ANNA)
    assert [type(change) for change in table.hear(LIKE_BEN, anchors(BEN))] == [Birth]


@pytest.mark.parametrize("known", [False, True])
def test_the_tracker_listens_for_whom_it_is_told_of(known):
    talk = Talk(TrackerConfig(settled_seconds=1.0))
    talk.say(0, SEVERAL)
    ben = Anchors(np.eye(VOICE_DIMENSION, dtype=np.float32)[1:2], np.array([NOBODY]), lambda *_: known)
    heard = Heard(piece_of(talk.hop, 0), HOP, talk.window(1))
    _, changes = talk.tracker.observe([heard], talk.state, anchors=ben)
    assert [type(change) for change in changes] == ([Birth] if known else [])


def test_whom_the_gallery_knows_gets_a_label_by_the_slow_path_too():
    for known in (False, True):
        table = after_much_of(ANNA)
        for _ in range(2):
            table.hear(BEN, anchors(BEN, known=False))
        changes = table.review.regroup(table.state, (), anchors(BEN, known=known))
        assert any(isinstance(change, Birth) for change in changes) == known


def test_who_only_may_be_one_of_the_enrolled_waits_like_everybody():
    table = after_much_of(ANNA)
    assert table.hear(LIKE_BEN, anchors(BEN, known=False)) == []
    assert table.labels()[-1] == NOBODY


@pytest.mark.parametrize(("log_odds", "somebody"), [(4.0, True), (-4.0, False), (None, False)])
def test_whom_the_gallery_knows_need_not_be_surely_speech_but_a_voice(log_odds, somebody):
    """Music may be near to somebody: what tells sounds from voices is asked, where there is such a thing."""
    voicing = None if log_odds is None else Voicing(np.zeros(8, np.float32), log_odds)
    assert Table(certainty=0.5, voicing=voicing).hear(LIKE_BEN) == []
    changes = Table(certainty=0.5, voicing=voicing).hear(LIKE_BEN, anchors(BEN))
    assert [type(change) for change in changes] == ([Birth] if somebody else [])


def test_a_scrap_is_nobody_even_where_it_sounds_like_somebody():
    assert Table().hear(LIKE_BEN, anchors(BEN), seconds=0.2) == []


def test_a_print_alone_is_nobody():
    table = after_much_of(ANNA)
    table.hear(ANNA, anchors(BEN, voice(0.0, 0.0, 1.0)))
    assert len(table.state.labels) == 1


def test_prints_of_two_people_never_make_their_windows_one_voice():
    middle = voice(0.68, 0.68)
    table = Table(TrackerConfig(group_cosine=0.0))
    table.hear(ANNA)
    table.hear(BEN, anchors(ANNA, BEN))
    changes = table.hear(middle, anchors(ANNA, BEN, labels=(0, 1)))
    assert not [change for change in changes if isinstance(change, Joined)]
    assert table.labels()[0] != table.labels()[1]


@pytest.mark.parametrize("keep", [0.0, 0.3])
def test_a_label_holds_on_to_the_print_whose_name_it_bears(keep):
    config = TrackerConfig(group_cosine=0.6, keep_cosine=keep, known_seconds=1e6)
    table = Table(config)
    table.hear(ANNA)
    near = voice(0.4, 0.2)
    table.hear(near, anchors(voice(0.5, 0.7), labels=(0,), known=False))
    table.state.memory.labels[:] = 0
    table.hear(near, anchors(voice(0.5, 0.7), labels=(0,), known=False))
    assert (table.labels() == [0, 0, 0]) == (keep > 0.0)


@pytest.mark.parametrize(("keep", "label"), [(0.0, 0), (0.3, NOBODY)])
def test_a_print_whose_name_is_anothers_is_kept_from_a_labels_windows(keep, label):
    table = Table(TrackerConfig(group_cosine=0.3, keep_cosine=keep, early_seconds=4.0))
    table.hear(ANNA)
    table.hear(voice(0.1, 0.9), anchors(voice(0.5, 0.7), labels=(7,), known=False))
    assert table.labels() == [0, label]
