import io
import json
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from rich.console import Console

from rtspk.audio import write_wav
from rtspk.bench import diarization
from rtspk.bench.diarization import evaluate_diarization, speakers_in
from rtspk.bench.latency import voices
from rtspk.engine.embedder import EmbedderCard
from rtspk.engine.events import Change, EndEvent, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.engine.gallery import Gallery
from rtspk.engine.pipeline import Engine
from rtspk.engine.segmenter import load_segmenter
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, ConfigError, FormatError
from rtspk.rttm import SpeakerTurn, write_rttm
from rtspk.types import Embedding, Segment, Turn, samples_of


def segment(number, start, end, label, state="final"):
    turn = Turn(Segment(samples_of(start), samples_of(end)), label, None, 0.5, 0.9)
    return SegmentEvent(number, 1, turn, state)


def revise(number, label):
    return ReviseEvent((Change(number, 2, label, None, "new"),))


def spoken(number, start, end, label):
    """A turn as a session tells it: it grows while it goes on, and is final a second later."""
    told = [start + 0.5 * i for i in range(1, round(2 * (end - start)))]
    growing = [(at, segment(number, start, at, label, "tentative")) for at in told]
    return [*growing, (end, segment(number, start, end, label))]


@dataclass
class Script:
    """An engine whose sessions say what they are told to, when the stream gets there."""

    events: list  # (seconds, event)
    configs: list = field(default_factory=list)
    heard: int = 0

    def session(self, *, config):
        self.configs.append(config)
        return ScriptedSession(self)


class ScriptedSession:
    def __init__(self, script):
        self.script, self.left, self.now = script, list(script.events), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.script.heard = self.now

    def push(self, samples):
        self.now += len(samples)
        due = [event for at, event in self.left if samples_of(at) <= self.now]
        self.left = [(at, event) for at, event in self.left if samples_of(at) > self.now]
        return due

    def finish(self):
        return [event for _, event in self.left] + [EndEvent(self.now, 2)]


@pytest.fixture
def talk(tmp_path):
    """Ten seconds: Anna to 4, Ben from 5 to 9."""
    write_wav(tmp_path / "talk.wav", np.zeros(160_000, np.float32))
    write_rttm(tmp_path / "talk.rttm", [SpeakerTurn("talk", 0, 4, "Anna"), SpeakerTurn("talk", 5, 9, "Ben")])
    return tmp_path


def quiet(done, total):
    pass


def evaluate(events, folder, uem=None, collar=0.0, latency=1.0):
    return evaluate_diarization(Script(events), folder, folder, uem, latency, collar, quiet)


def test_a_perfect_answer_has_no_error(talk):
    total = evaluate([*spoken(1, 0, 4, "S1"), *spoken(2, 5, 9, "S2")], talk).total
    assert total.first.error.rate == total.revised.error.rate == 0.0
    assert total.first.jaccard.rate == 0.0
    assert (total.flipped, total.said) == (0, samples_of(8))


def test_what_was_first_said_counts_though_it_is_revised_later(talk):
    report = evaluate(
        [
            *spoken(1, 0, 4, "S1"),
            *spoken(2, 5, 7, "S1"),
            *spoken(3, 7, 9, "S2"),
            (11, revise(2, "S2")),
        ],
        talk,
    )
    assert report.total.first.error.confusion == pytest.approx(2.0)
    assert report.total.revised.error.rate == 0.0
    keys = json.loads(report.to_json())
    assert keys["total"]["der"] == keys["total"]["confusion"] == 0.25
    assert keys["revised"]["der"] == 0.0
    assert keys["total"]["flip_rate"] == 0.25


def test_a_merge_revises_all_earlier_segments_of_its_label(talk):
    events = [
        *spoken(1, 0, 2, "S1"),
        *spoken(2, 2, 4, "S2"),
        (6, SpeakerEvent("merged", "S2", into="S1")),
        *spoken(3, 5, 9, "S2"),
    ]
    total = evaluate(events, talk).total
    assert total.first.error.confusion == pytest.approx(2.0)
    assert total.revised.error.rate == 0.0
    assert total.flipped == samples_of(2)


