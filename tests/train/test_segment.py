"""Long files become pieces of one length, on paper."""

from dataclasses import replace
from pathlib import Path

import pytest

from rtspk.errors import AudioError, ConfigError
from rtspk.train.headers import Header
from rtspk.train.segment import Cutting, files_below, pieces, whole_files
from rtspk.types import samples_of

HEADERS = {Path("talk/anna/one.wav"): Header(samples_of(11.0), 44_100, 2, "pcm_s16le")}


def seconds(cutting: Cutting, **changed) -> list[tuple[float, float]]:
    (whole,) = whole_files(HEADERS, "none", "talk")
    return [(u.start / 16_000, u.end / 16_000) for u in pieces([replace(whole, **changed)], cutting)]


def test_pieces_follow_each_other_and_a_short_rest_is_left_out():
    assert seconds(Cutting(3.0)) == [(0, 3), (3, 6), (6, 9), (9, 11)]
    assert seconds(Cutting(5.0)) == [(0, 5), (5, 10)]
    assert seconds(Cutting(5.0, least_seconds=1.0)) == [(0, 5), (5, 10), (10, 11)]


def test_a_hop_makes_pieces_overlap_and_the_end_is_heard_once():
    assert seconds(Cutting(5.0, hop_seconds=2.5)) == [(0, 5), (2.5, 7.5), (5, 10), (7.5, 11)]
    assert seconds(Cutting(3.0, hop_seconds=4.0)) == [(0, 3), (4, 7), (8, 11)]


def test_a_file_too_short_gives_nothing():
    assert seconds(Cutting(5.0), end=samples_of(1.0)) == []


def test_a_faster_voice_takes_more_of_its_file():
    cut = seconds(Cutting(3.0), speed=1.25, speaker="talk/anna@1.25")
    assert cut == [(0, 3.75), (3.75, 7.5), (7.5, 11)]


def test_pieces_have_no_target():
    (whole,) = whole_files(HEADERS, "none", "talk")
    assert {u.target for u in pieces([replace(whole, target=7)], Cutting(3.0))} == {-1}


@pytest.mark.parametrize(("source", "speaker"), [("parent", "talk/anna"), ("stem", "talk/one"), ("none", "")])
def test_the_speaker_comes_from_a_name(source, speaker):
    assert whole_files(HEADERS, source, "talk")[0].speaker == speaker


def test_a_folder_gives_its_sound_files_at_any_depth(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("b/c/one.WAV", "a.opus", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in files_below(tmp_path)] == ["a.opus", "one.WAV"]
    assert files_below(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(AudioError, match="got none"):
        files_below(tmp_path / "empty")
    with pytest.raises(AudioError, match="got nothing there"):
        files_below(tmp_path / "gone")


@pytest.mark.parametrize(
    "values",
    [
        {"seconds": 0.1},
        {"hop_seconds": 0.0},
        {"least_seconds": 9.0},
        {"seconds": float("nan")},
        {"hop_seconds": float("nan")},
    ],
)
def test_lengths_beyond_reason_are_refused(values):
    with pytest.raises(ConfigError, match="wanted"):
        Cutting(**values)
