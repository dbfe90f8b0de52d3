"""Open-set identification over small conversations of hums: who is enrolled is found, strangers are not."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from rtspk.audio import write_wav
from rtspk.bench.identification import evaluate_identification, pieces_alone
from rtspk.engine.calibration import Calibration
from rtspk.engine.pipeline import Identification
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, FormatError
from rtspk.rttm import SpeakerTurn, write_rttm
from rtspk.types import Match, Segment, samples_of


class Oracle:
    """An engine that hears a voice's pitch exactly: samples are the number of the voice, all over."""

    naming = Calibration(15.0, -6.0)

    def __init__(self):
        self.names = {}
        self.sessions = []

    def enroll(self, name, *clips):
        number = round(float(np.median(clips[0])) * 100)
        if number == 0:
            raise AudioError("silence")
        self.names[number] = name

    def identify(self, samples, *, count):
        number = round(float(np.median(samples)) * 100)
        if number == 9:
            raise AudioError("wanted speech, got none")
        known = number in self.names
        best = Match(self.names.get(number, "Anna"), 0.8 if known else 0.2, 0.9 if known else 0.1)
        return Identification(best.name, best.score, best.probability, (best,)[:count], len(samples))

    def session(self, *, config):
        self.sessions.append(config)
        return Silent()


class Silent:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def push(self, _):
        return []

    def finish(self):
        return []


@pytest.fixture
def talk(tmp_path):
    """Anna (1) and two strangers (2, and 9 who is not heard); Ben (3) is enrolled from silence."""
    sound = np.zeros(samples_of(16.0), np.float32)
    turns = []
    for start, number, who in ((0, 1, "Anna"), (4, 2, "Who"), (8, 9, "What"), (12, 3, "Ben")):
        sound[samples_of(start) : samples_of(start + 3.5)] = number / 100
        turns.append(SpeakerTurn("talk", start, start + 3.5, who))
    write_wav(tmp_path / "talk.wav", sound)
    write_rttm(tmp_path / "talk.rttm", turns)
    (tmp_path / "people").mkdir()
    write_wav(tmp_path / "people" / "Anna.wav", np.full(16000, 0.01, np.float32))
    write_wav(tmp_path / "people" / "Ben.wav", np.zeros(16000, np.float32))
    return tmp_path


def evaluate(engine, folder, **options):
    return evaluate_identification(engine, folder / "people", folder, folder, lambda *_: None, **options)


def test_rates_are_those_of_the_pieces(talk):
    engine = Oracle()
    report = evaluate(engine, talk, latency=2.0)
    assert [(p.speaker, p.enrolled, p.correct, p.probability) for p in report.probes] == [
        ("Anna", True, True, 0.9),
        ("Who", False, False, 0.1),
        ("What", False, False, 0.0),
        ("Ben", True, False, 0.1),
    ]
    assert (report.enrolled, report.strangers, report.refused) == (2, 2, ("Ben",))
    assert report.as_shipped.identification_rate == 0.5
    assert report.as_shipped.false_alarm_rate == 0.0
    assert report.calibration_error == pytest.approx((0.1 + 0.1 + 0.1) / 4, abs=1e-6)
    assert engine.sessions[0].latency == 2.0


def test_a_name_of_two_words_is_found_in_its_reference(talk):
    (talk / "people" / "Anna.wav").rename(talk / "people" / "Anna Bell.wav")
    (talk / "talk.rttm").write_text((talk / "talk.rttm").read_text().replace("Anna", "Anna_Bell"))
    report = evaluate(Oracle(), talk)
    assert [p.speaker for p in report.probes if p.correct] == ["Anna_Bell"]
    write_wav(talk / "people" / "Anna_Bell.wav", np.zeros(16000, np.float32))
    with pytest.raises(FormatError, match="got Anna_Bell for two people"):
        evaluate(Oracle(), talk)


def test_where_nobody_can_be_enrolled_that_is_said(talk):
    write_wav(talk / "people" / "Anna.wav", np.zeros(16000, np.float32))
    with pytest.raises(AudioError, match=r"wanted clips with speech in .*people, got none of 2 people"):
        evaluate(Oracle(), talk)


def test_the_report_has_the_promised_keys(talk):
    report = evaluate(Oracle(), talk)
    keys = json.loads(report.to_json())
    assert set(keys["far"]) == {"0.001", "0.01", "0.05"}
    assert set(keys["far"]["0.01"]) >= {"identification_rate", "detection_rate", "stranger_named"}
    assert set(keys["time_to_name"]) >= {"p50", "p95"}
    assert keys["time_to_name"]["p95"] is None  # nobody was ever named
    assert keys["ece"] == pytest.approx(report.calibration_error, abs=1e-5)
    out = io.StringIO()
    report.table(Console(file=out, width=160))
    assert "2 enrolled, 2 strangers" in out.getvalue()
    assert "not enrolled for want of speech in their clips: Ben" in out.getvalue()


def test_pieces_are_joined_from_what_one_person_says_alone():
    turns = [
        SpeakerTurn("t", 0, 2, "a"),
        SpeakerTurn("t", 1.5, 4, "b"),  # half a second together
        SpeakerTurn("t", 5, 5.3, "a"),  # a scrap
        SpeakerTurn("t", 6, 8, "a"),
    ]
    found = pieces_alone(turns, 2.5)
    whole = [(who, [(p.start / 16000, p.end / 16000) for p in piece]) for who, piece in found]
    assert whole == [("a", [(0.0, 1.5), (6.0, 7.0)])]
    assert pieces_alone(turns, 1.0)[0] == ("a", [Segment(0, 16000)])
    for who, piece in pieces_alone(turns, 1.0):
        assert sum(part.duration for part in piece) == 16000
        assert all(
            any(t.speaker == who and t.start * 16000 <= p.start and p.end <= t.end * 16000 for t in turns)
            for p in piece
        )


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (lambda f: (f / "talk.wav").unlink(), r"wanted one recording of talk .*, got none"),
        (lambda f: (f / "talk.rttm").unlink(), "wanted a folder of RTTM files, got none"),
        (lambda f: (f / "people" / "Anna.wav").rename(f / "people" / "Zoe.wav"), "got 1 of 4 enrolled"),
        (lambda f: [p.unlink() for p in (f / "people").iterdir()], "a folder for each person"),
    ],
)
def test_what_cannot_be_measured_is_refused(talk, spoil, wanted):
    spoil(talk)
    if "1 of 4" in wanted:
        (talk / "people" / "Ben.wav").unlink()
        wanted = "got 0 of 4 enrolled"
    with pytest.raises((FormatError, AudioError), match=wanted):
        evaluate(Oracle(), talk)


def test_pieces_longer_than_all_speech_are_refused(talk):
    with pytest.raises(FormatError, match="wanted a piece of 30 s of an enrolled person alone"):
        evaluate(Oracle(), talk, segment=30.0)


def test_the_probability_that_counts_is_the_sessions_own(talk):
    config = SessionConfig()
    assert evaluate(Oracle(), talk, config=config).probability == config.identity.probability
