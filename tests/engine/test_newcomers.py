"""Who may be new is shown under the next label at once, and gets a label of their own or another's later."""

import numpy as np
import pytest

from rtspk.engine.events import ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.engine.settings import HOP, TrackerConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import NEXT, Birth, Decision, Heard, piece_of
from rtspk.engine.turns import Turns
from rtspk.engine.turns_state import Said, TurnsState
from rtspk.engine.voicing import Voicing
from rtspk.types import FloatArray, Segment
from tests.engine.conftest import NEVER, Talk, between, known_two
from tests.engine.conftest import VOICE_DIMENSION as DIMENSION

VECTOR = np.ones(4, np.float32)


def slow() -> TrackerConfig:
    """A new voice needs a second at least."""
    return TrackerConfig(birth_seconds=4.0, settled_seconds=1.0, split_seconds=NEVER, slow_seconds=NEVER)


def test_a_voice_like_nobody_known_is_shown_as_the_next_one_until_it_is_proven():
    talk = Talk(slow())
    talk.say(0, 20)
    said = talk.say(1, 5)
    assert [d.label for d in said] == [NEXT, NEXT, NEXT, 1, 1]
    assert [d.provisional for d in said] == [True, True, True, False, False]


@pytest.mark.parametrize(("clear", "label"), [(0.9, NEXT), (0.2, 0)])
def test_what_is_a_little_like_a_label_stays_with_it(clear, label):
    talk = Talk(TrackerConfig(group_cosine=0.95, clear_cosine=clear, slow_seconds=NEVER))
    talk.say(0, 20)
    (decision,), _ = talk.hear(Heard(piece_of(talk.hop, 0), HOP, between(talk, 0, 1, 0.5)))
    assert (decision.label, decision.provisional) == (label, True)


def test_what_had_a_label_is_no_newcomer():
    """A second voice under the first one's label, which is about to be parted from it."""
    talk = Talk(TrackerConfig(group_cosine=-0.2, clear_cosine=-1.0, slow_seconds=NEVER))
    talk.say(0, 40)
    talk.say(1, 10)
    assert talk.state.labels == [0]
    talk.tracker = Tracker(TrackerConfig(split_seconds=NEVER, birth_seconds=NEVER, slow_seconds=NEVER), 20)
    (decision,) = talk.say(1, 1)
    assert (decision.label, decision.provisional) == (NEXT, True)
    assert talk.state.newcomers == {decision.piece}


def test_what_was_the_next_ones_goes_to_most_of_its_windows_or_else_to_the_nearest_label():
    talk = Talk()
    first, second = known_two(talk)  # in ten hops each

    def whose(*hops: int, vector: FloatArray | None = None) -> int:
        return talk.tracker.whose([piece_of(hop, 0) for hop in hops], vector, talk.state)

    assert (whose(8, 9, 10), whose(9, 10, 11)) == (first, second)
    assert (whose(50), whose(50, vector=talk.voice(1))) == (NEXT, second)
    talk.state.newcomers = frozenset({piece_of(51, 0)})
    assert whose(50, 51, vector=talk.voice(1)) == NEXT


def test_there_is_no_next_one_where_no_more_are_allowed():
    talk = Talk(slow(), max_speakers=1)
    talk.say(0, 20)
    assert [d.label for d in talk.say(1, 2)] == [0, 0]


def test_what_sounds_like_no_voice_is_no_newcomer():
    normal = np.zeros(DIMENSION, np.float32)
    normal[1] = -20.0
    talk = Talk(slow(), voicing=Voicing(normal, 5.0))
    talk.say(0, 20)
    assert [d.label for d in talk.say(1, 2)] == [0, 0]
    assert [d.label for d in talk.say(2, 2)] == [NEXT, NEXT]


def test_a_newcomer_who_says_no_more_goes_to_the_nearest_label():
    talk = Talk(slow())
    talk.say(0, 20)
    stray = between(talk, 1, 0, 0.1)
    piece = piece_of(talk.hop, 0)
    talk.hear(Heard(piece, HOP, stray))
    talk.hop += 1
    talk.say(0, 10)
    assert talk.tracker.whose([piece], stray.vector, talk.state) == NEXT
    talk.say(0, 1)
    assert talk.tracker.whose([piece], stray.vector, talk.state) == 0


