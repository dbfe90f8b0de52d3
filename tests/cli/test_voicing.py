"""`rtspk voicing` from recordings to the file that a model's card names."""

import shutil
from pathlib import Path

import pytest
import soundfile

from rtspk.audio import read_audio
from rtspk.engine.voicing import Voicing

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "rtspk" / "data" / "demo"


def test_a_plane_is_learnt_from_recordings(rtspk, tmp_path):
    """Speech played backwards stands for a sound: what is heard of it is no voice of the talk."""
    (tmp_path / "talk").mkdir()
    (tmp_path / "sounds").mkdir()
    for kind in ("opus", "rttm"):
        shutil.copy(DEMO / f"conversation.{kind}", tmp_path / "talk")
    backwards = read_audio(DEMO / "conversation.opus")[::-1]
    soundfile.write(tmp_path / "sounds" / "backwards.wav", backwards[: 16000 * 20], 16000)
    out = tmp_path / "voicing.npy"
    done = rtspk("voicing", "talk", "--sounds", "sounds", "--out", "voicing.npy")
    assert done.returncode == 0, done.stderr
    assert "windows of voices and" in done.stdout
    assert len(Voicing.read(out).normal) == 192


@pytest.mark.parametrize(
    ("missing", "words"), [("talk", "RTTM files, got none"), ("sounds", "a folder of sounds")]
)
def test_what_is_missing_is_said_in_one_line(rtspk, tmp_path, missing, words):
    (tmp_path / "talk").mkdir()
    if missing == "sounds":
        shutil.copy(DEMO / "conversation.rttm", tmp_path / "talk")
    out = tmp_path / "voicing.npy"
    done = rtspk("voicing", "talk", "--sounds", "sounds", "--out", "voicing.npy")
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
