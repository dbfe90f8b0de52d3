"""A gallery's life by the command line: enroll, look, identify, verify, rename, carry away, forget."""

import json

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.cli.gallery import _aside
from rtspk.engine.gallery import Gallery
from rtspk.engine.gallery_health import made_by
from rtspk.types import Embedding, Segment


def json_of(done):
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_enroll_tells_what_it_got_and_identify_finds_it(rtspk, voices):
    anna = json_of(rtspk("enroll", "Anna", voices.a1, "--json"))
    assert set(anna) == {"name", "net_speech", "exemplars", "complete", "quality", "near", "warnings"}
    assert 5.0 < anna["net_speech"] < 10.0
    again = rtspk("enroll", "Another", voices.a2)
    assert again.returncode == 0
    assert "Another: " in again.stdout
    assert "rtspk: this is close to Anna" in again.stderr
    assert rtspk("speakers", "delete", "Another", "--yes").returncode == 0
    assert rtspk("enroll", "Ben", voices.b1).returncode == 0

    found = json_of(rtspk("identify", voices.a2, "--json"))
    assert set(found) == {"name", "score", "probability", "candidates", "net_speech", "warnings"}
    assert found["name"] == "Anna"
    assert [set(one) for one in found["candidates"]] == [{"name", "score", "probability"}] * 2
    assert rtspk("identify", voices.b2).stdout.splitlines()[0] == "Ben"
    assert rtspk("identify", voices.b2, "--probability", 1.0).stdout.splitlines()[0] == "unknown"


def test_a_voice_is_enrolled_from_the_microphone(rtspk, voices, virtual_microphone):
    # The sound goes on until the recording is over, whenever that begins.
    player = virtual_microphone.start_playing(np.tile(read_audio(voices.a1), 12))
    try:
        keys = ("PULSE_SERVER", "PULSE_COOKIE", "ALSA_CONFIG_PATH")
        env = {key: virtual_microphone.env[key] for key in keys}
        done = rtspk("enroll", "Anna", "--mic", 8, "--json", env=env)  # wherever in the clip it begins
    finally:
        player.terminate()
        player.wait()
    assert "speak now, for 8 s" in done.stderr
    assert 2.0 < json_of(done)["net_speech"] <= 8.0
    assert rtspk("identify", voices.a2).stdout.splitlines()[0] == "Anna"


def test_identify_without_anybody_says_unknown(rtspk, voices):
    assert rtspk("identify", voices.a1).stdout.splitlines()[0] == "unknown"
    assert json_of(rtspk("identify", voices.a1, "--json"))["name"] is None


def test_verify_tells_one_voice_from_two(rtspk, voices):
    same, other = (json_of(rtspk("verify", voices.a1, clip, "--json")) for clip in (voices.a2, voices.b1))
    assert set(same) == {"same", "score", "probability", "warnings"}
    assert same["same"] is True
    assert other["same"] is False
    assert same["probability"] > 0.5 > other["probability"]
    assert rtspk("verify", voices.a1, voices.b1).stdout.startswith("different voices")


def test_looking_into_a_gallery_waits_for_no_model(rtspk, voices):
    assert rtspk("enroll", "Anna", voices.a1).returncode == 0
    for verb in (["list"], ["show", "Anna"], ["rename", "Anna", "Ben"], ["delete", "Ben", "--yes"]):
        done = rtspk("speakers", *verb, env={"PYTHONPROFILEIMPORTTIME": "1"})
        assert done.returncode == 0
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "rtspk.engine.gallery" in imported
        assert not imported & {"numba", "onnxruntime", "rtspk.engine.pipeline"}


def test_what_a_first_enrolment_leaves_that_was_ended_at_once_is_no_hindrance(rtspk, voices, tmp_path):
    (tmp_path / "voices.db").touch()
    assert "nobody is enrolled yet" in rtspk("speakers", "list", "--gallery", "voices.db").stdout
    assert "got an empty file" in rtspk("speakers", "show", "Anna", "--gallery", "voices.db").stderr
    assert rtspk("enroll", "Anna", voices.a1, "--gallery", "voices.db").returncode == 0
    assert rtspk("speakers", "export", "voices.json", "--gallery", "voices.db").returncode == 0
    (tmp_path / "new.db").touch()
    assert rtspk("speakers", "import", "voices.json", "--gallery", "new.db").returncode == 0


