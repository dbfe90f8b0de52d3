"""The verbs around the main job: doctor, demo, devices, evaluate, bench, train, export."""

import hashlib
import importlib.util
import json
import os

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.cli import build, doctor
from rtspk.config import read_toml
from rtspk.data import DEMO
from rtspk.engine.calibration import Calibration
from rtspk.engine.embedder import EmbedderCard, read_card
from rtspk.engine.gallery import Gallery
from rtspk.engine.gallery_health import made_by
from rtspk.errors import ConfigError
from rtspk.rttm import SpeakerTurn, read_rttm, write_rttm
from rtspk.types import Embedding, Segment

FOLDERS = ("--reference", ".", "--audio", ".")


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
    assert "time_to_name" not in report["total"]


def test_the_bundled_conversation_tells_how_soon_the_enrolled_get_their_names(rtspk, tmp_path):
    for folder in ("talk", "people"):
        (tmp_path / folder).mkdir()
    (tmp_path / "talk" / "talk.opus").write_bytes((DEMO / "conversation.opus").read_bytes())
    turns = (DEMO / "conversation.rttm").read_text().replace(" Anna ", " Anna_Bell ")
    (tmp_path / "talk" / "talk.rttm").write_text(turns)
    for clip, name in (("Anna.opus", "Anna Bell"), ("Ben.opus", "Ben")):
        (tmp_path / "people" / f"{name}.opus").write_bytes((DEMO / clip).read_bytes())
    enrolled = rtspk("enroll", "--folder", "people", "--gallery", "voices.db")
    assert enrolled.returncode == 0, enrolled.stderr
    before = (tmp_path / "voices.db").read_bytes()
    folders = ["--reference", "talk", "--audio", "talk"]
    heard = rtspk("evaluate", "diarization", *folders, "--gallery", "voices.db", "--json")
    assert heard.returncode == 0, heard.stderr
    report = json.loads(heard.stdout)["total"]
    assert report["time_to_name"].items() >= {"enrolled": 2, "named": 2}.items()
    assert 0.0 < report["time_to_name"]["p50"] <= report["time_to_name"]["wait_p95"] < 10.0
    assert (tmp_path / "voices.db").read_bytes() == before
    clips = rtspk("evaluate", "diarization", *folders, "--gallery-audio", "people", "--grid", "1,2", "--json")
    assert clips.returncode == 0, clips.stderr
    first, second = (one["total"]["time_to_name"] for one in json.loads(clips.stdout)["grid"])
    assert first == report["time_to_name"]
    assert second["wait_p50"] > first["wait_p50"]


def test_a_gallery_of_others_and_none_at_all_are_told_before_the_work(rtspk, voices, tmp_path):
    (tmp_path / "talk.rttm").write_text("SPEAKER talk 1 0.300 5.400 <NA> <NA> Anna <NA> <NA>\n")
    (tmp_path / "talk.opus").write_bytes(voices.a2.read_bytes())
    folders = ["--reference", tmp_path, "--audio", tmp_path]
    none = rtspk("evaluate", "diarization", *folders, "--gallery", "none.db")
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)
    assert "wanted a gallery at none.db, got nothing there" in none.stderr
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "empty.db").touch()
    empty = rtspk("evaluate", "diarization", *folders, "--gallery", "empty.db")
    assert empty.stderr == "rtspk: wanted a gallery at empty.db, got an empty file: enroll a voice first\n"
    assert (tmp_path / "empty.db").read_bytes() == b""
    assert rtspk("enroll", "anna", voices.a1, "--gallery", "voices.db").returncode == 0
    done = rtspk("evaluate", "diarization", *folders, "--gallery", "voices.db", "--json")
    assert done.returncode == 0, done.stderr
    assert "nobody in the references is enrolled" in done.stderr
    assert "they have Anna; voices.db has anna" in done.stderr
    assert "time_to_name" not in done.stdout
    both = rtspk("evaluate", "diarization", *folders, "--gallery", "voices.db", "--gallery-audio", ".")
    assert "wanted --gallery or --gallery-audio, got voices.db and ." in both.stderr


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (
            ["bench", "everything"],
            "wanted a bench of kernels, latency, embedder, gallery, throughput, accuracy or all",
        ),
        (["bench", "kernels", "--runs", "0"], "wanted at least one run"),
        (["bench", "kernels", "--seed", "-1"], "wanted a --seed of 0 or more, got -1"),
        (["tune", *FOLDERS, "--out", "room.toml", "--seed", "-1"], "wanted a --seed of 0 to 4294967295"),
        (["bench", "latency", "--model", "nowhere"], "nowhere"),
        (
            ["bench", "kernels", "--model", "nowhere"],
            "wanted --model with a bench of latency or embedder or accuracy, got it with kernels",
        ),
        (["export", "none.pt", "--out", "model"], "wanted"),
        (["train", "no-such-recipe", "--data", ".", "--out", "run"], "wanted"),
        (["evaluate", "diarization", *FOLDERS, "--collar", "nan"], "wanted a --collar of 0 seconds or more"),
        (["evaluate", "diarization", *FOLDERS, "--grid", "1,5", "--latency", "2"], "got 1,5 and 2"),
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
    with pytest.raises(ConfigError, match=r"pip install 'rtspk\[train\]'"):
        build.train("conformer-distill", tmp_path, tmp_path)


