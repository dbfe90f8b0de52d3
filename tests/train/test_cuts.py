"""Manifests of lhotse say the same to us as to lhotse."""

import gzip
import json
import sys

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.errors import FormatError
from rtspk.train.cuts import parse_cuts, write_cuts
from rtspk.train.headers import read_headers
from rtspk.train.manifest import Utterance, read_manifest
from rtspk.train.store import SampleStore
from tests.train.runs import quiet

lhotse = pytest.importorskip("lhotse", reason="its manifests need lhotse")


@pytest.fixture
def sets(tmp_path):
    """Two recordings of 3 s, three supervisions."""
    rng = np.random.default_rng(0)
    recordings = []
    for name in ("a", "b"):
        write_wav(tmp_path / f"{name}.wav", rng.normal(0, 0.1, 48_000).astype(np.float32))
        recordings.append(lhotse.Recording.from_file(tmp_path / f"{name}.wav"))
    said = [
        lhotse.SupervisionSegment("s1", "a", 0.5, 1.0, speaker="anna", language="en", gender="f"),
        lhotse.SupervisionSegment(
            "s2", "a", 1.5, 1.25, speaker="ben", custom={"dataset": "own", "target": 4}
        ),
        lhotse.SupervisionSegment("s3", "b", 0.0, 2.0, custom={"licence": "CC0"}),
    ]
    return lhotse.RecordingSet.from_recordings(recordings), lhotse.SupervisionSet.from_segments(said)


def test_recordings_with_supervisions_are_utterances(sets, tmp_path):
    for kind, one in zip(("recordings", "supervisions"), sets, strict=True):
        one.to_file(tmp_path / f"toy_{kind}_train.jsonl.gz")
    first, second, third = read_manifest(tmp_path / "toy_supervisions_train.jsonl.gz")
    assert first == Utterance(
        path=tmp_path / "a.wav",
        start=8_000,
        end=24_000,
        speaker="toy_train/anna",
        dataset="toy_train",
        language="en",
        gender="f",
        licence="not stated",
        target=-1,
        name="s1",
        rate=16_000,
    )
    assert (second.speaker, second.dataset, second.target, second.end) == ("own/ben", "own", 4, 44_000)
    assert (third.speaker, third.licence) == ("", "CC0")
    for other in (tmp_path / "toy_recordings_train.jsonl.gz", tmp_path):
        assert read_manifest(other) == [first, second, third]


def test_a_cut_of_several_supervisions_is_several_utterances_as_lhotse_hears_them(sets, tmp_path):
    cuts = lhotse.CutSet.from_manifests(*sets).to_eager()
    trimmed = lhotse.CutSet.from_cuts([cuts[0].truncate(offset=0.25, duration=2.0), cuts[1]])
    trimmed.to_file(tmp_path / "toy_cuts.jsonl")
    utterances = read_manifest(tmp_path / "toy_cuts.jsonl")
    store = SampleStore.build([u.path for u in utterances], tmp_path / "cache", quiet)
    said = [(cut, one) for cut in trimmed for one in cut.trimmed_supervisions]
    assert len(said) == len(utterances) == 3
    for u, (cut, one) in zip(utterances, said, strict=True):
        wanted = cut.truncate(offset=one.start, duration=one.duration).load_audio()[0]
        assert store.read(u.path, u.start, u.end) == pytest.approx(wanted, abs=1e-4)


def test_a_cut_without_supervisions_is_of_nobody_known(sets, tmp_path):
    lhotse.CutSet.from_manifests(sets[0]).to_file(tmp_path / "cuts.jsonl.gz")
    assert [(u.speaker, u.start, u.end) for u in read_manifest(tmp_path / "cuts.jsonl.gz")] == [
        ("", 0, 48_000)
    ] * 2


def test_speed_perturbation_is_a_speed_of_ours(sets, tmp_path):
    cuts = lhotse.CutSet.from_manifests(*sets).resample(8_000).perturb_speed(1.25)
    cuts.to_file(tmp_path / "toy_cuts.jsonl.gz")
    first = read_manifest(tmp_path / "toy_cuts.jsonl.gz")[0]
    assert (first.speaker, first.speed, first.start, first.end) == ("toy/anna@1.25", 1.25, 8_000, 24_000)
    assert first.rate == 16_000


