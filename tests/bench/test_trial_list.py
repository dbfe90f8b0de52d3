"""Lists of trials: read strictly, and parted by what their clips share."""

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.bench import trial_list
from rtspk.bench.trial_list import groups_of, read_trials
from rtspk.errors import FormatError


@pytest.mark.parametrize("line", ["2 a.wav a.wav", "1 a.wav", "1 a.wav a.wav a.wav", "a.wav a.wav 1"])
def test_a_line_that_is_no_trial_is_named_with_its_number(tmp_path, line):
    write_wav(tmp_path / "a.wav", np.zeros(800, np.float32))
    path = tmp_path / "trials.txt"
    path.write_text(f"1 a.wav a.wav\n\n{line}\n")
    with pytest.raises(FormatError, match=r"line 3: wanted `0\|1 path path`"):
        read_trials(path)


def test_lists_that_are_missing_empty_or_no_text_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for name, wanted in (("gone.txt", "No such file"), ("empty.txt", "no line"), ("bytes.txt", "UTF-8")):
        with pytest.raises(FormatError, match=wanted):
            read_trials(tmp_path / name)


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_list, "LEAST", 1)
    for name in ("a", "b", "c", "d"):
        write_wav(tmp_path / f"{name}.wav", np.zeros(800, np.float32))
    path = tmp_path / "trials.txt"
    path.write_text("1 a.wav b.wav\n0 a.wav c.wav\n0 b.wav d.wav\n1 c.wav d.wav\n")
    return path


def test_trials_are_parted_by_what_both_clips_share(listed):
    (listed.parent / "utterances.csv").write_text(
        "file,dataset,lang,gender\na.wav,s,en,f\nb.wav,s,en,f\nc.wav,s,en,m\nd.wav,s,sv,\n"
    )
    groups = {(g.kind, g.name): g.chosen.tolist() for g in groups_of(read_trials(listed), listed)}
    assert groups == {("dataset", "s"): [True] * 4, ("language", "en"): [True, True, False, False]}


def test_without_a_table_the_folder_is_the_data_set(listed):
    assert groups_of(read_trials(listed), listed) == []


def test_groups_of_few_trials_are_left_out(listed, monkeypatch):
    (listed.parent / "utterances.csv").write_text(
        "file,dataset\n" + "".join(f"{name}.wav,s\n" for name in "abcd")
    )
    monkeypatch.setattr(trial_list, "LEAST", 3)
    assert groups_of(read_trials(listed), listed) == []


def test_a_table_without_files_is_refused(listed):
    (listed.parent / "utterances.csv").write_text("clip,dataset\na.wav,s\n")
    with pytest.raises(FormatError, match="wanted a column `file`"):
        groups_of(read_trials(listed), listed)