def test_a_newcomer_who_was_somebody_known_gets_their_label():
    talk = Talk(slow())
    talk.say(0, 20)
    piece = piece_of(talk.hop, 0)
    talk.say(1, 1)
    assert talk.tracker.whose([piece], talk.voice(1), talk.state) == NEXT
    talk.say(1, 3)
    assert talk.tracker.whose([piece], talk.voice(0), talk.state) == 1


def test_a_newcomer_is_somebody_by_a_persons_word():
    talk = Talk(slow())
    talk.say(0, 20)
    assert talk.tracker.adopt(talk.state) is None
    piece = piece_of(talk.hop, 0)
    talk.say(1, 1)
    assert talk.tracker.adopt(talk.state) == Birth(1, (piece,))
    assert talk.tracker.nearest(talk.voice(1), talk.state)[0] == 1
    assert talk.tracker.adopt(talk.state) is None
    assert [d.label for d in talk.say(1, 2)] == [1, 1]
    assert talk.tracker.nearest(talk.voice(1), talk.state)[0] == 1


class Speech:
    """Hops of speech under one label after another, the first of which is given."""

    def __init__(self) -> None:
        self.turns = Turns(TurnsState(), 0)
        self.turns.born(0, ())
        self.hop = 0

    def say(self, label: int, hops: int) -> None:
        for _ in range(hops):
            span = Segment(self.hop * HOP, (self.hop + 1) * HOP)
            decision = Decision(self.hop, label, 0.5, 0.9, label == NEXT)
            self.turns.extend([Said(decision, [span], VECTOR)])
            self.hop += 1

    def finalise(self) -> None:
        self.turns.close()
        for draft in self.turns.due(1 << 40):
            self.turns.finalise(draft)

    def shown(self) -> list[str]:
        """The label of each turn as it stands, by what was said of it."""
        shown: dict[int, str] = {}
        for event in self.turns.state.events:
            if isinstance(event, SegmentEvent):
                shown[event.id] = event.turn.label
            elif isinstance(event, ReviseEvent):
                shown |= {change.id: change.label for change in event.changes}
        return list(shown.values())


@pytest.mark.parametrize("final", [False, True])
def test_a_newcomer_is_shown_under_the_label_that_they_get(final):
    speech = Speech()
    speech.say(0, 4)
    speech.say(NEXT, 3)
    assert speech.shown() == ["S1", "S2"]
    if final:
        speech.finalise()
    speech.turns.born(1, (4, 5, 6))
    assert speech.shown() == ["S1", "S2"]
    speech.say(NEXT, 1)
    assert speech.shown() == ["S1", "S2", "S3"]


def test_a_label_is_announced_once_before_it_is_shown():
    speech = Speech()
    speech.say(0, 4)
    speech.say(NEXT, 2)
    speech.turns.recast(lambda *_: 0)
    speech.say(NEXT, 2)
    speech.turns.born(1, (6, 7))
    said = [
        (event.event, event.label) if isinstance(event, SpeakerEvent) else event.turn.label
        for event in speech.turns.state.events
        if not isinstance(event, ReviseEvent)
    ]
    assert [one for one in said if isinstance(one, tuple)] == [("new", "S1"), ("new", "S2")]
    assert said.index(("new", "S2")) < said.index("S2")


@pytest.mark.parametrize("final", [False, True])
def test_another_newcomer_moves_on_when_the_label_is_given(final):
    speech = Speech()
    speech.say(0, 4)
    speech.say(NEXT, 2)
    speech.say(0, 1)
    speech.say(NEXT, 2)
    if final:
        speech.finalise()
    speech.turns.born(1, (7, 8))
    assert speech.shown() == ["S1", "S3", "S1", "S2"]


@pytest.mark.parametrize("final", [False, True])
def test_a_newcomer_who_is_nobody_new_goes_to_who_they_are(final):
    speech = Speech()
    speech.say(0, 4)
    speech.say(NEXT, 2)
    if final:
        speech.finalise()
    answers, asked = [NEXT, 0], []

    def whose(pieces, vector):
        asked.append(([*pieces], vector is not None))
        return answers.pop(0)

    speech.turns.recast(whose)
    assert speech.shown() == ["S1", "S2"]
    speech.turns.recast(whose)
    assert speech.shown() == ["S1", "S1"]
    speech.turns.recast(whose)
    assert asked == [([4, 5], True)] * 2
