"""Every bad input gets one plain line and the exit status that the manual promises."""

import json
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.engine.gallery import Gallery


def assert_one_line(done, status, *words):
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("rtspk: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def clip(path, seconds, value=0.0):
    write_wav(path, np.full(round(seconds * 16000), value, np.float32))
    return path


def test_a_text_file_that_is_called_wav(rtspk, tmp_path):
    (tmp_path / "talk.wav").write_text("Anna: hello\n" * 50)
    assert_one_line(rtspk("listen", "talk.wav"), 2, "talk.wav: wanted")


def test_an_empty_file(rtspk, tmp_path):
    (tmp_path / "talk.wav").touch()
    assert_one_line(rtspk("listen", "talk.wav"), 2, "got an empty file")


def test_half_a_header(rtspk, tmp_path):
    whole = clip(tmp_path / "whole.wav", 1.0).read_bytes()
    (tmp_path / "talk.wav").write_bytes(whole[:20])
    assert_one_line(rtspk("listen", "talk.wav"), 2, "talk.wav")


def test_a_file_that_is_not_there(rtspk):
    assert_one_line(rtspk("listen", "talk.wav"), 2, "got no such file")


def test_a_track_that_is_not_there(rtspk, tmp_path):
    track = rtspk("listen", clip(tmp_path / "talk.wav", 1.0), "--track", 2)
    assert_one_line(track, 2, "talk.wav: wanted an audio track of 1 to 1, got 2")
    assert_one_line(rtspk("listen", "-", "--rate", 16000, "--track", 1), 2, "wanted --track of a file or URL")


@pytest.mark.parametrize("seconds", [0.2, 3.0])
def test_a_clip_too_short_or_silent_to_enroll(rtspk, tmp_path, seconds):
    silence = clip(tmp_path / "clip.wav", seconds)
    assert_one_line(rtspk("enroll", "Anna", silence), 2, "wanted at least 0.5 s of speech")


def test_a_clip_that_is_refused_makes_no_gallery(rtspk, tmp_path):
    (tmp_path / "talk.wav").write_text("no sound")
    assert_one_line(rtspk("enroll", "Anna", "talk.wav", "--gallery", "fresh.db"), 2, "talk.wav: wanted")
    assert not (tmp_path / "fresh.db").exists()


def test_a_clip_too_short_to_identify(rtspk, tmp_path):
    assert_one_line(rtspk("identify", clip(tmp_path / "clip.wav", 0.2)), 2, "wanted at least 0.5 s of speech")


def test_listening_to_a_moment_of_silence_is_no_error(rtspk, tmp_path):
    done = rtspk("listen", clip(tmp_path / "clip.wav", 0.2), "--format", "jsonl")
    assert done.returncode == 0
    assert done.stderr == "rtspk: no speech was heard in 0.2 s of sound: every sample of it is zero\n"
    assert done.stdout == '{"type": "end", "audio_ms": 200, "speakers": 0}\n'


def test_sound_too_soft_for_a_voice_is_told(rtspk, tmp_path):
    done = rtspk("listen", clip(tmp_path / "clip.wav", 2.0, 2**-13), "--format", "rttm")
    assert (done.returncode, done.stdout) == (0, "")
    said = "rtspk: no speech was heard in 2.0 s of sound: its loudest sample is 78 dB below full scale\n"
    assert done.stderr == said


@pytest.mark.parametrize(
    ("begin", "kind"), [(b"RIFF", "WAV"), (b"fLaC", "FLAC"), (b"OggS", "Ogg"), (b"ID3\x04", "MP3")]
)
def test_a_file_is_not_taken_for_raw_sound(rtspk, begin, kind):
    done = rtspk("listen", "-", "--rate", 16000, stdin=begin + bytes(32000))
    assert_one_line(done, 2, f"wanted raw samples, got {kind}, which is read without a rate")


def test_a_file_name_that_is_no_text_is_written_as_text(rtspk, tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere names are text")
    done = rtspk("listen", clip(tmp_path / "t\udcff.wav", 0.2), "--format", "json")
    assert json.loads(done.stdout)["file"] == "t\ufffd"


def test_numbers_that_are_no_sound_on_stdin(rtspk):
    sound = np.zeros(8000, "<f4")
    sound[10] = np.nan
    done = rtspk("listen", "-", "--rate", 16000, "--encoding", "f32le", stdin=sound.tobytes())
    assert_one_line(done, 2, "got nan at 0.001 s")


def test_no_sound_on_stdin(rtspk):
    assert_one_line(rtspk("listen", "-", "--rate", 16000), 2, "got no samples")


def test_an_unknown_microphone(rtspk):
    assert_one_line(rtspk("listen", "--mic", "no such thing"), 2, "wanted")


def test_a_gallery_of_another_model(rtspk, voices, tmp_path):
    Gallery.open(tmp_path / "voices.db", "another-model", 7).close()
    done = rtspk("identify", voices.a1, "--gallery", "voices.db")
    assert_one_line(done, 2, "wanted a gallery of the model", "another-model (7-d)")


def test_a_gallery_that_is_something_else(rtspk, voices, tmp_path):
    (tmp_path / "voices.db").write_text("Anna, Ben\n" * 100)
    assert_one_line(rtspk("listen", voices.a1, "--gallery", "voices.db"), 2, "wanted a gallery")
    assert_one_line(rtspk("speakers", "list", "--gallery", "voices.db"), 2, "wanted a gallery")


def test_a_database_of_another_program(rtspk, tmp_path):
    with sqlite3.connect(tmp_path / "voices.db") as other:
        other.execute("CREATE TABLE speakers (loud INTEGER)")
    other.close()
    assert_one_line(rtspk("speakers", "list", "--gallery", "voices.db"), 2, "another program's SQLite file")


def test_a_gallery_that_is_not_there(rtspk, voices):
    assert_one_line(rtspk("identify", voices.a1, "--gallery", "none.db"), 2, "wanted a gallery at none.db")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--format", "mp3"], ["wanted --format as one of live, jsonl, rttm, srt, json", "'mp3'"]),
        (["--format", "live"], ["wanted a terminal for --format live"]),
        (["--output", "nowhere/talk.rttm"], ["wanted a file in an existing folder"]),
        (["--output", "."], ["wanted --format, or --output ending in"]),
        (["--output", ".", "--format", "rttm"], ["got the folder"]),
        (["--picture", "talk.txt"], ["wanted a picture ending in"]),
        (["--latency", "9"], ["wanted a latency of 0.5 to 5 seconds, got 9"]),
        (["--max-speakers", "0"], ["wanted 1 to 100 speakers"]),
        (["--latency", "soon"], ["'--latency'", "a valid number", "got 'soon' (rtspk listen --help"]),
        (["--nope"], ["No such option: --nope"]),
        (["--channels", "2"], ["wanted --channels only with raw sound on stdin and its --rate"]),
        (["--server", "ws://localhost:1", "--gallery", "x.db"], ["wanted --gallery with `rtspk serve`"]),
        (["--label", "Anna=S2"], ["wanted --label as S2=NAME, got 'Anna=S2'"]),
        (["--label", "S1="], ["wanted a name, got an empty one"]),
        (["--label", "S1=A", "--label", "S1=B"], ["wanted one name for S1, got two"]),
        (["--label", "S1=A", "--server", "ws://localhost:1"], ["wanted --label without --server"]),
        (["--pace", "slow"], ["wanted --pace as fast or realtime"]),
        (["--rate", "16000"], ["wanted --rate only with raw sound"]),
        (["--mic"], ["wanted a SOURCE, - or --mic, got two of them"]),
    ],
)
def test_options_that_make_no_sense(rtspk, voices, args, words):
    assert_one_line(rtspk("listen", voices.a1, *args), 2, *words)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ([], "wanted a SOURCE, - or --mic, got none"),
        (["-"], "stdin: wanted sound that FFmpeg reads, got data of no known format (raw sound wants --rate"),
        (["-", "--rate", "0"], "wanted a rate in Hz above 0"),
        (["-", "--rate", "8000", "--encoding", "mp3"], "wanted --encoding as s16le or f32le"),
    ],
)
def test_a_source_that_is_not_said_well(rtspk, args, word):
    assert_one_line(rtspk("listen", *args), 2, word)


