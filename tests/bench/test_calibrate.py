"""Calibration from trials: what it finds comes true, and what teaches nothing is refused."""

import io
import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from rtspk.audio import write_wav
from rtspk.bench import calibrate as module
from rtspk.bench.calibrate import calibrate
from rtspk.engine.calibration import Calibration
from rtspk.engine.cohort import Cohort
from rtspk.engine.voiceprint import ClipQuality, Voiceprint
from rtspk.errors import AudioError, ConfigError, FormatError
from rtspk.types import samples_of

DIMENSION = 24


class Noisy:
    """A voice is the number in its samples, and more sound is heard more clearly."""

    naming = Calibration(15.0, -14.0)  # far off

    def __init__(self, cohort=None):
        self.embedder = type("Embedder", (), {"cohort": cohort})()
        self._rng = np.random.default_rng(0)

    def voiceprint(self, samples):
        number = round(float(np.median(samples)) * 1000)
        if number == 0:
            raise AudioError("silence")
        voice = np.random.default_rng(number).normal(size=DIMENSION)
        noise = self._rng.normal(size=DIMENSION) * (0.4 + 0.8 * samples_of(1.0) / len(samples))
        vector = (voice + noise).astype(np.float32)
        return Voiceprint((), (), vector / np.linalg.norm(vector), len(samples), ClipQuality(None, 0.0))


@pytest.fixture
def trials(tmp_path):
    """Thirty voices with two clips each; each pair of one voice, and four times as many of two."""
    for number in range(1, 31):
        for take in (0, 1):
            sound = np.full(samples_of(2.5 + 2 * take), number / 1000, np.float32)
            write_wav(tmp_path / f"{number}-{take}.wav", sound)
    lines = [f"1 {n}-0.wav {n}-1.wav" for n in range(1, 31)]
    lines += [f"0 {n}-0.wav {(n + k) % 30 + 1}-1.wav" for n in range(1, 31) for k in range(1, 5)]
    (tmp_path / "trials.txt").write_text("\n".join(lines))
    return tmp_path / "trials.txt"


def quiet(done, of):
    pass


def test_probabilities_of_other_trials_come_true_and_cost_less_than_before(trials):
    report = calibrate(Noisy(), trials, 0.05, quiet)
    assert (report.trials, report.target, report.unheard) == (150, 30, 0)
    assert report.cost < report.cost_before
    assert report.cost < 0.5
    assert report.calibration_error < 0.05
    assert report.measured_false_accept <= 0.1
    assert 0.0 < report.threshold < 1.0
    assert report.calibration.cohort == 0.0


class Uneven(Noisy):
    """Half of the voices were recorded badly, and sound less like themselves."""

    def voiceprint(self, samples):
        heard = super().voiceprint(samples)
        if round(float(np.median(samples)) * 1000) % 4 < 2:
            return replace(heard, quality=ClipQuality(30.0, 0.0))
        noise = self._rng.normal(size=DIMENSION) * 0.3
        vector = (heard.vector + noise).astype(np.float32)
        return replace(heard, vector=vector / np.linalg.norm(vector), quality=ClipQuality(0.0, 0.0))


def test_how_clean_a_clip_is_counts_where_it_is_asked_for(trials):
    without = calibrate(Uneven(), trials, 0.05, quiet)
    told = calibrate(Uneven(), trials, 0.05, quiet, with_quality=True)
    assert without.calibration.quality == 0.0
    assert told.calibration.quality < 0.0  # a bad clip that is as near says more
    assert told.cost < without.cost
    assert "* (quality - 1)" in text_of(told)
    assert "quality" not in text_of(without)


def text_of(report):
    console = Console(file=io.StringIO(), width=200)
    report.table(console)
    return console.file.getvalue()


def test_a_list_that_alternates_the_two_kinds_is_as_good_as_another(trials):
    lines = trials.read_text().splitlines()
    trials.write_text("\n".join(line for pair in zip(lines[:30], lines[30:60], strict=True) for line in pair))
    report = calibrate(Noisy(), trials, 0.05, quiet)
    assert (report.trials, report.target) == (60, 30)
    assert report.cost < report.cost_before


def test_a_model_with_a_cohort_gets_a_term_for_it(trials):
    vectors = np.random.default_rng(5).normal(size=(60, DIMENSION)).astype(np.float32)
    cohort = Cohort(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert calibrate(Noisy(cohort), trials, 0.05, quiet).calibration.cohort != 0.0


def test_a_lower_rate_of_false_accepts_has_a_higher_threshold(trials):
    reports = [calibrate(Noisy(), trials, rate, quiet) for rate in (0.2, 0.01)]
    assert reports[0].threshold < reports[1].threshold
    assert reports[0].margin < reports[1].margin


def test_the_report_reads_back_as_the_calibration_that_it_is(trials):
    report = calibrate(Noisy(), trials, 0.05, quiet)
    again = Calibration(**tomllib.loads(report.to_toml()))
    assert again.probability(0.5, 48_000) == pytest.approx(
        report.calibration.probability(0.5, 48_000), rel=1e-3
    )
    keys = json.loads(report.to_json())
    assert set(keys) >= {
        "calibration",
        "threshold",
        "margin",
        "measured_false_accept",
        "measured_false_reject",
    }
    out = io.StringIO()
    report.table(Console(file=out, width=200))
    assert "at most 5.00% false accepts" in out.getvalue()


def test_clips_without_speech_leave_their_trials_out(trials):
    write_wav(trials.parent / "silence.wav", np.zeros(16_000, np.float32))
    trials.write_text(trials.read_text() + "\n0 silence.wav 1-0.wav\n")
    assert calibrate(Noisy(), trials, 0.05, quiet).unheard == 1


def test_trials_that_teach_nothing_are_refused(trials, monkeypatch):
    with pytest.raises(ConfigError, match="between 0 and 1, got 1"):
        calibrate(Noisy(), trials, 1.0, quiet)
    monkeypatch.setattr(module, "LEAST", 31)
    with pytest.raises(FormatError, match="wanted 31 trials of one voice and 31 of two, got 30 of one"):
        calibrate(Noisy(), trials, 0.05, quiet)