def test_the_gallery_is_kept_by_hand(rtspk, voices, tmp_path):
    assert json_of(rtspk("speakers", "list", "--json"))["speakers"] == []
    assert "nobody is enrolled" in rtspk("speakers", "list").stdout
    for name, clip in (("Анна", voices.a1), ("Ann", voices.a2), ("Ben", voices.b1)):
        assert rtspk("enroll", name, clip).returncode == 0
    listed = json_of(rtspk("speakers", "list", "--json"))["speakers"]
    assert [one["name"] for one in listed] == ["Ann", "Ben", "Анна"]
    assert set(listed[0]) == {"name", "created", "exemplars", "net_speech"}
    table = rtspk("speakers", "list").stdout
    assert all(name in table for name in ("Ann", "Ben", "Анна"))

    assert rtspk("speakers", "merge", "Ann", "Анна").returncode == 0
    assert rtspk("speakers", "rename", "Анна", "Anna").returncode == 0
    shown = json_of(rtspk("speakers", "show", "Anna", "--json"))
    assert {one["source"] for one in shown["exemplars"]} == {"voice-a1.opus", "voice-a2.opus"}
    assert "voice-a1.opus" in rtspk("speakers", "show", "Anna").stdout
    bad = next(one["number"] for one in shown["exemplars"] if one["source"] == "voice-a2.opus")
    assert rtspk("speakers", "forget", "Anna", bad).stderr.startswith("rtspk: wanted --yes")
    forgotten = rtspk("speakers", "forget", "Anna", bad, "--yes")
    left = len(shown["exemplars"]) - 1
    assert forgotten.stdout == f"print {bad} of Anna is forgotten, with {left} prints left\n"
    assert rtspk("speakers", "forget", "Anna", bad, "--yes").returncode == 2

    assert rtspk("speakers", "export", "voices.json").stdout.startswith("2 voices")
    unasked = rtspk("speakers", "delete", "Ben", stdin=b"n\n")
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert unasked.stderr == "rtspk: wanted --yes where nobody can be asked, got Ben alone\n"
    assert rtspk("speakers", "delete", "Ben", "--yes").stdout == "Ben is forgotten\n"
    assert rtspk("speakers", "delete", "Ben", "--yes").returncode == 2
    assert rtspk("speakers", "import", "voices.json", "--gallery", "new.db").returncode == 0
    moved = json_of(rtspk("speakers", "list", "--json", "--gallery", "new.db"))["speakers"]
    assert [one["name"] for one in moved] == ["Anna", "Ben"]
    assert rtspk("identify", voices.b2, "--gallery", "new.db").stdout.splitlines()[0] == "Ben"
    assert made_by(tmp_path / "new.db") == made_by(tmp_path / "share" / "rtspk" / "voices.db")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["Anna"], "wanted CLIPs or --mic SECONDS, got neither"),
        (["Anna", "clip.wav", "--mic", "5"], "got both"),
        (["Anna", "--mic", "0.1"], "wanted --mic with 1 to 600 seconds"),
        (["Anna", "clip.wav", "--microphone", "USB"], "wanted --microphone only with --mic"),
        (["  ", "clip.wav"], "wanted a name, got an empty one"),
        (["Anna", "clip.wav"], "got no such file"),
    ],
)
def test_enrolling_what_makes_no_sense_is_one_line(rtspk, args, word):
    done = rtspk("enroll", *args)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert word in done.stderr
    assert json_of(rtspk("speakers", "list", "--json"))["speakers"] == []


def test_a_folder_of_people_is_enrolled_at_once(rtspk, voices, tmp_path):
    (tmp_path / "people" / "Anna O'Hara").mkdir(parents=True)
    (tmp_path / "people" / "Anna O'Hara" / "a.opus").write_bytes(voices.a1.read_bytes())
    (tmp_path / "people" / "Ben.opus").write_bytes(voices.b1.read_bytes())
    done = json_of(rtspk("enroll", "--folder", "people", "--json"))
    assert [one["name"] for one in done["enrolled"]] == ["Anna O'Hara", "Ben"]
    assert done["refused"] == {}
    assert rtspk("identify", voices.b2).stdout.splitlines()[0] == "Ben"

    write_wav(tmp_path / "people" / "Cleo.wav", np.zeros(32_000, np.float32))
    (tmp_path / "people" / "S1.wav").write_bytes(voices.b2.read_bytes())
    (tmp_path / "people" / "Zoe.wav").write_text("no sound")
    some = rtspk("enroll", "--folder", "people", "--gallery", "other.db")
    assert some.returncode == 2
    assert "Ben: " in some.stdout
    *others, last = some.stderr.splitlines()[-3:]
    assert last.startswith("rtspk: wanted everybody in people enrolled, got 3 refused; S1: wanted a name")
    assert others[0].startswith("rtspk: Zoe: people/Zoe.wav: wanted sound")
    assert others[1].startswith("rtspk: Cleo: wanted at least 0.5 s of speech")

    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "Zoe.wav").write_text("no sound")
    assert "got 1 refused; Zoe: " in rtspk("enroll", "--folder", "none", "--gallery", "none.db").stderr
    assert not (tmp_path / "none.db").exists()

    assert "wanted --folder by itself" in rtspk("enroll", "Ben", "--folder", "people").stderr
    assert "wanted a folder of people" in rtspk("enroll", "--folder", "nobody").stderr
    assert "wanted a NAME with CLIPs" in rtspk("enroll").stderr


