"""The last seconds as feature rows: the newest are kept, what is not known is zero."""

import numpy as np

from rtspk.engine.rows import RAW_ROW, Rows, raw_rows
from rtspk.kernels.mel import MelConfig, log_mel


def test_the_kept_rows_are_the_last_of_the_whole_file():
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    whole = log_mel(sound)
    rows = Rows.empty(MelConfig(), 30)
    for start in range(0, len(sound), 700):
        rows.push(sound[start : start + 700])
        assert rows.kept.shape == (30, 80)
    assert (rows.end, rows.oldest) == (len(whole), len(whole) - 30)
    assert np.array_equal(rows.between(rows.oldest, rows.end), whole[-30:])


def test_more_at_once_than_is_kept_leaves_the_last():
    sound = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    rows = Rows.empty(MelConfig(), 10)
    rows.push(sound)
    assert np.array_equal(rows.kept, log_mel(sound)[-10:])


def test_rows_that_are_not_known_are_zero():
    rows = Rows.empty(MelConfig(), 10)
    rows.push(np.ones(400 + 160, np.float32))  # two rows
    around = rows.between(-2, 4)
    assert not around[[0, 1, 4, 5]].any()
    assert around[[2, 3]].any()


def test_rows_that_are_forgotten_are_zero_and_those_behind_them_where_they_belong():
    sound = np.random.default_rng(2).normal(0, 0.1, 400 + 19 * 160).astype(np.float32)
    rows = Rows.empty(MelConfig(), 5)
    assert rows.oldest == 0
    rows.push(sound)
    assert (rows.oldest, rows.end) == (15, 20)
    around = rows.between(12, 22)
    assert not around[[0, 1, 2, 8, 9]].any()
    assert np.array_equal(around[3:8], log_mel(sound)[15:])


def test_rows_of_samples_are_the_whole_ones():
    sound = np.arange(3 * RAW_ROW + 7, dtype=np.float32)
    assert np.array_equal(raw_rows(sound), sound[: 3 * RAW_ROW].reshape(3, RAW_ROW))
    assert raw_rows(sound[: RAW_ROW - 1]).shape == (0, RAW_ROW)
