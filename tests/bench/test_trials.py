import io
import json

import numpy as np
import pytest
from rich.console import Console

from rtspk.audio import loudest, read_audio, write_wav
from rtspk.bench import trial_list, trials
from rtspk.bench.trials import evaluate_trials
from rtspk.engine.calibration import Calibration
from rtspk.engine.cohort import Cohort
from rtspk.engine.pipeline import Engine
from rtspk.errors import AudioError
from rtspk.kernels.mel import log_mel
from rtspk.metrics import equal_error_rate, minimum_cost
from tests.bench.plain import MeanSpectrum


class WholeClips(MeanSpectrum):
    """Refuses windows in which something is left out."""

    def embed(self, windows):
        assert all(window.mask.min() == 1.0 for window in windows)
        return super().embed(windows)


@pytest.fixture
def engine():
    return Engine(WholeClips(), None, None)


def hum(pitch, seconds, seed, noise=0.01):
    at = np.arange(round(seconds * 16000)) / 16000
    voice = sum(np.sin(2 * np.pi * pitch * h * at) / h for h in range(1, 8))
    rng = np.random.default_rng(seed)
    return (0.1 * voice + rng.normal(0, noise, len(at))).astype(np.float32)


@pytest.fixture
def hums(tmp_path):
    """Two data sets of two pitches with three clips each, and every trial within a set."""
    lines = []
    for folder, noise in (("quiet", 0.01), ("loud", 0.6)):
        (tmp_path / folder).mkdir()
        names = []
        for pitch in (110, 118):
            for take in range(3):
                names.append(f"{folder}/{pitch}-{take}.wav")
                write_wav(tmp_path / names[-1], hum(pitch, 1.2 + 0.4 * take, take + pitch, noise))
        lines += [
            f"{int(one[:-6] == other[:-6])} {one} {other}"
            for i, one in enumerate(names)
            for other in names[i + 1 :]
        ]
    path = tmp_path / "trials.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def quiet(done, total):
    pass


def test_the_rates_are_those_of_scoring_every_trial_anew(engine, hums):
    report = evaluate_trials(engine, hums, quiet, lengths=(None, 1.0))
    assert [rates.length for rates in report.lengths] == [None, 1.0]
    for rates in report.lengths:
        scores, targets = [], []
        for line in hums.read_text().splitlines():
            kind, *names = line.split()
            pair = []
            for name in names:
                samples = read_audio(hums.parent / name)
                mean = log_mel(samples if rates.length is None else loudest(samples, 16000)).mean(0)
                pair.append((mean - mean.mean()) / np.linalg.norm(mean - mean.mean()))
            scores.append(float(pair[0] @ pair[1]))
            targets.append(kind == "1")
        assert rates.eer == pytest.approx(equal_error_rate(scores, targets))
        assert rates.min_dcf_001 == pytest.approx(minimum_cost(scores, targets, 0.01))
        assert rates.min_dcf_005 == pytest.approx(minimum_cost(scores, targets, 0.05))


def test_each_data_set_has_its_own_rates(engine, hums, monkeypatch):
    monkeypatch.setattr(trial_list, "LEAST", 4)
    groups = evaluate_trials(engine, hums, quiet, lengths=(None, 1.0)).groups
    assert [(group.kind, group.name, group.trials) for group in groups] == [
        ("dataset", "loud", 15),
        ("dataset", "quiet", 15),
    ]
    loud, silent = groups
    assert silent.eer == (0.0, 0.0)
    assert loud.eer[0] > 0.1


def test_calibrated_probabilities_are_costed(engine, hums):
    (rates,) = evaluate_trials(engine, hums, quiet, lengths=(None,)).lengths
    target = [line.startswith("1") for line in hums.read_text().splitlines()]
    bits = []
    for kind in (True, False):
        own = [s for s, t in zip(rates.scores, target, strict=True) if t == kind]
        chances = [Calibration(15.0, -6.0).probability(s, 16000) for s in own]
        bits.append(np.mean([-np.log2(p if kind else 1.0 - p) for p in chances]))
    assert rates.cllr == pytest.approx(np.mean(bits), rel=1e-4)


def test_a_model_with_a_cohort_is_scored_with_it_too(engine, hums):
    assert evaluate_trials(engine, hums, quiet, lengths=(1.0,)).lengths[0].eer_asnorm is None
    engine.embedder.cohort = Cohort(np.random.default_rng(0).normal(size=(9, 80)).astype(np.float32))
    (rates,) = evaluate_trials(engine, hums, quiet, lengths=(1.0,)).lengths
    assert rates.to_json()["eer_asnorm"] == pytest.approx(rates.eer_asnorm, abs=1e-5)


def test_each_file_is_decoded_once_and_counted(engine, hums, monkeypatch):
    read, told = [], []
    monkeypatch.setattr(trials, "read_audio", lambda path: read.append(path) or read_audio(path))
    evaluate_trials(engine, hums, lambda done, total: told.append((done, total)))
    assert len(read) == len(set(read)) == 12
    assert told == [(n, 12) for n in range(1, 13)]


def test_a_crop_of_a_shorter_file_is_the_file_and_is_heard_once(engine, tmp_path):
    for name in ("a", "b", "c"):
        write_wav(tmp_path / f"{name}.wav", hum(120, 1.7, 1))
    path = tmp_path / "trials.txt"
    path.write_text("1 a.wav b.wav\n0 a.wav c.wav\n")
    evaluate_trials(engine, path, quiet)
    assert engine.embedder.lengths == [27200, 24000, 16000] * 3


def test_the_report_is_one_line_with_the_keys_that_scripts_rely_on(engine, hums, monkeypatch):
    monkeypatch.setattr(trial_list, "LEAST", 4)
    keys = json.loads(evaluate_trials(engine, hums, quiet).to_json())
    assert keys["trials"] == 30
    assert list(keys["lengths"]) == ["full", "3.0", "2.0", "1.5", "1.0"]
    assert set(keys["lengths"]["1.5"]) == {"eer", "min_dcf_0.01", "min_dcf_0.05", "cllr"}
    assert set(keys["groups"]["dataset"]["loud"]["eer"]) == set(keys["lengths"])


def test_the_table_has_a_row_for_each_length_and_data_set(engine, hums, monkeypatch):
    monkeypatch.setattr(trial_list, "LEAST", 4)
    out = io.StringIO()
    evaluate_trials(engine, hums, quiet, lengths=(None, 1.0)).table(Console(file=out, width=100))
    for word in ("30 trials", "full", "1.0 s", "quiet", "loud", "%"):
        assert word in out.getvalue()


def test_a_missing_file_is_named_before_anything_is_embedded(engine, tmp_path):
    write_wav(tmp_path / "a.wav", hum(120, 1.0, 1))
    path = tmp_path / "trials.txt"
    path.write_text("1 a.wav a.wav\n0 a.wav gone.wav\n")
    with pytest.raises(AudioError, match=r"line 2: wanted an audio file, got nothing at gone\.wav"):
        evaluate_trials(engine, path, quiet)
    assert engine.embedder.lengths == []


def test_a_file_shorter_than_one_frame_is_refused_by_name(engine, tmp_path):
    write_wav(tmp_path / "a.wav", np.ones(300, np.float32))
    path = tmp_path / "trials.txt"
    path.write_text("1 a.wav a.wav\n")
    with pytest.raises(AudioError, match=r"a\.wav: wanted at least 0\.025 s, got 0\.019 s"):
        evaluate_trials(engine, path, quiet)
