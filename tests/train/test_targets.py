"""Teachers' tables: centred, of unit length, and silent where nobody heard."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import FormatError  # noqa: E402 - behind the skip
from rtspk.train.manifest import Utterance  # noqa: E402
from rtspk.train.targets import compensated, read_targets  # noqa: E402


@pytest.fixture
def table(tmp_path):
    rows = np.random.default_rng(0).integers(1, 90, (6, 5)).astype(np.int8)
    rows[3] = 0
    np.savez(tmp_path / "t.npz", one=rows)
    return tmp_path / "t.npz", rows.astype(np.float32)


def test_an_utterance_without_a_target_has_a_row_of_zeros(table):
    (read,) = read_targets(table[0], [0, 1, -1])
    assert read.shape == (7, 5)
    looked_up = read[torch.tensor([-1, 0])]
    assert not looked_up[0].any()
    assert looked_up[1].norm() == pytest.approx(1.0)


def test_rows_are_centred_on_those_that_are_used_and_none_is_counted_for_minus_one(table):
    path, rows = table
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6)
    wanted = unit[2] - unit[[0, 2]].mean(0)
    (read,) = read_targets(path, [0, 2, 2, 3, -1])
    assert read[2].numpy() == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)
    assert not read[3].any()


@pytest.mark.parametrize(
    ("rows", "wanted"), [([-1, -1], "got none"), ([6], "at least 7 rows"), ([3], "got one without")]
)
def test_a_table_that_does_not_fit_is_refused(table, rows, wanted):
    with pytest.raises(FormatError, match=wanted):
        read_targets(table[0], rows)


@pytest.mark.parametrize("content", [b"no table", b"PK\x03\x04 half", None])
def test_what_is_no_table_is_named(tmp_path, content):
    if content is None:
        with (tmp_path / "t.npz").open("wb") as file:
            np.save(file, np.ones((2, 2)))
    else:
        (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(FormatError, match=r"t\.npz"):
        read_targets(tmp_path / "t.npz", [0])


def test_what_tells_data_sets_apart_is_made_small_and_silence_stays():
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((60, 16)) * np.r_[0.0, np.ones(15)]  # the first number is the microphone's
    utterances, rows = [], []
    for speaker in range(60):
        for _ in range(2):
            sound = voices[speaker] + 0.3 * rng.standard_normal(16) * np.r_[0.0, np.ones(15)]
            sound[0] = 3.0 if speaker % 2 else -3.0
            utterances.append(
                Utterance(Path("a"), 0, 1, f"s{speaker}", f"set{speaker % 2}", "", "", "", len(rows))
            )
            rows.append(sound / np.linalg.norm(sound))
    table = torch.tensor(np.array([*rows, np.zeros(16)]), dtype=torch.float32)
    (made,) = compensated([table], utterances)
    assert made[:-1].norm(dim=1).numpy() == pytest.approx(1.0, abs=1e-5)
    assert not made[-1].any()
    assert float(made[:, 0].abs().max()) < 0.2 < float(table[:-1, 0].abs().min())


def test_a_data_set_that_a_teacher_did_not_hear_moves_nothing():
    table = torch.nn.functional.normalize(torch.tensor(np.random.default_rng(1).standard_normal((7, 4))))
    table[4:] = 0.0
    utterances = [
        Utterance(Path("a"), 0, 1, f"s{row // 2}", f"set{row // 4}", "", "", "", row) for row in range(6)
    ]
    (made,) = compensated([table.float()], utterances)
    assert torch.isfinite(made).all()
    (alone,) = compensated([table.float()], utterances[:4])
    assert torch.equal(made, alone)
    assert not made[4:].any()


def test_targets_of_nobody_known_cannot_be_compensated():
    nobody = Utterance(Path("a"), 0, 1, "", "set", "", "", "", 0)
    with pytest.raises(FormatError, match="wanted known speakers with a target"):
        compensated([torch.ones(2, 4)], [nobody])