def test_what_is_said_later_than_the_latency_is_missed_as_first_said(talk):
    events = [
        (1.5, segment(1, 0, 1, "S1", "tentative")),  # half a second of it was too old
        (5.5, segment(1, 0, 4, "S1")),
        (6, segment(2, 5, 5.5, "S2", "tentative")),
    ]
    total = evaluate(events, talk).total
    assert total.first.error.miss == pytest.approx(0.5 + 3.0 + 3.5)
    assert total.revised.error.miss == pytest.approx(4.0)  # what never became final is no answer in the end
    assert total.delays == (1.5,)


def test_the_parts_of_a_turn_that_is_cut_are_scored_as_revised_and_have_no_delay_of_their_own(talk):
    split = ReviseEvent((Change(1, 2, "S1", None, "split"),))
    parts = [split, segment(1, 0, 4, "S1"), segment(2, 5, 9, "S2")]
    total = evaluate([*spoken(1, 0, 9, "S1"), *((11, event) for event in parts)], talk).total
    assert (total.first.error.false_alarm, total.first.error.confusion) == pytest.approx((1.0, 4.0))
    assert total.revised.error.rate == 0.0
    assert total.delays == (0.5,)


def test_a_label_taken_back_is_no_flip(talk):
    events = [*spoken(1, 0, 4, "S1"), (6, revise(1, "S2")), (7, revise(1, "S1"))]
    assert evaluate(events, talk).total.flipped == 0


def test_the_end_is_padded_by_the_latency_and_a_second(talk):
    script = Script([])
    evaluate_diarization(script, talk, talk, None, 2.0, 0.0, quiet)
    assert script.heard == samples_of(13)


def test_the_latency_is_set_and_other_settings_are_kept(talk):
    script = Script([])
    config = SessionConfig(latency=1.0, max_speakers=3)
    evaluate_diarization(script, talk, talk, None, 2.5, 0.0, quiet, config=config)
    assert script.configs == [SessionConfig(latency=2.5, max_speakers=3)]
    with pytest.raises(ConfigError, match="latency"):
        evaluate([], talk, latency=9.0)


def test_what_is_said_in_the_padding_is_outside_the_file(talk):
    turns = [*spoken(1, 0, 4, "S1"), *spoken(2, 5, 9, "S2"), *spoken(3, 10, 12, "S3")]
    report = evaluate(turns, talk)
    assert report.region == "file"
    assert report.total.first.error.false_alarm == 0.0
    assert report.total.first.count.mean == 0.0


@pytest.mark.parametrize("shared", [False, True])
def test_only_what_the_uem_names_is_scored(talk, shared):
    (talk / "talk.uem").write_text("talk 1 0.000 5.000\nother 1 0.000 9.000\n")
    report = evaluate(spoken(1, 0, 4, "S1"), talk, talk / "talk.uem" if shared else talk)
    assert report.region == "uem"
    assert report.total.first.error.total == pytest.approx(4.0)
    assert report.total.first.error.rate == 0.0


def test_a_collar_leaves_out_half_of_itself_on_each_side(talk):
    events = [(4, segment(1, 0, 4.2, "S1")), *spoken(2, 5, 9, "S2")]
    assert evaluate(events, talk).total.first.error.false_alarm == pytest.approx(0.2)
    assert evaluate(events, talk, collar=0.4).total.first.error.false_alarm == pytest.approx(0.0)


