"""`rtspk simulate`, as a user runs it."""

import json

import pytest

from rtspk.rttm import read_rttm


@pytest.fixture
def manifest(voices, tmp_path):
    rows = [
        f"{clip},{who},s,{start},{start + 1.0}"
        for who, clips in (("anna", (voices.a1, voices.a2)), ("ben", (voices.b1, voices.b2)))
        for clip in clips
        for start in (0.0, 1.0, 2.0, 3.0)
    ]
    path = tmp_path / "m.csv"
    path.write_text("file,speaker,dataset,start,end\n" + "\n".join(rows) + "\n")
    return path


def test_conversations_and_their_reference_are_written(rtspk, manifest, tmp_path):
    done = rtspk("simulate", manifest, "--out", "talk", "--count", 1, "--speakers", 2, "--seconds", 6)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("talk: 1 conversation of 2 speakers, 0:06, ")
    assert sorted(path.name for path in (tmp_path / "talk").iterdir()) == [
        "conv-0000.rttm",
        "conv-0000.uem",
        "conv-0000.wav",
        "conversations.csv",
    ]
    assert {turn.speaker for turn in read_rttm(tmp_path / "talk" / "conv-0000.rttm")} == {"s_anna", "s_ben"}
    args = ["--count", 1, "--speakers", 1, "--seconds", 5, "--enrol", 1, "--format", "flac", "--json"]
    done = rtspk("simulate", manifest, "--out", "alone", *args)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["conversations"], answer["seconds"], answer["speakers"]) == (1, 5.0, 1)
    assert (answer["clips"], answer["overlap"]) == (1, 0.0)


def test_what_another_run_left_in_the_folder_is_told(rtspk, manifest):
    args = ["simulate", manifest, "--out", "talk", "--speakers", 2, "--seconds", 5]
    assert rtspk(*args, "--count", 2).stderr == ""
    assert rtspk(*args, "--count", 2).stderr == ""
    said = "rtspk: talk also holds what another run made: conv-0000.wav, conv-0001.rttm, conv-0001.uem, ...\n"
    assert rtspk(*args, "--count", 1, "--format", "flac").stderr == said


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--speakers", "two"], "wanted --speakers as a number or LOW-HIGH, got 'two'"),
        (["--speakers", "3-12"], "wanted --speakers of 1 to 10"),
        (["--seconds", "1"], "wanted a conversation of 5 to 36,000 seconds, got 1"),
        (["--overlap", "0.9"], "wanted a share of overlap of 0 to 0.2, got 0.9"),
        (["--noise", "gone.csv"], "wanted a table at gone.csv"),
        (["--speakers", "3"], "wanted 3 speakers with"),
    ],
)
def test_wrong_input_is_one_line(rtspk, manifest, args, word):
    done = rtspk("simulate", manifest, "--out", "talk", "--seconds", "6", *args)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert word in done.stderr


def test_a_manifest_that_is_not_sound_is_reported_before_anything_is_made(rtspk, manifest, voices, tmp_path):
    lines = [f"{voices.a1},anna,s,40,41", f"{voices.b1},ben,s,50,51", "gone.wav,ben,s,0,1"]
    with manifest.open("a") as file:
        file.write("\n".join(lines) + "\n")
    done = rtspk("simulate", manifest, "--out", "talk", "--speakers", 2, "--seconds", 6)
    assert done.returncode == 2
    assert "got 3 problems of 2 kinds among 19 utterances in 5 files" in done.stderr
    assert f"- utterances beyond their file's end: 2 ({voices.a1} 40.00 to 41.00 s of" in done.stderr
    assert "- missing files: 1 (" in done.stderr
    assert not (tmp_path / "talk").exists()
