"""RTTM and UEM: what is written is read back, and a bad line is named."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.errors import FormatError
from rtspk.rttm import (
    ScoredRegion,
    SpeakerTurn,
    format_rttm,
    parse_rttm,
    parse_uem,
    read_rttm,
    read_uem,
    to_rttm_turns,
    to_turns,
    write_rttm,
)
from rtspk.types import Segment, Turn

SHARED = Path(os.environ.get("RTSPK_SHARED", Path(__file__).parents[1] / ".." / "shared"))

GOOD = "SPEAKER talk 1 0.500 1.250 <NA> <NA> Anna <NA> <NA>"

milliseconds = st.integers(0, 10**8)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1)


@given(st.lists(st.tuples(milliseconds, st.integers(1, 10**6), names), max_size=20))
def test_what_is_written_is_read_back(rows):
    turns = [SpeakerTurn("talk", start / 1000, (start + length) / 1000, who) for start, length, who in rows]
    back = parse_rttm(format_rttm(turns))
    assert sorted((round(t.start * 1000), round(t.end * 1000), t.speaker) for t in back) == sorted(
        (start, start + length, who) for start, length, who in rows
    )


def test_a_file_is_read_as_it_was_written(tmp_path):
    turns = [SpeakerTurn("talk", 0.0, 1.5, "Anna"), SpeakerTurn("talk", 1.0, 2.25, "Бен")]
    write_rttm(tmp_path / "talk.rttm", turns)
    assert read_rttm(tmp_path / "talk.rttm") == turns


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u2028", "\n"])
def test_blanks_in_names_become_underscores(blank):
    text = format_rttm([SpeakerTurn(f"my{blank}talk", 0.0, 1.0, f"Anna{blank}Bell")])
    assert text == "SPEAKER my_talk 1 0.000 1.000 <NA> <NA> Anna_Bell <NA> <NA>\n"
    assert parse_rttm(text) == [SpeakerTurn("my_talk", 0.0, 1.0, "Anna_Bell")]


def test_two_names_that_become_one_word_are_kept_apart():
    names = ["Anna B", "Anna_B", "Anna\tB", "Anna B"]
    turns = [SpeakerTurn("talk", number, number + 1.0, name) for number, name in enumerate(names)]
    words = [turn.speaker for turn in parse_rttm(format_rttm(turns))]
    assert words == ["Anna_B", "Anna_B_2", "Anna_B_3", "Anna_B"]


def test_what_is_no_character_in_a_name_becomes_a_question_mark(tmp_path):
    write_rttm(tmp_path / "talk.rttm", [SpeakerTurn("t\udcff", 0.0, 1.0, "Anna")])
    assert read_rttm(tmp_path / "talk.rttm") == [SpeakerTurn("t?", 0.0, 1.0, "Anna")]


def test_turns_that_touch_still_touch_after_rounding():
    third = 1 / 3
    turns = [SpeakerTurn("t", third * n, third * (n + 1), "A") for n in range(100)]
    back = parse_rttm(format_rttm(turns))
    for before, after in itertools.pairwise(back):
        assert before.end == pytest.approx(after.start, abs=1e-9)


def test_turns_are_written_in_order_of_time_and_empty_ones_are_left_out():
    turns = [
        SpeakerTurn("t", 2.0, 3.0, "B"),
        SpeakerTurn("t", 0.0, 1.0, "A"),
        SpeakerTurn("t", 1.0, 1.0004, "C"),
        SpeakerTurn("t", 1.0, 1.0, "D"),
    ]
    assert [turn.speaker for turn in parse_rttm(format_rttm(turns))] == ["A", "B"]


def test_comments_blank_lines_other_types_and_windows_line_ends_are_passed_over(tmp_path):
    path = tmp_path / "talk.rttm"
    other = "SPKR-INFO talk 1 <NA> <NA> <NA> unknown Anna <NA>"
    path.write_bytes(f"\ufeff;; made by hand\r\n\r\n{other}\r\n{GOOD}\r\n".encode())
    assert read_rttm(path) == [SpeakerTurn("talk", 0.5, 1.75, "Anna")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER talk 1 0.5", "x.rttm, line 2: wanted 9 or 10 fields, got 4"),
        (GOOD.replace("0.500", "soon"), "x.rttm, line 2: wanted a start in seconds, 0 or more, got 'soon'"),
        (GOOD.replace("0.500", "-0.5"), "line 2: wanted a start in seconds, 0 or more, got '-0.5'"),
        (GOOD.replace("1.250", "nan"), "line 2: wanted a duration in seconds, 0 or more, got 'nan'"),
        (GOOD.replace("1.250", "1_0"), "line 2: wanted a duration in seconds, 0 or more, got '1_0'"),
        (GOOD.replace("1.250", "1e999"), "line 2: wanted a duration in seconds, 0 or more, got '1e999'"),
        (GOOD.replace("SPEAKER", "speaker"), "line 2: wanted a line of type SPEAKER, got 'speaker'"),
    ],
)
def test_a_bad_line_is_named_with_what_was_wanted(line, message):
    with pytest.raises(FormatError) as caught:
        parse_rttm(f"{GOOD}\n{line}\n", where="x.rttm")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_turns_that_make_no_sense_are_not_written():
    with pytest.raises(FormatError, match="0 <= start <= end"):
        format_rttm([SpeakerTurn("t", 2.0, 1.0, "A")])
    with pytest.raises(FormatError, match="0 <= start <= end"):
        format_rttm([SpeakerTurn("t", 0.0, float("nan"), "A")])
    with pytest.raises(FormatError, match="0 <= start <= end"):
        format_rttm([SpeakerTurn("t", 0.0, float("inf"), "A")])
    with pytest.raises(FormatError, match="wanted a name for the speaker"):
        format_rttm([SpeakerTurn("t", 0.0, 1.0, "")])


def test_lines_of_nine_fields_are_read_as_those_of_ten():
    assert parse_rttm(GOOD.removesuffix(" <NA>")) == parse_rttm(GOOD)


def test_regions_are_read():
    assert parse_uem("talk 1 0.000 30.000\n") == [ScoredRegion("talk", 0.0, 30.0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("talk 1 0.0", "UEM, line 1: wanted 4 fields"),
        ("talk 1 5.0 4.0", "line 1: wanted an end after the start 5.0, got 4.0"),
        ("talk 1 5.0 5.0", "line 1: wanted an end after the start 5.0, got 5.0"),
        ("talk 1 x 4.0", "line 1: wanted a start in seconds"),
    ],
)
def test_a_bad_region_is_named(line, message):
    with pytest.raises(FormatError, match=message):
        parse_uem(line)


def test_files_that_are_missing_or_no_text_are_refused_in_one_line(tmp_path):
    with pytest.raises(FormatError, match=r"wanted an RTTM file, got No such file"):
        read_rttm(tmp_path / "none.rttm")
    (tmp_path / "sound.rttm").write_bytes(b"RIFF\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"wanted an RTTM file in UTF-8"):
        read_rttm(tmp_path / "sound.rttm")
    with pytest.raises(FormatError, match=r"wanted a UEM file, got"):
        read_uem(tmp_path)


def test_turns_of_the_engine_are_written_under_their_name_or_else_their_label():
    turns = [
        Turn(Segment(8000, 24000), "S1", "Anna", 0.7, 0.9),
        Turn(Segment(16000, 32000), "S2", None, 0.0, 0.5),
    ]
    rttm = to_rttm_turns("talk", turns)
    assert rttm == [SpeakerTurn("talk", 0.5, 1.5, "Anna"), SpeakerTurn("talk", 1.0, 2.0, "S2")]
    assert to_turns(rttm) == [
        Turn(Segment(8000, 24000), "Anna", None, 1.0, 1.0),
        Turn(Segment(16000, 32000), "S2", None, 1.0, 1.0),
    ]


def test_the_shared_conversations_are_read_and_written_back_the_same():
    folder = SHARED / "data" / "conversations"
    if not folder.is_dir():
        pytest.skip("the shared speech is not here")
    for path in folder.glob("*.rttm"):
        turns = read_rttm(path)
        assert turns
        assert format_rttm(turns) == format_rttm(parse_rttm(format_rttm(turns)))
        assert sorted(path.read_text(encoding="utf-8").split("\n")) == sorted(format_rttm(turns).split("\n"))
        assert read_uem(path.with_suffix(".uem"))[0].file == turns[0].file


def test_what_two_turns_of_one_speaker_share_stands_in_the_first_alone():
    spans = [(0, 3, "S1"), (1, 2, "S1"), (1, 3, "S1"), (2, 5, "S1"), (2, 4, "S2"), (6, 6, "S2")]
    turns = [Turn(Segment(a * 16_000, b * 16_000), label, None, 0.5, 0.9) for a, b, label in spans]
    found = [(one.start, one.end, one.speaker) for one in to_rttm_turns("talk", turns)]
    assert found == [(0.0, 3.0, "S1"), (2.0, 4.0, "S2"), (3.0, 5.0, "S1")]
