import io
import json
import os
from pathlib import Path

import pytest

from rtspk.cli.output import JsonLines, check_writable, format_of, rendered
from rtspk.engine.events import EndEvent, SegmentEvent, SpeakerEvent
from rtspk.errors import ConfigError, StorageError
from rtspk.rttm import parse_rttm
from rtspk.transcript import Transcript
from rtspk.types import Segment, Turn, samples_of


def said(number, start, end, label, state="final"):
    turn = Turn(Segment(samples_of(start), samples_of(end)), label, None, 0.5, 0.75)
    return SegmentEvent(number, 1, turn, state)


@pytest.fixture
def transcript():
    """Anna in two pieces that touch, a stranger across her, and something that never became final."""
    kept = Transcript()
    kept.apply_all(
        [
            said(1, 0.5, 2.0, "S1"),
            said(2, 2.0, 3.5, "S1"),
            said(3, 3.0, 4.0, "S2"),
            said(4, 5.0, 6.0, "S2", "tentative"),
            SpeakerEvent("named", "S1", name="Anna Bell"),
            EndEvent(samples_of(7.0), 2),
        ]
    )
    return kept


def test_rttm_has_the_final_turns_joined_under_their_names(transcript):
    turns = parse_rttm(rendered("rttm", transcript, "my talk"))
    assert [(t.file, t.start, t.end, t.speaker) for t in turns] == [
        ("my_talk", 0.5, 3.5, "Anna_Bell"),
        ("my_talk", 3.0, 4.0, "S2"),
    ]


def test_srt_is_numbered_and_names_who_speaks(transcript):
    assert rendered("srt", transcript, "talk") == (
        "1\n00:00:00,500 --> 00:00:03,500\nAnna Bell\n\n2\n00:00:03,000 --> 00:00:04,000\nS2\n"
    )


def test_json_has_the_whole(transcript):
    whole = json.loads(rendered("json", transcript, "talk"))
    assert (whole["file"], whole["audio_ms"]) == ("talk", 7000)
    assert [(s["speaker"], s["name"], s["seconds"]) for s in whole["speakers"]] == [
        ("S1", "Anna Bell", 3.0),
        ("S2", None, 1.0),
    ]
    assert [(s["start"], s["end"], s["name"]) for s in whole["segments"]] == [
        (0.5, 3.5, "Anna Bell"),
        (3.0, 4.0, None),
    ]


def test_in_json_a_speakers_time_is_that_of_their_segments(transcript):
    transcript.apply(SpeakerEvent("merged", "S2", into="S1"))
    whole = json.loads(rendered("json", transcript, "talk"))
    assert [s["seconds"] for s in whole["speakers"]] == [3.5]
    assert [(s["start"], s["end"]) for s in whole["segments"]] == [(0.5, 4.0)]


@pytest.mark.parametrize("format_", ["rttm", "srt"])
def test_nobody_speaking_is_an_empty_text(format_):
    assert rendered(format_, Transcript(), "talk") == ""


def test_json_lines_are_flushed_as_they_happen():
    class Stream(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed = len(self.getvalue())

    stream = Stream()
    lines = JsonLines(stream)
    for event in (said(1, 0.0, 1.0, "S1"), EndEvent(16000, 1)):
        lines.hear([event], 0)
        assert stream.flushed == len(stream.getvalue())
    assert [json.loads(line)["type"] for line in stream.getvalue().splitlines()] == ["segment", "end"]


@pytest.mark.parametrize(
    ("wanted", "output", "is_terminal", "format_"),
    [
        (None, None, True, "live"),
        (None, None, False, "jsonl"),
        (None, "talk.rttm", True, "rttm"),
        (None, "talk.JSONL", False, "jsonl"),
        ("live", "talk.srt", True, "srt"),
        ("json", "talk.txt", True, "json"),
        ("rttm", None, True, "rttm"),
    ],
)
def test_the_format_is_what_is_asked_for_or_else_what_fits(wanted, output, is_terminal, format_):
    assert format_of(wanted, Path(output) if output else None, is_terminal=is_terminal) == format_


def test_a_suffix_that_says_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"wanted --format, or --output ending in .*, got 'talk.txt'"):
        format_of(None, Path("talk.txt"), is_terminal=True)


def test_a_file_that_can_be_written_is_left_as_it_was(tmp_path):
    path = tmp_path / "talk.rttm"
    check_writable(path)
    assert not path.exists()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="pipes have no paths here")
def test_a_pipe_wants_nothing_of_the_folder_that_it_seems_to_be_in(monkeypatch):
    monkeypatch.setattr(os, "access", lambda one, _: not Path(one).is_dir())
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb"):
        check_writable(Path(f"/dev/fd/{writing}"))


def test_a_folder_that_may_not_be_written_is_found_out_before_the_work(tmp_path, monkeypatch):
    path = tmp_path / "talk.rttm"
    path.touch()
    tmp_path.chmod(0o555)
    if os.geteuid() == 0:  # root may write everywhere, so the system's answer has to be played
        monkeypatch.setattr(os, "access", lambda one, _: Path(one) != tmp_path)
    try:
        with pytest.raises(StorageError, match=r"wanted to write .*talk\.rttm, got permission denied$"):
            check_writable(path)
    finally:
        tmp_path.chmod(0o755)