def test_an_output_that_is_the_source_is_refused_and_the_source_kept(rtspk, tmp_path):
    sound = clip(tmp_path / "own.wav", 1.0).read_bytes()
    (tmp_path / "linked.wav").symlink_to("own.wav")
    (tmp_path / "own.png").hardlink_to(tmp_path / "own.wav")
    for options in (
        ["own.wav", "-o", "own.wav", "--format", "rttm"],
        ["own.wav", "-o", "linked.wav", "--format", "jsonl"],
        ["linked.wav", "--picture", "own.png"],
    ):
        assert_one_line(rtspk("listen", *options), 2, "to be another file than the source, got")
        assert (tmp_path / "own.wav").read_bytes() == sound


def test_one_file_for_two_outputs_is_refused(rtspk, tmp_path):
    clip(tmp_path / "talk.wav", 1.0)
    options = ["-o", "both.png", "--format", "rttm", "--picture", "./both.png"]
    done = rtspk("listen", "talk.wav", *options)
    assert_one_line(done, 2, "wanted two files as --output and --picture, got both.png as both")


def test_nothing_is_written_over_a_gallery(rtspk, tmp_path):
    Gallery.open(tmp_path / "voices.db", "a-model", 7).close()
    kept = (tmp_path / "voices.db").read_bytes()
    clip(tmp_path / "talk.wav", 1.0)
    for args in (
        ["speakers", "export", "voices.db", "--gallery", "voices.db"],
        ["listen", "talk.wav", "-o", "voices.db", "--format", "rttm"],
    ):
        assert_one_line(rtspk(*args), 2, "got a database, such as a gallery: voices.db")
        assert (tmp_path / "voices.db").read_bytes() == kept


def test_what_cannot_be_imported_makes_no_gallery(rtspk, tmp_path):
    (tmp_path / "other.json").write_text('{"name": "Anna"}')
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "text.json").write_text("Anna, Ben")
    for name, got in (
        ("other", "JSON of another kind"),
        ("list", "JSON of another kind"),
        ("text", "no JSON"),
        ("gone", "No such file or directory"),
    ):
        done = rtspk("speakers", "import", f"{name}.json", "--gallery", "new.db")
        assert_one_line(done, 2, f"wanted an exported gallery, got {got}: {name}.json\n")
    assert not (tmp_path / "new.db").exists()


ON_A_FULL_DISK = """
import subprocess, sys
disk, clip = sys.argv[1:]
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
    sys.exit(77)
room = open(f"{disk}/filler", "wb", buffering=0)
try:
    while room.write(b"x" * 4096):
        pass
except OSError:
    pass
command = [sys.executable, "-m", "rtspk", "enroll", "Anna", clip, "--gallery", f"{disk}/voices.db"]
sys.exit(subprocess.run(command).returncode)
"""


def test_enrolling_on_a_full_disk(user_env, voices, tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("a small disk can be made on Linux only")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", ON_A_FULL_DISK, disk, voices.a2]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=user_env
        )
    except FileNotFoundError:
        pytest.skip("unshare is not here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no small disk can be mounted here")
    assert_one_line(done, 1, "got a full disk")
