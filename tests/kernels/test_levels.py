"""Numbers are stored as the nearest levels, and read back as what these stand for."""

import numpy as np
import pytest

from rtspk.kernels.levels import read_bytes, read_words, store_bytes, store_words

BORDER = 7


@pytest.mark.parametrize(("store", "kind"), [(store_bytes, np.uint8), (store_words, np.int16)])
@pytest.mark.parametrize("nought", [0, 93, 255])
def test_numbers_are_stored_as_the_nearest_level(store, kind, nought):
    rng = np.random.default_rng(nought)
    level = np.float32(0.0371)
    rows = rng.normal(0, 5, (9, 13)).astype(np.float32)
    rows[0, :4] = (np.arange(4) + np.float32(0.5)) * level  # of two that are as near the even one
    rows[1, :4] = -np.inf, np.inf, -1e30, 1e30
    out = np.full((12, 15, 1), BORDER, kind)
    store(rows, level, nought, out)
    wanted = np.clip(np.rint(rows / level), -nought, 255 - nought) + nought
    assert np.array_equal(out[1:10, 1:14, 0], wanted)
    out[1:10, 1:14] = BORDER
    assert (out == BORDER).all()


@pytest.mark.parametrize(("store", "kind"), [(store_bytes, np.uint8), (store_words, np.int16)])
def test_what_is_no_number_is_stored_as_the_least(store, kind):
    out = np.full((4, 5, 1), BORDER, kind)
    store(np.full((2, 3), np.nan, np.float32), np.float32(0.1), 93, out)
    assert (out[1:3, 1:4] == 0).all()


@pytest.mark.parametrize(("read", "kind"), [(read_bytes, np.uint8), (read_words, np.int16)])
def test_frames_hold_all_places_of_a_channel_one_behind_the_other(read, kind):
    x = np.random.default_rng(0).integers(0, 256, (8, 13, 32)).astype(kind)
    level, out = np.float32(0.013), np.zeros((5, 32 * 10), np.float32)
    read(x, 93, level, out)
    inside = (x[1:6, 1:11].astype(np.float32) - 93) * level
    assert np.array_equal(out, inside.transpose(0, 2, 1).reshape(5, -1))