def test_what_is_written_is_read_again_by_us_and_by_lhotse(tmp_path):
    write_wav(tmp_path / "a.wav", np.full(48_000, 0.1, np.float32))
    own = Utterance(tmp_path / "a.wav", 1_600, 33_600, "d/anna", "d", "en", "f", "CC0", 3)
    fast = Utterance(tmp_path / "a.wav", 1_000, 41_000, "d/anna@1.25", "d", "en", "f", "CC0", -1, 1.25)
    nobody = Utterance(tmp_path / "a.wav", 0, 16_000, "", "d", "", "", "CC0", -1)
    headers = read_headers([tmp_path / "a.wav"], quiet)
    write_cuts(tmp_path / "cuts.jsonl.gz", [own, fast, nobody], headers)
    read = read_manifest(tmp_path / "cuts.jsonl.gz")
    for before, after in zip((own, fast, nobody), read, strict=True):
        for part in ("path", "start", "end", "speaker", "dataset", "licence", "target", "speed", "language"):
            if part != "language" or before.speaker:  # lhotse keeps it with who speaks
                assert getattr(before, part) == getattr(after, part), part
    heard = [cut.load_audio().shape[1] for cut in lhotse.load_manifest(tmp_path / "cuts.jsonl.gz")]
    assert heard == pytest.approx([32_000, 32_000, 16_000], abs=1)


def test_what_cannot_be_an_utterance_is_said_and_the_rest_is_read(sets, tmp_path):
    recordings, supervisions = sets
    lines = [one.to_dict() for one in supervisions]
    lines[0]["recording_id"] = "gone"
    lines[1]["duration"] = -1.0
    lines += [{"id": "s4"}, recordings["a"].to_dict()]
    recordings.to_file(tmp_path / "recordings.jsonl.gz")
    (tmp_path / "supervisions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(FormatError, match=r"no recordings\.jsonl"):
        parse_cuts(tmp_path / "supervisions.jsonl")
    with gzip.open(tmp_path / "supervisions.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, lines)))
    utterances, faults = parse_cuts(tmp_path / "supervisions.jsonl.gz")
    assert [u.name for u in utterances] == ["s3"]
    assert [fault.case.split()[0] for fault in faults[:2]] == ["s1", "s2"]
    assert "line 4" in faults[2].case
    assert "line 5: wanted a SupervisionSegment, got a Recording" in faults[3].case
    with pytest.raises(FormatError, match=r"s1 of gone \(and 3 more such lines\)"):
        read_manifest(tmp_path / "supervisions.jsonl.gz")


def test_two_people_on_two_channels_of_a_file_are_refused(sets, tmp_path):
    cuts = list(lhotse.CutSet.from_manifests(*sets))
    rows = [cuts[0].to_dict(), cuts[0].to_dict()]
    for channel, row in enumerate(rows):
        row["recording"]["sources"][0]["channels"] = [0, 1]
        row["recording"]["channel_ids"] = [0, 1]
        row["channel"] = channel
        row["supervisions"] = [{**row["supervisions"][0], "id": f"s{channel}", "channel": channel}]
    (tmp_path / "cuts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, faults = parse_cuts(tmp_path / "cuts.jsonl")
    assert [fault.kind for fault in faults] == ["files with different people on their channels"]


def test_mixed_cuts_and_changed_sound_are_refused(sets, tmp_path):
    one, other = lhotse.CutSet.from_manifests(*sets).to_eager()
    lhotse.CutSet.from_cuts([one.mix(other), other.perturb_tempo(1.1)]).to_file(tmp_path / "cuts.jsonl")
    utterances, faults = parse_cuts(tmp_path / "cuts.jsonl")
    assert not utterances
    assert ["MixedCut" in faults[0].case, "Tempo" in faults[1].case] == [True, True]


@pytest.mark.parametrize("text", ["", "no json", "[1]"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "cuts.jsonl").write_text(text)
    with pytest.raises(FormatError, match=r"wanted a manifest of lhotse at .*cuts\.jsonl"):
        read_manifest(tmp_path / "cuts.jsonl")


def test_a_folder_without_manifests_is_refused(tmp_path):
    with pytest.raises(FormatError, match="got neither"):
        read_manifest(tmp_path)


def test_without_lhotse_it_is_said_what_to_install(sets, tmp_path, monkeypatch):
    lhotse.CutSet.from_manifests(*sets).to_file(tmp_path / "cuts.jsonl.gz")
    monkeypatch.setitem(sys.modules, "lhotse.serialization", None)
    with pytest.raises(FormatError, match="pip install lhotse"):
        read_manifest(tmp_path / "cuts.jsonl.gz")
