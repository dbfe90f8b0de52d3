"""Manifests: read strictly, errors with file and line."""

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.errors import ConfigError, FormatError
from rtspk.train.manifest import at_speeds, hold_out, read_manifest, read_noises, write_manifest

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
        ("file,dataset\na,b\n", "missing: speaker"),
        (HEAD + "a,b,c,one,2\n", "line 2"),
        (HEAD + "a,b,c,0,1\na,b,c,2,1\n", "line 3"),
        ("file,speaker\na.wav,b\n", r"line 2, got .*a\.wav: wanted an audio file, got no such file"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, wanted):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(FormatError, match=wanted):
        read_manifest(tmp_path / "m.csv")


def test_a_row_without_times_is_a_whole_file(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(33_075, np.float32), 22_050)
    (tmp_path / "mine.csv").write_text("file,speaker,start\na.wav,7,\na.wav,7,0.25\n")
    whole, rest = read_manifest(tmp_path / "mine.csv")
    assert (whole.start, whole.end, whole.speaker) == (0, 24_000, "mine/7")
    assert (rest.start, rest.end) == (4_000, 24_000)


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


def test_a_table_that_is_written_is_read_again_as_it_was(tmp_path):
    (tmp_path / "m.csv").write_text(
        "file,speaker,dataset,lang,gender,licence,start,end,target,speed\n"
        'a.wav,anna,s,en,f,CC0,0.5,1.75,3,\na.wav,anna,s,,,,0,180000.0000625,,1.1\n"b,c.wav",,s,,,,0,1,,\n'
    )
    (tmp_path / "deep").mkdir()
    before = read_manifest(tmp_path / "m.csv")
    write_manifest(tmp_path / "again.csv", before)
    write_manifest(tmp_path / "deep" / "again.csv", before)
    assert read_manifest(tmp_path / "again.csv") == before
    assert "\na.wav,anna," in (tmp_path / "again.csv").read_text()
    assert read_manifest(tmp_path / "deep" / "again.csv") == before


def test_long_utterances_are_added_at_other_speeds_as_new_speakers_without_a_teacher(tmp_path):
    (tmp_path / "m.csv").write_text(
        "file,speaker,dataset,start,end,target,speed\n"
        "a,1,s,0,2,0,\na,1,s,2,3,1,\na,,s,0,5,2,\na,2,s,0,4,3,\na,2,s,0,4,4,0.9\n"
    )
    utterances = read_manifest(tmp_path / "m.csv")
    added = at_speeds(utterances, (0.9, 1.1))
    assert added[:5] == utterances
    assert [(u.speaker, u.speed, u.target, u.duration) for u in added[5:]] == [
        ("s/1@0.9", 0.9, -1, 35_555),
        ("s/1@1.1", 1.1, -1, 29_090),
        ("s/2@1.1", 1.1, -1, 58_181),
    ]
    for bad in (3.0, 1.0):
        with pytest.raises(ConfigError, match=r"wanted speeds of 0\.5 to 2 other than 1"):
            at_speeds(utterances, (bad,))


def test_a_speaker_whose_name_has_an_at_sign_is_held_out(tmp_path):
    (tmp_path / "m.csv").write_text(
        "file,speaker,dataset,start,end,speed\na,x@y,s,0,1,\na,x@y,s,0,1,0.9\nb,x@z,s,0,1,\n"
    )
    kept, held = hold_out(read_manifest(tmp_path / "m.csv"), frozenset({"s/x@y"}))
    assert [u.speaker for u in kept] == ["s/x@z"]
    assert [u.speed for u in held] == [1.0]


def test_the_number_of_wrong_lines_is_said(tmp_path):
    (tmp_path / "m.csv").write_text(HEAD + "a,b,c,0,1\na,b\n,b,c,0,1\na,b,c,0,inf\n")
    with pytest.raises(FormatError, match=r"line 3, got fewer \(and 2 more such lines\)"):
        read_manifest(tmp_path / "m.csv")


def test_noise_and_music_are_told_apart(tmp_path):
    (tmp_path / "n.csv").write_text("file,kind\na,music\nb,rain\nc,\n")
    names = [[p.name for p in read_noises(tmp_path / "n.csv", music=kind)] for kind in (None, True, False)]
    assert names == [["a", "b", "c"], ["a"], ["b", "c"]]
    (tmp_path / "n.csv").write_text("file\na\n")
    assert read_noises(tmp_path / "n.csv", music=True) == []