def test_files_are_pooled_by_time_and_speakers_off_by_files(talk):
    write_wav(talk / "more.wav", np.zeros(32_000, np.float32))
    write_rttm(talk / "more.rttm", [SpeakerTurn("more", 0, 1, "Anna")])
    told = []
    script = Script(spoken(1, 0, 4, "S1"))
    report = evaluate_diarization(script, talk, talk, None, 1.0, 0.0, lambda *count: told.append(count))
    assert [name for name, _ in report.files] == ["more", "talk"]
    assert told == [(1, 2), (2, 2)]
    error = report.total.first.error  # 4 of 8 s are missed in one, 1 s is too much in the other
    assert (error.total, error.miss, error.false_alarm) == pytest.approx((9.0, 4.0, 1.0))
    assert report.total.first.count.mean == 0.5
    assert report.total.audio_seconds == pytest.approx(16.0)


def test_the_report_has_the_keys_that_scripts_rely_on(talk):
    keys = json.loads(evaluate(spoken(1, 0, 4, "S1"), talk).to_json())
    assert {key: keys[key] for key in ("latency", "collar", "overlap", "region", "speech_activity")} == {
        "latency": 1.0,
        "collar": 0.0,
        "overlap": True,
        "region": "file",
        "speech_activity": "own",
    }
    rates = {"der", "miss", "false_alarm", "confusion", "jer", "speaker_count_error"}
    beside = {"speech", "flip_rate", "time_to_first_label", "rtf"}
    assert set(keys["total"]) == rates | beside
    assert set(keys["files"]["talk"]) == rates | beside | {"revised"}
    assert set(keys["revised"]) == set(keys["files"]["talk"]["revised"]) == rates
    assert keys["total"]["speech"] == 8.0


def test_the_table_says_how_it_was_scored(talk):
    out = io.StringIO()
    evaluate([], talk, collar=0.5).table(Console(file=out, width=200))
    for words in (
        "collar 0.5 s in all",
        "half after",
        "overlap scored",
        "whole files",
        "speech activity: own",
        "talk",
    ):
        assert words in out.getvalue()


def test_who_is_enrolled_is_measured_up_to_their_name(talk):
    named = (6.0, SpeakerEvent("named", "S1", name="Anna"))
    script = Script([*spoken(1, 0, 4, "S1"), named, *spoken(2, 5, 9, "S2")])
    report = evaluate_diarization(script, talk, talk, None, 1.0, 0.0, quiet, enrolled={"Anna", "Ben"})
    assert (report.total.names.delays, report.total.names.waits) == ((4.0, math.inf), (6.0, math.inf))
    assert speakers_in(talk, talk, None) == {"Anna", "Ben"}


def test_a_picture_says_all_of_how_it_was_scored(talk, monkeypatch):
    drawn = []
    monkeypatch.setattr(diarization, "draw_timeline", lambda *_, **words: drawn.append(words))
    (talk / "all.uem").write_text("talk 1 0 4\n")
    for uem in (None, talk / "all.uem"):
        evaluate_diarization(Script([]), talk, talk, uem, 1.0, 0.5, quiet, pictures=talk / "pictures")
    scored = "latency 1 s: DER 100.0% as first said, 100.0% revised; collar 0.5 s, overlap scored, "
    assert [words["title"] for words in drawn] == ["talk", "talk"]
    assert [words["caption"] for words in drawn] == [
        f"{scored}whole file, own speech activity",
        f"{scored}inside the UEM, own speech activity",
    ]


def test_what_lies_beside_a_recording_and_is_none_is_passed_over(talk):
    for name in ("talk.jsonl", "talk.toml", "talk.jpg"):
        (talk / name).write_text("no sound")
    assert evaluate([], talk).total.first.error.total > 0


def test_false_alarms_where_nobody_speaks_are_the_whole_rate(talk):
    (talk / "talk.rttm").write_text("")
    keys = json.loads(evaluate(spoken(1, 0, 4, "S1"), talk).to_json())["total"]
    assert (keys["der"], keys["miss"], keys["false_alarm"], keys["confusion"]) == (1.0, 0.0, 1.0, 0.0)


