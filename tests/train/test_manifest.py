"""Manifests: read strictly, errors with file and line."""

import pytest

from rtspk.errors import FormatError
from rtspk.train.manifest import hold_out, read_manifest, read_noises

HEAD = "file,speaker,dataset,start,end\n"


def test_a_row_is_an_utterance(tmp_path):
    (tmp_path / "m.csv").write_text(
        "file,speaker,dataset,lang,gender,start,end,target\na.opus,7,cv,ar,f,0.5,2.0,3\n"
    )
    (one,) = read_manifest(tmp_path / "m.csv")
    assert (one.path, one.start, one.end, one.speaker, one.target) == (
        tmp_path / "a.opus",
        8000,
        32000,
        "cv/7",
        3,
    )
    assert one.duration == 24_000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "got no rows"),
        ("file,speaker\na,b\n", "missing: dataset, start, end"),
        (HEAD + "a,b,c,one,2\n", "line 2"),
        (HEAD + "a,b,c,0,1\na,b,c,2,1\n", "line 3"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, wanted):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(FormatError, match=wanted):
        read_manifest(tmp_path / "m.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"none\.csv"):
        read_noises(tmp_path / "none.csv")


def test_speakers_held_out_are_held_out(tmp_path):
    (tmp_path / "m.csv").write_text(HEAD + "a,1,s,0,1\nb,2,s,0,1\nc,1,s,0,1\n")
    kept, held = hold_out(read_manifest(tmp_path / "m.csv"), frozenset({"s/1"}))
    assert [u.speaker for u in kept] == ["s/2"]
    assert [u.path.name for u in held] == ["a", "c"]


def test_a_voice_at_another_speed_is_another_speaker(tmp_path):
    (tmp_path / "m.csv").write_text(
        "file,speaker,dataset,start,end,speed\na,1,s,0,1,\na,1,s,0,1,1.25\na,,s,0,1,\n"
    )
    own, faster, nobody = read_manifest(tmp_path / "m.csv")
    assert (own.speaker, faster.speaker, nobody.speaker) == ("s/1", "s/1@1.25", "")
    assert (own.duration, faster.duration) == (16_000, 12_800)


def test_who_is_held_out_is_not_trained_on_at_any_speed(tmp_path):
    (tmp_path / "m.csv").write_text(
        "file,speaker,dataset,start,end,speed\na,1,s,0,1,\na,1,s,0,1,0.9\nb,2,s,0,1,\n"
    )
    kept, held = hold_out(read_manifest(tmp_path / "m.csv"), frozenset({"s/1"}))
    assert [u.path.name for u in kept] == ["b"]
    assert [u.speed for u in held] == [1.0]


def test_a_speed_beyond_reason_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("file,speaker,dataset,start,end,speed\na,1,s,0,1,9\n")
    with pytest.raises(FormatError, match=r"a speed of 0.5 to 2 in .* line 2, got 9"):
        read_manifest(tmp_path / "m.csv")
