"""The verbs around the main job: doctor, demo, devices, evaluate, bench, train, export."""

import hashlib
import importlib.util
import json
import os
import sqlite3

import pytest

from rtspk.cli import build, doctor
from rtspk.engine.gallery import Gallery
from rtspk.errors import ConfigError
from rtspk.rttm import read_rttm


def test_the_doctor_says_what_works(rtspk):
    done = rtspk("doctor", "--json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert report["works"] is True
    assert {finding["what"] for finding in report["findings"]} >= {
        "versions",
        "processor",
        "microphone",
        "engine",
        "gallery",
    }


def test_the_doctor_ends_with_1_where_the_gallery_is_another_models(rtspk, tmp_path):
    Gallery.open(tmp_path / "voices.db", "another-model", 7).close()
    done = rtspk("doctor", "--gallery", "voices.db")
    assert done.returncode == 1
    assert "another-model" in done.stdout
    assert "rtspk does not work here" in done.stdout


def test_a_damaged_model_file_is_found_by_its_sum(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    (tmp_path / doctor.SUMS).write_text(f"{digest}  model.onnx\n")
    assert doctor._wrong_files(tmp_path) == []
    (tmp_path / "model.onnx").write_bytes(b"weightz")
    assert doctor._wrong_files(tmp_path) == ["model.onnx"]
    (tmp_path / "model.onnx").unlink()
    assert doctor._wrong_files(tmp_path) == ["model.onnx"]


def test_a_damaged_gallery_is_found(tmp_path):
    path = tmp_path / "voices.db"
    Gallery.open(path, "m", 4).close()
    assert doctor._damage(path) == ""
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE exemplars")
        connection.execute("DROP TABLE speakers")
    connection.close()
    assert "no such table" in doctor._damage(path)


@pytest.mark.parametrize(("mode", "state"), [(0o600, "ok"), (0o644, "note")])
def test_a_gallery_that_others_may_read_is_noted(tmp_path, monkeypatch, mode, state):
    path = tmp_path / "voices.db"
    Gallery.open(path, "m", 4).close()
    path.chmod(mode)
    monkeypatch.setattr(doctor, "_stranger", lambda _path, _model: "")
    assert doctor._gallery(path, None).state == state


def test_the_demo_names_its_enrolled_voices_and_leaves_a_file_and_a_picture(rtspk, tmp_path):
    done = rtspk("demo", "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["type"] == "end"
    speakers = {turn.speaker for turn in read_rttm(tmp_path / "demo.rttm")}
    assert {"Anna", "Ben"} < speakers
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "demo.rttm" in done.stderr


def test_devices_are_listed_or_said_to_be_missing(rtspk):
    done = rtspk("devices", "--json")
    if done.returncode == 2:
        assert done.stderr.startswith("rtspk: wanted")
        return
    assert set(json.loads(done.stdout)) == {"devices"}


def test_trials_are_evaluated_in_the_promised_keys(rtspk, voices, tmp_path):
    pairs = [
        (1, voices.a1, voices.a2),
        (0, voices.a1, voices.b1),
        (1, voices.b1, voices.b2),
        (0, voices.a2, voices.b2),
    ]
    lines = [
        f"{same} {os.path.relpath(one, tmp_path)} {os.path.relpath(other, tmp_path)}"
        for same, one, other in pairs
    ]
    (tmp_path / "trials.txt").write_text("\n".join(lines) + "\n")
    done = rtspk("evaluate", "trials", "trials.txt", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["trials"] == 4
    assert report["lengths"]["full"]["eer"] == 0.0


def test_diarization_is_evaluated_in_the_promised_keys(rtspk, voices, tmp_path):
    (tmp_path / "voice-a2.rttm").write_text("SPEAKER voice-a2 1 0.300 5.400 <NA> <NA> a <NA> <NA>\n")
    (tmp_path / "voice-a2.opus").write_bytes(voices.a2.read_bytes())
    done = rtspk("evaluate", "diarization", "--reference", tmp_path, "--audio", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) >= {"latency", "collar", "overlap", "files", "total"}
    assert report["total"]["der"] < 0.5


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["bench", "everything"], "wanted a bench of kernels, latency, embedder or all"),
        (["bench", "kernels", "--runs", "0"], "wanted at least one run"),
        (["export", "none.pt", "--out", "model"], "wanted"),
        (["train", "no-such-recipe", "--data", ".", "--out", "run"], "wanted"),
        (["demo", "--pace", "slow"], "wanted --pace as fast, realtime, or 0.1 to 1000"),
        (["demo", "--output-dir", "nowhere"], "wanted a folder for the outputs"),
    ],
)
def test_what_makes_no_sense_is_one_line(rtspk, args, word):
    done = rtspk(*args)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert word in done.stderr


def test_a_recipe_is_found_by_path_and_by_name(tmp_path):
    bundled = sorted(path.stem for path in build.RECIPES.glob("*.toml"))
    assert build._recipe(bundled[0]) == build.RECIPES / f"{bundled[0]}.toml"
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\n')
    assert build._recipe(str(own)) == own
    with pytest.raises(ConfigError, match=bundled[0]):
        build._recipe("no-such-recipe")


def test_training_without_torch_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install rtspk\[train\]"):
        build.train("conformer-distill", tmp_path, tmp_path)