def test_one_reference_may_hold_all_recordings(talk):
    write_wav(talk / "more.v2.wav", np.zeros(32_000, np.float32))
    both = [SpeakerTurn("talk", 0, 4, "Anna"), SpeakerTurn("more.v2", 0, 1, "Anna")]
    write_rttm(talk / "all.rttm", both)
    script = Script(spoken(1, 0, 4, "S1"))
    report = evaluate_diarization(script, talk / "all.rttm", talk, None, 1.0, 0.0, quiet)
    assert [name for name, _ in report.files] == ["more.v2", "talk"]
    assert [result.first.error.total for _, result in report.files] == pytest.approx([1.0, 4.0])


def test_what_is_not_scored_is_said(talk):
    write_wav(talk / "more.wav", np.zeros(32_000, np.float32))
    assert evaluate([], talk).notes == ("not scored, without a reference: more",)
    write_rttm(talk / "more.rttm", [SpeakerTurn("more", 0, 2.4, "Anna")])
    assert evaluate([], talk).notes == ()
    write_rttm(talk / "more.rttm", [SpeakerTurn("more", 0, 3, "Anna")])
    assert evaluate([], talk).notes == (
        "more ends at 2.0 s and its reference at 3.0 s: what lies behind is not scored",
    )
    (talk / "all.uem").write_text("more 1 0 60\ntalk 1 0 4\ntalk 1 5 9\n")
    assert evaluate([], talk, uem=talk / "all.uem").notes == (
        "more ends at 2.0 s and its UEM at 60.0 s: nobody is heard behind it",
    )


def test_what_is_missing_is_said_before_anything_is_streamed(talk, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    script = Script([])

    def refused(kind, match, reference=talk, audio=talk, uem=None):
        with pytest.raises(kind, match=match):
            evaluate_diarization(script, reference, audio, uem, 1.0, 0.0, quiet)

    refused(FormatError, "wanted RTTM files in a folder, or one for all", reference=tmp_path / "gone")
    refused(FormatError, "wanted a folder of recordings", audio=tmp_path / "gone")
    refused(FormatError, "wanted RTTM files, got none", reference=empty)
    refused(AudioError, "wanted a recording of talk, got none", audio=empty)
    refused(FormatError, "wanted a UEM file", uem=empty)
    (empty / "talk.uem").write_text("other 1 0.0 1.0\n")
    refused(FormatError, "wanted a scored region for talk", uem=empty)
    (talk / "talk.mp3").write_bytes(b"-")
    refused(AudioError, r"wanted one recording of talk, got talk\.mp3, talk\.wav")
    (talk / "talk.mp3").unlink()
    write_rttm(talk / "talk.rttm", [SpeakerTurn("a", 0, 1, "A"), SpeakerTurn("b", 0, 1, "A")])
    refused(FormatError, "wanted one recording in")
    assert script.configs == []


class MeanSpectrum:
    """A voice as the shape of its mean spectrum."""

    card = EmbedderCard(id="plain", file="", licence="", dimension=80)
    cohort = None
    voicing = None
    trunk = None

    def embed(self, windows):
        means = [window.features[window.mask > 0].mean(0) for window in windows]
        vectors = [(m - m.mean()) / np.linalg.norm(m - m.mean()) for m in means]
        return [Embedding(v, w.segment, w.net_speech) for v, w in zip(vectors, windows, strict=True)]


def test_the_engine_itself_is_streamed_and_scored(tmp_path):
    write_wav(tmp_path / "talk.wav", voices(6.0, seed=1))
    write_rttm(tmp_path / "talk.rttm", [SpeakerTurn("talk", 0, 6, "Anna")])
    gallery = Gallery.open(None, "plain", 80)
    engine = Engine(MeanSpectrum(), load_segmenter(), gallery)
    total = evaluate_diarization(engine, tmp_path, tmp_path, None, 1.0, 0.0, quiet).total
    assert 0.0 < total.first.error.rate < 0.7
    assert total.processing_seconds > 0.0
    assert all(delay > 0.0 for delay in total.delays)
