"""Names on labels: enough evidence, one label for each name, and a wrong name is taken back."""

import numpy as np
import pytest

from rtspk.engine.calibration import Calibration
from rtspk.engine.cohort import Cohort
from rtspk.engine.gallery import Gallery
from rtspk.engine.identity import ANCHOR_HOPS, Identities, IdentitiesState, matches
from rtspk.engine.memory import NOBODY
from rtspk.engine.settings import IdentityConfig
from rtspk.types import Embedding, FloatArray, Segment, samples_of

SPEECH = samples_of(5.0)


def at(anna: float, ben: float) -> FloatArray:
    """A unit vector with these cosines to Anna and Ben."""
    rest = np.sqrt(max(0.0, 1.0 - anna**2 - ben**2))
    return np.array([anna, ben, rest, 0.0], np.float32)


@pytest.fixture
def identities() -> Identities:
    gallery = Gallery.open(None, "test", 4)
    for name, vector in (("Anna", at(1, 0)), ("Ben", at(0, 1))):
        gallery.add(name, [Embedding(vector, Segment(0, SPEECH), SPEECH)], "test")
    return Identities(gallery, Calibration(20.0, -8.0), IdentityConfig())  # even odds at 0.4


def test_a_near_voice_gets_the_name(identities):
    assert identities.update(0, at(0.8, 0.1), SPEECH, IdentitiesState()) == [(0, "Anna")]


def test_a_stranger_stays_without_a_name(identities):
    assert identities.update(0, at(0.35, 0.1), SPEECH, IdentitiesState()) == []


def test_a_voice_between_two_names_gets_neither(identities):
    assert identities.update(0, at(0.6, 0.59), SPEECH, IdentitiesState()) == []


