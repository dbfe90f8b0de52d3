"""The engine end to end on a real conversation: names enrolled, names said, strangers left unnamed."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import read_audio
from rtspk.data import DEMO
from rtspk.engine.events import EndEvent, SegmentEvent
from rtspk.engine.network import Network
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, ConfigError, GalleryError, SessionError
from rtspk.metrics import diarization_error
from rtspk.rttm import read_rttm, to_rttm_turns
from rtspk.transcript import Transcript
from rtspk.types import samples_of, seconds_of

ANNA, BEN, TALK = DEMO / "Anna.opus", DEMO / "Ben.opus", DEMO / "conversation.opus"


@pytest.fixture
def engine():
    return Engine.load(":memory:")


def test_enrolled_people_are_named_and_the_stranger_is_not(engine):
    engine.enroll("Anna", ANNA)
    engine.enroll("Ben", BEN)
    session, transcript = engine.session(latency=1.0), Transcript()
    transcript.apply_all([*session.push(read_audio(TALK)), *session.finish()])
    turns = transcript.turns()
    assert {turn.name for turn in turns} == {"Anna", "Ben", None}
    reference = read_rttm(DEMO / "conversation.rttm")
    stranger = {turn.label for turn in turns if turn.name is None}
    said = [
        turn if turn.speaker not in stranger else type(turn)(turn.file, turn.start, turn.end, "Cleo")
        for turn in to_rttm_turns("conversation", turns)
    ]
    # Names are compared as they are: no mapping makes a wrong name right.
    wrong = sum(
        max(0.0, min(a.end, b.end) - max(a.start, b.start))
        for a in reference
        for b in said
        if a.speaker != b.speaker
    )
    assert wrong < 0.12 * sum(turn.end - turn.start for turn in reference)
    assert diarization_error(reference, said).rate < 0.25


def test_without_enrolment_the_voices_are_told_apart(engine):
    session = engine.session()
    events = [*session.push(read_audio(TALK)), *session.finish()]
    assert events[-1].to_json()["speakers"] == 3
    assert all(event.turn.name is None for event in events if isinstance(event, SegmentEvent))


def test_who_speaks_when_all_labels_are_given_has_somebody_elses_without_confidence(engine):
    engine.enroll("Anna", ANNA)
    engine.enroll("Ben", BEN)
    session, transcript = engine.session(max_speakers=2), Transcript()
    transcript.apply_all([*session.push(read_audio(TALK)), *session.finish()])
    cleo = [turn for turn in read_rttm(DEMO / "conversation.rttm") if turn.speaker == "Cleo"]
    sure: dict[bool, list[bool]] = {True: [], False: []}
    for turn in transcript.turns():
        middle = seconds_of(turn.segment.start + turn.segment.end) / 2
        sure[any(one.start < middle < one.end for one in cleo)].append(turn.confidence > 0.1)
        assert turn.name in {"Anna", "Ben"}
    assert len(sure[True]) > 5
    assert not any(sure[True])
    assert all(sure[False])


def test_a_clip_of_an_enrolled_voice_is_identified_and_a_strangers_is_not(engine):
    engine.enroll("Anna", ANNA)
    engine.enroll("Ben", BEN)
    talk = read_audio(TALK)
    own = engine.identify(talk[samples_of(0.5) : samples_of(4.1)])
    assert (own.name, own.candidates[0].name) == ("Anna", "Anna")
    assert own.probability > 0.5
    stranger = engine.identify(talk[samples_of(37.2) : samples_of(40.7)])
    assert stranger.name is None


def test_two_clips_of_one_voice_are_the_same_and_of_two_are_not(engine):
    talk = read_audio(TALK)
    anna = talk[samples_of(31.4) : samples_of(34.2)]
    assert engine.verify(ANNA, anna).same
    assert not engine.verify(BEN, anna).same


def test_a_second_name_for_a_voice_is_warned_of(engine):
    engine.enroll("Anna", ANNA)
    again = engine.enroll("Somebody", ANNA)
    assert again.near is not None
    assert again.near.name == "Anna"
    assert any("close to Anna" in warning for warning in again.warnings)


def test_a_third_name_for_a_voice_is_warned_of_too(engine):
    for name in ("Anna", "Ann"):
        engine.enroll(name, ANNA)
    again = engine.enroll("Somebody", ANNA)
    assert again.near is not None
    assert again.near.name in {"Anna", "Ann"}


def test_another_voice_under_a_known_name_is_warned_of(engine):
    engine.enroll("Anna", read_audio(ANNA)[: samples_of(6)])
    own = engine.enroll("Anna", read_audio(ANNA)[samples_of(6) :]).warnings
    assert not any("does not sound like" in warning for warning in own)
    other = engine.enroll("Anna", BEN).warnings
    assert any("does not sound like the Anna enrolled before" in warning for warning in other)


def test_what_was_enrolled_before_counts_for_a_reliable_print(engine):
    sound = read_audio(ANNA)
    assert engine.enroll("Anna", sound[: samples_of(5)]).complete < 1.0
    again = engine.enroll("Anna", sound[samples_of(5) :])
    assert again.complete == 1.0
    assert not any("reliable print" in warning for warning in again.warnings)


def test_two_people_in_one_enrolment_are_noticed(engine):
    both = np.concatenate([read_audio(ANNA)[: samples_of(6)], read_audio(BEN)[: samples_of(6)]])
    assert any("two people" in warning for warning in engine.enroll("Both", both).warnings)
    assert engine.identify(both).warnings == ("this sounds like two people",)
    assert engine.verify(ANNA, both).warnings == ("the samples: this sounds like two people",)
    assert engine.identify(ANNA).warnings == engine.verify(ANNA, BEN).warnings == ()


def test_two_people_who_speak_at_once_are_noticed(engine):
    anna, ben = (read_audio(clip)[: samples_of(8)] for clip in (ANNA, BEN))
    at_once = anna / np.abs(anna).max() / 2 + ben / np.abs(ben).max() / 2
    assert engine.identify(at_once.astype(np.float32)).warnings == ("this sounds like two people",)


def test_a_recording_that_was_heard_before_is_evidence_once(engine):
    sound = read_audio(ANNA)[: samples_of(6)]
    first = engine.enroll("Anna", sound)
    again = engine.enroll("Anna", sound)
    assert (again.exemplars, again.complete) == (0, first.complete)
    count = first.exemplars
    assert f"heard before: {count} of {count} prints are there already" in again.warnings
    assert any("heard before" in warning for warning in engine.enroll("Ann", sound, sound).warnings)
    assert [one.exemplars for one in engine.gallery.speakers()] == [count, count]


def test_little_speech_is_said_to_be_little(engine):
    (warning,) = engine.enroll("Anna", read_audio(ANNA)[: samples_of(3.0)]).warnings
    assert "of the speech that makes a reliable print" in warning


def test_a_bad_clip_among_good_ones_enrolls_nothing(engine, tmp_path):
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(AudioError):
        engine.enroll("Anna", ANNA, tmp_path / "bad.wav")
    assert len(engine.gallery) == 0


@pytest.mark.parametrize(
    "samples", [np.zeros(0, np.float32), np.zeros(3200, np.float32), np.zeros(80_000, np.float32)]
)
def test_sound_without_speech_is_refused_with_what_came(engine, samples):
    with pytest.raises(AudioError, match=r"wanted at least 0.5 s of speech in the samples, got 0.00 s in"):
        engine.identify(samples)


def test_a_name_is_stored_and_given_back_as_it_is_cleaned(engine):
    assert engine.enroll("  Zoe\u0308 ", ANNA).name == "Zo\u00eb"
    assert [one.name for one in engine.gallery.speakers()] == ["Zo\u00eb"]


def test_who_is_to_be_enrolled_from_nothing_is_refused(engine):
    with pytest.raises(AudioError, match="wanted at least one clip for 'Anna', got none"):
        engine.enroll("Anna")


def test_each_print_is_stored_with_what_it_was_heard_in(engine):
    anna = read_audio(ANNA)[: samples_of(5.0)]
    engine.enroll("Both", BEN, anna * np.float32(20.0))
    stored = {(one.source, one.quality) for one in engine.gallery.show("Both").exemplars}
    clean, clipped = (engine.voiceprint(clip).quality.score for clip in (BEN, anna * np.float32(20.0)))
    assert stored == {("Ben.opus", clean), ("samples", clipped)}
    assert clipped < clean
    assert engine.gallery.clips("Both") == []


def test_no_more_names_are_found_than_asked_for(engine):
    engine.enroll("Anna", ANNA)
    engine.enroll("Ben", BEN)
    (found,) = engine.identify(BEN, count=1).candidates
    assert found.name == "Ben"
    assert [one.name for one in engine.identify(BEN).candidates] == ["Ben", "Anna"]


def test_a_session_has_the_settings_that_it_is_given_whole_or_two_of_them(engine):
    def settings(session):
        return session._session._parts.config

    assert settings(engine.session()) == SessionConfig()
    assert settings(engine.session(latency=2.5, max_speakers=3)) == SessionConfig(2.5, 3)
    whole = SessionConfig(latency=0.5, max_speakers=2)
    assert settings(engine.session(latency=2.5, max_speakers=3, config=whole)) == whole


def test_a_session_that_is_left_is_over_and_still_says_the_rest(engine):
    with engine.session() as session:
        session.push(read_audio(ANNA)[: samples_of(2.0)])
    with pytest.raises(SessionError, match="wanted no audio after finish"):
        session.push(np.zeros(160, np.float32))
    assert session.finish()[-1] == EndEvent(samples_of(2.0), 1)


def test_another_process_may_load_the_like_of_an_engine_whose_voices_are_in_a_file(engine, tmp_path):
    assert not engine.can_be_repeated
    assert Engine.load(tmp_path / "voices.db", device="cpu").can_be_repeated


def test_a_name_that_is_none_is_refused_before_anything_is_heard(engine, tmp_path):
    with pytest.raises(GalleryError, match="wanted a name, got an empty one"):
        engine.enroll(" ", tmp_path / "missing.wav")


def test_where_nobody_is_enrolled_nobody_is_found_however_little_is_asked(engine):
    found = engine.identify(ANNA, probability=0.0)
    assert (found.name, found.candidates) == (None, ())


@pytest.mark.parametrize(
    ("verb", "name", "wanted", "values"),
    [
        ("identify", "count", "a whole number of names, 1 or more", (0, 1.5, float("inf"), "1", None)),
        ("identify", "probability", "a probability of 0 to 1", (1.5, -0.1, float("nan"), "1", [1])),
        ("session", "latency", "a latency of 0.5 to 5 seconds", (0.4, float("nan"), "1", None, True)),
        ("session", "max_speakers", "1 to 100 speakers at most", (0, 101, 1.5, float("nan"), "1", None)),
        ("load", "threads", "1 to 1024 threads", (0, -1, 1.5, float("nan"), "1", None)),
        ("load", "busy_seconds", "to wait for 0 to 86400 seconds", (-1, float("nan"), float("inf"), "1")),
    ],
)
def test_what_is_no_number_or_outside_its_range_is_refused_in_one_line(engine, verb, name, wanted, values):
    call = partial(engine.identify, ANNA) if verb == "identify" else getattr(engine, verb)
    for value in values:
        with pytest.raises(ConfigError) as caught:
            call(**{name: value})
        assert str(caught.value) == f"wanted {wanted}, got {value!r}"


@pytest.mark.parametrize("clip", [None, [0.0] * 80_000, b"sound"])
def test_what_is_neither_a_file_nor_samples_is_refused_in_one_line(engine, clip):
    for call in (engine.identify, partial(engine.enroll, "Anna"), partial(engine.verify, ANNA)):
        with pytest.raises(AudioError) as caught:
            call(clip)
        assert str(caught.value) == f"wanted a file, or samples as an array, got {type(clip).__name__}"


def test_numbers_of_numpy_are_numbers(engine):
    session = engine.session(latency=np.float32(2.0), max_speakers=np.int64(3))
    assert session.finish()[-1].to_json()["speakers"] == 0


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 80_000), np.float32), np.zeros(80_000), np.zeros(80_000, np.int16)]
)
def test_samples_of_another_shape_or_type_are_refused(engine, samples):
    for verb in (engine.voiceprint, engine.identify, lambda clip: engine.enroll("Anna", clip)):
        with pytest.raises(AudioError, match=r"wanted (one channel of shape|float32 samples)"):
            verb(samples)


def test_a_clip_that_is_kept_is_decoded_once(engine, monkeypatch):
    read: list[Path] = []

    def counted(path):
        read.append(path)
        return read_audio(path)

    monkeypatch.setattr("rtspk.engine.pipeline.read_audio", counted)
    engine.enroll("Anna", ANNA, keep_clips=True)
    assert read == [ANNA]
    ((source, sound),) = engine.gallery.clips("Anna")
    assert source == ANNA.name
    assert sound == pytest.approx(read_audio(ANNA), abs=1e-4)


def test_the_demo_is_labelled_as_it_was(engine):
    """Golden: what the shipped model said; another processor may round a border otherwise."""
    engine.enroll("Anna", ANNA)
    engine.enroll("Ben", BEN)
    session, transcript = engine.session(latency=1.0), Transcript()
    transcript.apply_all([*session.push(read_audio(TALK)), *session.finish()])
    golden = read_rttm(Path(__file__).parents[1] / "data" / "demo.rttm")
    said = to_rttm_turns("demo", transcript.turns())
    assert {turn.speaker for turn in said} == {turn.speaker for turn in golden}
    assert diarization_error(golden, said).rate < 0.02


def test_the_light_segmenter_is_chosen_by_name_and_by_the_environment(monkeypatch):
    usual = Engine.load(":memory:")
    monkeypatch.setenv("RTSPK_SEGMENTER", "light")
    light = Engine.load(":memory:")
    assert light.segmenter.card.id == Engine.load(":memory:", segmenter="light").segmenter.card.id
    assert light.segmenter.card.id != usual.segmenter.card.id


def test_a_segmenter_that_is_sure_of_barks_wants_more_for_a_new_voice_where_nothing_else_tells_them_apart(
    monkeypatch,
):
    sure, light = (Engine.load(":memory:", segmenter=name) for name in (None, "light"))
    config = SessionConfig()

    def gates():
        return [one.parts(config).tracker.config.birth_certainty for one in (sure, light)]

    assert gates() == [config.tracker.birth_certainty] * 2
    for one in (sure, light):
        monkeypatch.setattr(one.embedder, "voicing", None)
    assert gates() == [sure.segmenter.card.birth_certainty, config.tracker.birth_certainty]
    assert gates()[0] > gates()[1]


def test_threads_are_for_both_networks_and_change_no_answer(monkeypatch):
    told = []

    class Told(Network):
        def __init__(self, path, threads=1):
            told.append((path.name, threads))
            super().__init__(path, threads)

    monkeypatch.setattr("rtspk.engine.trunk.Network", Told)
    one, several = (
        Engine.load(":memory:", device="cpu", segmenter="light", threads=threads) for threads in (1, 2)
    )
    assert several.segmenter._network._session.get_session_options().intra_op_num_threads == 2
    assert ("trunk.onnx", 2) in told
    rows = one.segmenter.rows(read_audio(TALK)[: samples_of(12.0)])
    assert np.array_equal(several.segmenter.speech(rows), one.segmenter.speech(rows))
