"""The verbs for training data, as a user runs them."""

import json

import numpy as np
import pytest

from rtspk.train.manifest import read_manifest


def test_files_become_pieces_of_their_speakers_that_pass_the_check(rtspk, voices, tmp_path):
    for who, clip in (("anna", voices.a1), ("ben", voices.b1)):
        (tmp_path / "talk" / who).mkdir(parents=True)
        (tmp_path / "talk" / who / clip.name).write_bytes(clip.read_bytes())
    (tmp_path / "talk" / "broken.wav").write_text("no sound")
    done = rtspk("segment", "talk", "--seconds", "2", "--speaker-from", "parent", "--out", "cut", "--lhotse")
    assert done.returncode == 0, done.stderr
    assert "of 2 speakers from 2 files" in done.stdout
    assert "left out" in done.stderr
    assert "broken.wav" in done.stderr
    utterances = read_manifest(tmp_path / "cut" / "segments.csv")
    assert {u.speaker for u in utterances} == {"talk/anna", "talk/ben"}
    assert {u.duration for u in utterances if u.start == 0} == {32_000}
    assert (tmp_path / "cut" / "cuts.jsonl.gz").is_file()
    checked = rtspk("check-manifest", "cut/segments.csv", "--json")
    assert checked.returncode == 0, checked.stderr
    report = json.loads(checked.stdout)
    assert (report["utterances"], report["problems"]) == (len(utterances), [])


def test_a_manifest_with_problems_is_told_all_of_them(rtspk, voices, tmp_path):
    rows = [f"{voices.a1},a,s,0,1", f"{voices.a1},a,s,0,1000", "gone.wav,b,s,0,1", "gone.wav,b,s,1,0"]
    (tmp_path / "m.csv").write_text("file,speaker,dataset,start,end\n" + "\n".join(rows) + "\n")
    done = rtspk("check-manifest", "m.csv")
    assert done.returncode == 2
    assert done.stdout.count("\n- ") == 4
    assert "gone.wav" in done.stdout
    assert "[a note, no error]" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "got 3 problems of 3 kinds among 3 utterances in 2 files" in done.stderr


def test_a_model_teaches_and_its_rows_are_in_a_manifest_of_their_own(rtspk, voices, tmp_path):
    rows = [f"{clip},{who},s,0,2" for who, clip in (("a", voices.a1), ("b", voices.b1))]
    (tmp_path / "m.csv").write_text("file,speaker,dataset,start,end\n" + "\n".join(rows) + "\n")
    np.savez(tmp_path / "old.npz", other=np.ones((1, 3), np.int8))
    from rtspk.engine.embedder import BUNDLED, load_embedder

    card = load_embedder().card
    done = rtspk("teach", "m.csv", "--model", BUNDLED / "embedder", "--out", "t.npz", "--add", "old.npz")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "t.npz") as tables:
        assert sorted(tables.files) == sorted([card.id, "other"])
        assert tables[card.id].shape == (2, card.dimension)
        assert tables[card.id].any(1).all()
        assert tables["other"].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert [u.target for u in read_manifest(tmp_path / "t.csv")] == [0, 1]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["check-manifest", "gone.csv"], "wanted a table at gone.csv"),
        (["segment", "gone", "--out", "cut"], "got nothing there"),
        (["segment", ".", "--out", "cut"], "wanted sound files in this folder"),
        (["segment", ".", "--out", "cut", "--seconds", "0"], "wanted pieces of 0.5 to 60 s"),
        (["teach", "gone.csv", "--model", "gone", "--out", "t.npz"], "wanted a model card"),
        (["teach", "gone.csv", "--model", "gone", "--out", "t.txt"], "wanted an .npz"),
    ],
)
def test_what_makes_no_sense_is_one_line(rtspk, args, word):
    done = rtspk(*args)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert word in done.stderr