def test_an_archive_is_signed_with_a_key_and_opened_with_it_alone(rtspk, voices, tmp_path):
    assert rtspk("enroll", "Anna", voices.a1).returncode == 0
    (tmp_path / "key").write_text("correct horse battery\n")
    (tmp_path / "short").write_text("abc\n")
    assert rtspk("speakers", "export", "voices.json", "--key", "key").returncode == 0
    without = rtspk("speakers", "import", "voices.json", "--gallery", "new.db")
    assert (without.returncode, without.stderr.count("\n")) == (2, 1)
    assert "wanted the key of a signed archive" in without.stderr
    assert rtspk("speakers", "import", "voices.json", "--gallery", "new.db", "--key", "key").returncode == 0
    assert "wanted a key of 8 bytes" in rtspk("speakers", "export", "x.json", "--key", "short").stderr


def test_where_another_model_hears_nobody_the_gallery_stays_as_it_is(rtspk, tmp_path):
    with Gallery.open(tmp_path / "voices.db", "another/model", 4) as gallery:
        print_ = [Embedding(np.eye(4, dtype=np.float32)[0], Segment(0, 1), 1)]
        gallery.add("Carl", print_, "c1", clips=[("c1", np.zeros(16_000, np.float32))])
    done = rtspk("speakers", "reenroll", "--gallery", "voices.db")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "wanted clips with a voice, got none" in done.stderr
    assert made_by(tmp_path / "voices.db") == ("another/model", 4)
    assert not [*tmp_path.glob(".voices.db.*"), *tmp_path.glob("*.of-*")]


def test_what_an_earlier_model_left_is_kept_when_its_gallery_is_set_aside_again(tmp_path):
    path = tmp_path / "voices.db"
    assert _aside(path, "another/model").name == "voices.db.of-another_model"
    for name in ("voices.db.of-another_model", "voices.db.of-another_model-2"):
        (tmp_path / name).touch()
    assert _aside(path, "another/model").name == "voices.db.of-another_model-3"


def test_another_model_hears_the_clips_that_were_kept(rtspk, voices, tmp_path):
    with Gallery.open(tmp_path / "voices.db", "another/model", 4) as gallery:
        print_ = [Embedding(np.eye(4, dtype=np.float32)[0], Segment(0, 1), 1)]
        gallery.add("Anna", print_, "a1", clips=[("a1", read_audio(voices.a1))])
        gallery.add("Ben", print_, "b1")
        gallery.add("Carl", print_, "c1", clips=[("c1", np.zeros(16_000, np.float32))])
    refused = rtspk("identify", voices.a2, "--gallery", "voices.db")
    assert "`rtspk speakers reenroll` does it where clips were kept" in refused.stderr
    done = rtspk("speakers", "reenroll", "--gallery", "voices.db")
    assert done.returncode == 0, done.stderr
    assert "1 of 3 names heard anew" in done.stdout
    assert "rtspk: Ben: has no clips: enroll this voice again" in done.stderr
    assert "rtspk: Carl: wanted at least 0.5 s of speech" in done.stderr
    assert "remove that file when it is not needed" in done.stderr
    assert not list(tmp_path.glob(".voices.db.*"))
    assert rtspk("identify", voices.a2, "--gallery", "voices.db").stdout.splitlines()[0] == "Anna"
    assert made_by(tmp_path / "voices.db.of-another_model") == ("another/model", 4)
    again = rtspk("speakers", "reenroll", "--gallery", "voices.db")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "wanted a gallery of another model" in again.stderr
