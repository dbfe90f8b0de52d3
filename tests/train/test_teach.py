"""A teacher's vectors stand in the rows of their utterances."""

from collections.abc import Sequence

import numpy as np
import pytest

from rtspk.audio import loudest, read_audio, write_wav
from rtspk.engine.embedder import EmbedderCard
from rtspk.errors import FormatError
from rtspk.train.manifest import Utterance
from rtspk.train.teach import numbered, stretches, teach, write_targets
from rtspk.types import Embedding, Window


class Mean:
    """A teacher whose vector of a voice is its mean spectrum."""

    card = EmbedderCard(id="mean", file="none.onnx", licence="CC0", dimension=80)

    def embed(self, windows: Sequence[Window]) -> list[Embedding]:
        return [Embedding(self.vector(w.features), w.segment, w.net_speech) for w in windows]

    @staticmethod
    def vector(features: np.ndarray) -> np.ndarray:
        mean = features.mean(0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)


@pytest.fixture
def utterances(tmp_path) -> list[Utterance]:
    """Overlapping, unordered, at another speed, silent, too short, in two files; one file is of 25 s."""
    rng = np.random.default_rng(0)
    time = np.arange(400_000) / 16_000
    sound = rng.normal(0, 0.05, 400_000) * (1 + np.sin(time)) + 0.1 * np.sin(2 * np.pi * 60 * time * time)
    sound[240_000:272_000] = 0.0
    write_wav(tmp_path / "long.wav", sound.astype(np.float32))
    write_wav(tmp_path / "short.wav", rng.normal(0, 0.1, 20_000).astype(np.float32))
    about = ("d", "", "", "CC0", -1)
    return [
        Utterance(tmp_path / "long.wav", 150_000, 390_000, "d/a", *about),
        Utterance(tmp_path / "long.wav", 10, 60_000, "d/a", *about),
        Utterance(tmp_path / "short.wav", 0, 20_000, "", *about),
        Utterance(tmp_path / "long.wav", 10, 60_000, "d/a@1.25", *about, 1.25),
        Utterance(tmp_path / "long.wav", 244_000, 270_000, "d/a", *about),
        Utterance(tmp_path / "short.wav", 100, 2_000, "d/b", *about),
    ]


def test_stretches_are_the_samples_of_the_whole_file(utterances):
    path = utterances[0].path
    whole, own = read_audio(path), [u for u in utterances if u.path == path]
    found = list(stretches(path, own))
    assert sorted((u.start, u.speed) for u, _ in found) == sorted((u.start, u.speed) for u in own)
    for u, samples in found:
        np.testing.assert_array_equal(samples, whole[u.start : u.end])


def test_every_row_is_the_teachers_vector_of_the_loudest_stretch(utterances):
    from rtspk.kernels.mel import log_mel

    rows, done = numbered(utterances), []
    table = teach(rows, Mean(), 32_000, lambda *at: done.append(at), threads=2)
    assert table.dtype == np.int8
    assert table.shape == (6, 80)
    assert done[-1] == (6, 6)
    for row, u in enumerate(utterances[:3]):
        crop = loudest(read_audio(u.path)[u.start : u.end], 32_000)
        wanted = Mean.vector(log_mel(crop))
        assert table[row] / np.linalg.norm(table[row].astype(float)) == pytest.approx(wanted, abs=0.005)
    assert not np.array_equal(table[3], table[1])
    assert not table[4:].any()


def test_rows_are_kept_and_new_ones_come_behind_them(utterances):
    from dataclasses import replace

    given = [replace(utterances[0], target=5), *utterances[1:3]]
    assert [u.target for u in numbered(given)] == [5, 6, 7]
    assert [u.target for u in numbered(utterances[:3])] == [0, 1, 2]


def test_tables_of_other_teachers_are_kept_and_filled_up(tmp_path):
    one, two = np.ones((3, 4), np.int8), np.full((5, 2), 2, np.int8)
    assert write_targets(tmp_path / "one.npz", "one", one) == ["one"]
    assert write_targets(tmp_path / "both.npz", "two", two, tmp_path / "one.npz") == ["one", "two"]
    with np.load(tmp_path / "both.npz") as tables:
        np.testing.assert_array_equal(tables["one"], np.pad(one, ((0, 2), (0, 0))))
        np.testing.assert_array_equal(tables["two"], two)


def test_what_is_no_table_is_not_added_to(tmp_path):
    (tmp_path / "bad.npz").write_text("no table")
    with pytest.raises(FormatError, match=r"bad\.npz"):
        write_targets(tmp_path / "out.npz", "one", np.ones((1, 1), np.int8), tmp_path / "bad.npz")
    assert not (tmp_path / "out.npz").exists()
