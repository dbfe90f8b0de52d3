"""All that is wrong with a manifest comes in one report."""

import json

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.errors import FormatError
from rtspk.train.audit import audit_manifest, read_audited
from tests.train.runs import quiet

HEAD = "file,speaker,dataset,start,end,sample_rate\n"


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "a.wav", np.full(32_000, 0.1, np.float32))
    (tmp_path / "text.wav").write_text("no sound")
    return tmp_path


def test_every_problem_is_in_one_report(folder):
    rows = [
        "a.wav,1,s,0,1,",
        "a.wav,1,s,0,1,",
        "a.wav,2,s,1,2.5,",
        "a.wav,2,s,1,1,",
        "a.wav,2,s,zero,1,",
        "a.wav,3,s,0,2,44100",
        "none.wav,4,s,0,1,",
        "text.wav,4,s,0,1,",
    ]
    (folder / "m.csv").write_text(HEAD + "\n".join(rows) + "\n")
    report = audit_manifest(folder / "m.csv", quiet)
    assert {finding.kind: finding.count for finding in report.problems} == {
        "utterances without length": 1,
        "lines that cannot be read": 1,
        "missing files": 1,
        "files that are no sound": 1,
        "utterances beyond their file's end": 1,
        "files of another sampling rate than claimed": 1,
        "utterances that come more than once": 1,
    }
    assert [(note.kind, note.examples) for note in report.notes] == [
        ("speakers with one utterance", ("s/2", "s/3"))
    ]
    with pytest.raises(FormatError) as caught:
        read_audited(folder / "m.csv", quiet)
    first, *rest = str(caught.value).splitlines()
    assert "got 7 problems of 7 kinds among 6 utterances in 3 files" in first
    assert len(rest) == 7
    assert any("1.00 to 2.50 s of 2.00 s" in line for line in rest)
    assert any("44100 Hz for a file of 16000 Hz" in line for line in rest)


def test_a_sound_manifest_is_given_as_it_is_read(folder):
    (folder / "m.csv").write_text(HEAD + "a.wav,1,s,0,1,16000\na.wav,1,s,1,2.05,\na.wav,,s,0.5,1,\n")
    done = []
    assert len(read_audited(folder / "m.csv", lambda *at: done.append(at))) == 3
    assert done == [(1, 1)]


def test_an_utterance_without_a_whole_frame_of_sound_is_a_problem(folder):
    rows = ["0.5,0.52,", "0.5,0.525,", "0.4,0.44,2.0", "1.99,2.05,"]
    text = "\n".join(["file,speaker,start,end,speed", *(f"a.wav,anna,{row}" for row in rows)])
    (folder / "short.csv").write_text(text)
    (finding,) = audit_manifest(folder / "short.csv", quiet).problems
    assert (finding.kind, finding.count) == ("utterances shorter than a frame", 3)
    assert finding.examples[0] == f"{folder / 'a.wav'} 0.50 s, 20 ms"


def test_the_same_stretch_at_another_speed_is_no_repetition(folder):
    text = "file,speaker,dataset,start,end,speed\na.wav,1,s,0,1,\na.wav,1,s,0,1,0.9\na.wav,1,s,0,1,0.9\n"
    (folder / "m.csv").write_text(text)
    (finding,) = audit_manifest(folder / "m.csv", quiet).problems
    assert (finding.count, finding.examples[0].endswith("at speed 0.9")) == (1, True)


def test_files_whose_length_was_asked_for_are_told_as_what_they_are(folder):
    (folder / "m.csv").write_text("file,speaker\na.wav,1\nnone.wav,1\ntext.wav,1\n")
    found = {one.kind: one.examples for one in audit_manifest(folder / "m.csv", quiet).problems}
    assert list(found) == ["missing files", "files that are no sound"]
    assert "line 3, got " in found["missing files"][0]


def test_ids_of_a_table_come_once(folder):
    (folder / "m.csv").write_text("id,file,speaker,start,end\nu1,a.wav,1,0,1\nu1,a.wav,1,1,2\n,a.wav,2,0,1\n")
    (finding,) = audit_manifest(folder / "m.csv", quiet).problems
    assert (finding.kind, finding.examples) == ("ids that come more than once", ("u1",))


def test_a_report_names_the_first_few_cases_alone(folder):
    (folder / "m.csv").write_text(HEAD + "".join(f"none{i}.wav,{i},s,0,1,\n" for i in range(30)))
    (finding,) = audit_manifest(folder / "m.csv", quiet).problems
    assert finding.count == 30
    assert str(finding).endswith("none11.wav; ...)")


def test_ids_that_come_twice_are_found(folder):
    lhotse = pytest.importorskip("lhotse", reason="its manifests need lhotse")
    recording = lhotse.Recording.from_file(folder / "a.wav")
    said = lhotse.SupervisionSegment("s1", recording.id, 0.0, 1.0, speaker="anna")
    line = json.dumps(lhotse.MonoCut("c1", 0.0, 2.0, 0, [said], recording=recording).to_dict())
    (folder / "cuts.jsonl").write_text(f"{line}\n{line}\n")
    (finding,) = audit_manifest(folder / "cuts.jsonl", quiet).problems
    assert (finding.kind, finding.examples) == ("ids that come more than once", ("c1 s1",))


def test_a_run_does_not_begin_with_a_manifest_that_has_problems(pack, recipe_file, tmp_path):
    from rtspk.train.loop import Trainer
    from rtspk.train.recipe import Recipe

    text = (pack / "train.csv").read_text()
    (tmp_path / "train.csv").write_text(
        text.replace("\n", f"\n{pack}/").removesuffix(f"{pack}/") + "gone.wav,9,set,,,0,1,\n"
    )
    with pytest.raises(FormatError, match=r"missing files: 1 .*gone\.wav"):
        Trainer(Recipe.read(recipe_file), tmp_path, tmp_path / "runs" / "one", quiet)
    assert not (tmp_path / "runs" / "cache").exists()