def test_identification_is_evaluated_in_the_promised_keys(rtspk, voices, tmp_path):
    parts, turns, at = [], [], 0.0
    for who, clip in (("Anna", voices.a2), ("Who", voices.b2)):
        sound = read_audio(clip)
        turns.append(SpeakerTurn("talk", at, at + len(sound) / 16000, who))
        at += len(sound) / 16000 + 0.5
        parts += [sound, np.zeros(8000, np.float32)]
    (tmp_path / "talk").mkdir()
    (tmp_path / "people").mkdir()
    write_wav(tmp_path / "talk" / "talk.wav", np.concatenate(parts))
    write_rttm(tmp_path / "talk" / "talk.rttm", turns)
    (tmp_path / "people" / "Anna.opus").write_bytes(voices.a1.read_bytes())
    folders = ["--gallery-audio", "people", "--audio", "talk", "--reference", "talk"]
    done = rtspk("evaluate", "identification", *folders, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) >= {"far", "time_to_name", "ece", "stream"}
    assert report["far"]["0.01"]["identification_rate"] == 1.0
    assert report["time_to_name"]["p50"] < 10.0
    assert report["stream"]["stranger_speech_named"] < 0.3
    assert "wanted a --segment of 0.5" in rtspk("evaluate", "identification", *folders, "--segment", 0).stderr


def test_a_calibration_of_ones_own_is_kept_in_the_gallery(rtspk, voices, tmp_path):
    pairs = {(1, voices.a1, voices.a2), (1, voices.b2, voices.b1), (0, voices.a1, voices.b1)}
    pairs |= {(0, voices.a2, voices.b2), (0, voices.b1, voices.a2)}
    lines = [f"{same} {os.path.relpath(a, tmp_path)} {os.path.relpath(b, tmp_path)}" for same, a, b in pairs]
    (tmp_path / "few.txt").write_text("\n".join(lines))
    few = rtspk("calibrate", "few.txt", "--gallery", "voices.db")
    assert (few.returncode, few.stderr.count("\n")) == (2, 1)
    assert "wanted 20 trials of one voice and 20 of two" in few.stderr
    assert not (tmp_path / "voices.db").exists()
    (tmp_path / "trials.txt").write_text("\n".join(lines * 12))
    done = rtspk("calibrate", "trials.txt", "--gallery", "voices.db", "--out", "naming.toml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["calibration"]
    card = EmbedderCard(id=made_by(tmp_path / "voices.db")[0], file="", licence="", dimension=192)
    with Gallery.open(tmp_path / "voices.db", card.id, card.dimension) as gallery:
        assert gallery.calibration().scale == pytest.approx(found["scale"], abs=1e-4)
    assert read_toml(tmp_path / "naming.toml", Calibration).scale == pytest.approx(found["scale"], rel=1e-4)


def test_the_doctor_saves_what_can_be_read_of_a_damaged_gallery(rtspk, tmp_path):
    model, dimension = model_of_default()
    path = tmp_path / "voices.db"
    rng = np.random.default_rng(0)
    with Gallery.open(path, model, dimension) as gallery:
        gallery.add_many(
            (f"name {n}", [Embedding(row, Segment(0, 1), 1)], "x", None)
            for n, row in enumerate(rng.normal(size=(100, dimension)).astype(np.float32))
        )
    data = bytearray(path.read_bytes())
    data[16_384 * 9 : 16_384 * 10] = bytes(16_384)
    path.write_bytes(data)
    path.chmod(0o644)
    looked = rtspk("doctor", "--gallery", "voices.db")
    assert looked.returncode == 1
    assert "`rtspk doctor --repair` saves what can be read" in looked.stdout
    assert path.read_bytes() == data
    done = rtspk("doctor", "--gallery", "voices.db", "--repair")
    assert done.returncode == 0, done.stdout
    assert "names saved" in done.stdout
    with Gallery.open(path, model, dimension) as gallery:
        assert len(gallery) == 80
    assert path.stat().st_mode & 0o077 == 0


def model_of_default():
    card = read_card()
    return card.id, card.dimension