def test_a_name_is_said_once(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.update(0, at(0.7, 0.1), SPEECH, state) == []


def test_a_name_sticks_while_it_is_still_probable(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.update(0, at(0.45, 0.1), SPEECH, state) == []


@pytest.mark.parametrize(("probability", "keep"), [(0.3, 0.4), (0.05, 0.5)])
def test_a_name_is_said_once_also_where_it_takes_less_to_get_than_to_keep(identities, probability, keep):
    config = IdentityConfig(probability=probability, keep_probability=keep)
    lenient = Identities(identities.gallery, identities.calibration, config)
    state = IdentitiesState()
    unsure = at(0.41, 0.1)  # 0.37
    assert lenient.update(0, unsure, SPEECH, state) == [(0, "Anna")]
    assert lenient.update(0, unsure, SPEECH, state) == []


def test_a_name_that_the_gallery_forgot_is_taken_back(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    identities.gallery.delete("Anna")
    assert identities.update(0, at(0.8, 0.1), SPEECH, state) == [(0, None)]


def test_a_name_that_became_improbable_is_taken_back(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.update(0, at(0.1, 0.1), SPEECH, state) == [(0, None)]
    assert identities.update(0, at(0.1, 0.1), SPEECH, state) == []


def test_a_wrong_early_name_is_replaced(identities):
    state = IdentitiesState()
    identities.update(0, at(0.7, 0.3), SPEECH, state)
    assert identities.update(0, at(0.1, 0.9), SPEECH, state) == [(0, "Ben")]


def test_two_labels_never_hold_one_name(identities):
    state = IdentitiesState()
    identities.update(0, at(0.6, 0.1), SPEECH, state)
    assert identities.update(1, at(0.55, 0.1), SPEECH, state) == []
    assert identities.update(1, at(0.9, 0.1), SPEECH, state) == [(0, None), (1, "Anna")]
    assert identities.update(0, at(0.6, 0.1), SPEECH, state) == []


def test_a_name_goes_to_who_is_surer_of_it_by_what_was_heard_last(identities):
    state = IdentitiesState()
    identities.update(0, at(0.9, 0.1), SPEECH, state)
    assert identities.update(0, at(0.45, 0.1), SPEECH, state) == []
    assert identities.update(1, at(0.8, 0.1), SPEECH, state) == [(0, None), (1, "Anna")]


@pytest.mark.parametrize("pinned", [False, True])
def test_a_name_that_became_improbable_is_taken_back_where_the_likelier_one_is_anothers(identities, pinned):
    state = IdentitiesState()
    identities.update(0, at(0.9, 0.1), SPEECH, state)
    if pinned:
        identities.pin(0, "Anna", state)
    identities.update(1, at(0.1, 0.8), SPEECH, state)
    assert identities.update(1, at(0.8, 0.1), SPEECH, state) == [(1, None)]
    assert {label: match.name for label, match in state.held.items()} == {0: "Anna"}


def test_a_merged_label_brings_its_name_along(identities):
    state = IdentitiesState()
    identities.update(3, at(0.8, 0.1), SPEECH, state)
    assert identities.merge(3, 1, state) == [(1, "Anna")]
    assert list(state.held) == [1]


def test_an_empty_gallery_names_nobody():
    empty = Identities(Gallery.open(None, "test", 4), Calibration(20.0, -8.0), IdentityConfig())
    assert empty.update(0, at(0.8, 0.1), SPEECH, IdentitiesState()) == []


def test_names_and_a_stranger_share_the_probability(identities):
    for vector in (at(0.8, 0.1), at(0.6, 0.55), at(0.45, 0.1), at(0.1, 0.1)):
        found = matches(identities.gallery, identities.calibration, vector, SPEECH, 5)
        ratios = np.exp([20.0 * vector[0] - 8.0, 20.0 * vector[1] - 8.0])
        wanted = (
            0.25 * ratios / (0.25 * ratios.sum() + 0.5)
        )  # half of the odds to strangers, half to two names
        assert {m.name: m.probability for m in found} == pytest.approx(
            {"Anna": wanted[0], "Ben": wanted[1]}, rel=1e-4
        )
        assert sum(m.probability for m in found) < 1.0


def test_the_more_are_enrolled_the_more_evidence_a_name_needs(identities):
    before = matches(identities.gallery, identities.calibration, at(0.6, 0.1), SPEECH, 1)[0].probability
    far = [Embedding(np.array([0, 0, 0, -1], np.float32), Segment(0, 1), SPEECH)]
    identities.gallery.add_many((f"name {n}", far, "test", None) for n in range(200))
    (after,) = matches(identities.gallery, identities.calibration, at(0.6, 0.1), SPEECH, 1)
    assert after.name == "Anna"
    assert after.probability < 0.5 < before


def test_a_name_is_as_probable_whether_one_or_all_are_asked_for(identities):
    far = [Embedding(at(0.0, 0.3) * np.array([1, 1, -1, 1], np.float32), Segment(0, 1), SPEECH)]
    others = ((f"name {n}", far, "test", None) for n in range(28))
    identities.gallery.add_many(others)
    one, two, all_of_them = (
        matches(identities.gallery, identities.calibration, at(0.6, 0.1), SPEECH, n) for n in (1, 2, 30)
    )
    assert one == two[:1]
    assert len(all_of_them) == 30
    assert all_of_them[0].probability == pytest.approx(one[0].probability, rel=1e-3)


def test_evidence_without_end_is_still_a_probability(identities):
    steep = Calibration(1e4, -4e3)
    sure, none = (matches(identities.gallery, steep, at(x, 0.0), SPEECH, 1)[0] for x in (0.9, 0.1))
    assert (sure.probability, none.probability) == (1.0, 0.0)


def test_the_length_of_a_vector_and_a_perfect_recording_change_nothing(identities):
    cohort, vector = Cohort(np.stack([at(0.8, 0.1)] * 2)), at(0.6, 0.1)
    terms = Calibration(20.0, -8.0, cohort=-5.0, quality=2.0)
    (one,) = matches(identities.gallery, terms, vector, SPEECH, 1, cohort=cohort)
    (other,) = matches(identities.gallery, terms, 3 * vector, SPEECH, 1, cohort=cohort, quality=1.0)
    assert other.probability == pytest.approx(one.probability, rel=1e-5)


def test_without_a_cohort_nothing_is_said_of_a_voices_standing(identities):
    with_term, plain = Calibration(20.0, -8.0, cohort=-10.0), Calibration(20.0, -8.0)
    one, other = (matches(identities.gallery, c, at(0.6, 0.1), SPEECH, 2) for c in (with_term, plain))
    assert one == other


def test_the_posterior_grows_with_speech_behind_the_same_score(identities):
    steeper = Calibration(20.0, -8.0, speech_scale=4.0)
    chances = [
        matches(identities.gallery, steeper, at(0.6, 0.1), samples_of(seconds), 1)[0].probability
        for seconds in (1.0, 2.0, 4.0, 8.0)
    ]
    assert chances == sorted(chances)
    assert chances[0] < chances[-1]


def test_a_voice_that_strangers_are_near_to_needs_more(identities):
    wary = Calibration(20.0, -8.0, cohort=-10.0)
    near, far = (Cohort(np.stack([v, v])) for v in (at(0.8, 0.1), np.array([0, 0, 0, 1], np.float32)))
    chances = [
        matches(identities.gallery, wary, at(0.8, 0.1), SPEECH, 1, cohort=cohort)[0].probability
        for cohort in (far, near)
    ]
    assert chances[0] > 0.9
    assert chances[1] < 0.1


def test_a_pinned_name_outlives_a_merge_with_a_label_that_was_only_heard(identities):
    state = IdentitiesState()
    identities.update(1, at(0.1, 0.9), SPEECH, state)
    identities.pin(3, "Cleo", state)
    assert identities.merge(3, 1, state) == [(1, "Cleo")]
    assert identities.update(1, at(0.1, 0.9), SPEECH, state) == []


def test_a_name_that_is_given_twice_changes_nothing_the_second_time(identities):
    state = IdentitiesState()
    assert identities.pin(3, "Cleo", state) == [(3, "Cleo")]
    assert identities.pin(3, "Cleo", state) == []
    assert state.pinned == {3}


def test_a_given_name_leaves_others_theirs(identities):
    state = IdentitiesState()
    identities.update(0, at(0.8, 0.1), SPEECH, state)
    assert identities.pin(3, "Cleo", state) == [(3, "Cleo")]
    assert {label: match.name for label, match in state.held.items()} == {0: "Anna", 3: "Cleo"}


@pytest.mark.parametrize(("gone", "kept"), [(False, False), (True, True), (False, True)])
def test_of_two_names_that_are_as_sure_or_surer_the_kept_labels_stands(identities, gone, kept):
    state = IdentitiesState()
    for label, vector, given in ((3, at(0.1, 0.9), gone), (1, at(0.8, 0.1), kept)):
        identities.update(label, vector, SPEECH, state)
        if given:
            identities.pin(label, "Cleo" if label == 3 else "Dora", state)
    before = state.held[1]
    assert identities.merge(3, 1, state) == []
    assert state.held == {1: before}
    assert state.pinned == ({1} if kept else set())


def test_who_lost_a_given_name_to_another_is_listened_to_again(identities):
    state = IdentitiesState()
    identities.pin(3, "Cleo", state)
    assert identities.pin(4, "Cleo", state) == [(3, None), (4, "Cleo")]
    assert identities.update(3, at(0.8, 0.1), SPEECH, state) == [(3, "Anna")]


def test_no_two_labels_ever_hold_one_name_whatever_is_heard():
    rng = np.random.default_rng(0)
    gallery = Gallery.open(None, "test", 8)
    voices = rng.normal(size=(5, 8)).astype(np.float32)
    for number, voice in enumerate(voices):
        gallery.add(f"name {number}", [Embedding(voice, Segment(0, 1), SPEECH)], "test")
    identities = Identities(gallery, Calibration(12.0, -3.0), IdentityConfig())
    state, names, given = IdentitiesState(), {}, 0
    for _ in range(600):
        label = int(rng.integers(6))
        vector = voices[rng.integers(5)] + rng.normal(size=8).astype(np.float32)
        kind = rng.random()
        if kind < 0.03:
            changes = identities.pin(label, f"name {rng.integers(5)}", state)
        elif kind < 0.06:
            other = int(rng.integers(6))
            changes = identities.merge(label, other, state) if label != other else []
            names.pop(label, None) if label != other else None
        else:
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            changes = identities.update(label, unit, int(rng.integers(8_000, 128_000)), state)
        for changed, name in changes:
            given += name is not None
            names.pop(changed, None)
            if name is not None:
                names[changed] = name
        assert len(set(names.values())) == len(names)
        assert names == {held: match.name for held, match in state.held.items()}
    assert given > 50


def test_whom_a_window_sounds_like_may_be_in_the_stream_for_a_while(identities):
    state = IdentitiesState()
    found = identities.anchors([at(0.8, 0.1)], 0, state)
    assert found.labels.tolist() == [NOBODY]
    np.testing.assert_allclose(found.vectors, [at(1, 0)], atol=1e-3)
    assert len(identities.anchors([], ANCHOR_HOPS, state)) == 1
    assert len(identities.anchors([], ANCHOR_HOPS + 1, state)) == 0


def test_whom_a_window_sounds_like_again_may_be_there_for_as_long_again(identities):
    state = IdentitiesState()
    for hop in (0, ANCHOR_HOPS):
        identities.anchors([at(0.8, 0.1)], hop, state)
    assert len(identities.anchors([], 2 * ANCHOR_HOPS, state)) == 1
    assert len(identities.anchors([], 2 * ANCHOR_HOPS + 1, state)) == 0


def test_whom_nothing_sounded_like_is_not_thought_of(identities):
    assert len(identities.anchors([at(0.3, 0.2)], 0, IdentitiesState())) == 0


def test_who_has_a_label_is_thought_of_as_long_as_it_bears_the_name(identities):
    state = IdentitiesState()
    identities.anchors([at(0.8, 0.1)], 0, state)
    identities.update(3, at(0.8, 0.1), SPEECH, state)
    assert identities.anchors([], 10 * ANCHOR_HOPS, state).labels.tolist() == [3]
    identities.update(3, at(0.1, 0.1), SPEECH, state)
    assert len(identities.anchors([], 10 * ANCHOR_HOPS, state)) == 0


def test_a_voice_is_recognised_while_no_label_bears_its_name(identities):
    state = IdentitiesState()
    anchors = identities.anchors([at(0.45, 0.45)], 0, state)
    assert anchors.recognises(at(0.8, 0.1), 5.0)
    assert not anchors.recognises(at(0.35, 0.1), 5.0)
    identities.update(0, at(0.9, 0.1), SPEECH, state)
    assert not anchors.recognises(at(0.8, 0.1), 5.0)
    assert anchors.recognises(at(0.1, 0.8), 5.0)


def test_who_is_forgotten_by_the_gallery_is_not_thought_of_anew(identities):
    state = IdentitiesState()
    identities.gallery.delete("Anna")
    assert len(identities.anchors([at(0.8, 0.1)], 0, state)) == 0
    ben = identities.anchors([at(0.1, 0.8)], 0, state)
    assert len(ben) == 1
    identities.gallery.delete("Ben")
    assert not ben.recognises(at(0.1, 0.8), 5.0)


def test_an_empty_gallery_has_nobody_to_think_of():
    nobody = Identities(Gallery.open(None, "test", 4), Calibration(20.0, -8.0), IdentityConfig())
    found = nobody.anchors([at(0.8, 0.1)], 0, IdentitiesState())
    assert not len(found)
    assert not found.recognises(at(0.8, 0.1), 5.0)
