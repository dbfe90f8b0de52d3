"""The filters of a segmenter on samples, from the tables that they are kept in."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from rtspk.engine.filters import Filters, halves, places_of
from rtspk.engine.segmenter import BUNDLED
from rtspk.errors import ModelError

TABLES = BUNDLED / "filters.npz"


@pytest.fixture(scope="module")
def tables():
    with np.load(TABLES) as file:
        return dict(file)


def filters_of(count, others):
    half = np.random.default_rng(0).normal(0, 1, (count + others, 1 + 125)).astype(np.float32)
    half[count:, 0] = 0.0
    signs = np.where(np.arange(len(half)) < count, 1.0, -1.0)[:, None]
    return np.concatenate([signs * half[:, :0:-1], half], 1).astype(np.float32), half


@pytest.mark.parametrize("seconds", [0.5, 0.53, 2.0])
def test_the_bundled_ones_are_as_loud_as_the_norm_and_products_say(tables, conversation, seconds):
    samples = conversation[: int(16_000 * seconds)]
    mean, deviation = 0.003, 0.07
    filters = [
        np.concatenate([sign * half[:, :0:-1], half], 1).astype(np.float64)
        for half, sign in ((tables["even"], 1), (tables["odd"], -1))
    ]
    heard = samples.astype(np.float64) - mean + deviation * float(tables["lift"])
    said = np.abs(sliding_window_view(heard, 251)[::10] @ np.concatenate(filters).T)
    wanted = said[: len(said) // 3 * 3].reshape(-1, 3, 80).max(1)
    loud = Filters(tables)(samples, mean, deviation)
    assert loud.shape == wanted.shape == (places_of(len(samples)), 80)
    assert np.abs(loud - wanted).max() < 1e-5 * wanted.max()


@pytest.mark.parametrize(("samples", "places"), [(0, 0), (250, 0), (270, 0), (271, 1), (300, 1), (301, 2)])
def test_places_are_whole(tables, samples, places):
    assert places_of(samples) == places
    if samples:
        assert len(Filters(tables)(np.ones(samples, np.float32), 0.0, 1.0)) == places


@pytest.mark.parametrize(("count", "others"), [(40, 40), (3, 2), (0, 4), (4, 0)])
def test_halves_are_what_filters_have_from_their_middles_on(count, others):
    filters, half = filters_of(count, others)
    even, odd = halves(filters)
    assert np.array_equal(even, half[:count])
    assert np.array_equal(odd, half[count:])


def test_other_filters_are_refused():
    filters, _ = filters_of(3, 3)
    for wrong in (
        filters[::-1],  # odd ones first
        filters[:, 1:],
        np.random.default_rng(0).normal(0, 1, (6, 251)).astype(np.float32),
        filters_of(49, 3)[0],
        filters_of(3, 49)[0],
    ):
        with pytest.raises(ValueError, match=r"^"):
            halves(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"even": np.zeros((49, 126), np.float16)},
        {"odd": np.zeros((3, 125), np.float16)},
        {"odd": np.zeros(126, np.float16)},
        {"lift": np.zeros(2, np.float32)},
        {"even": None},
    ],
)
def test_damaged_tables_are_refused(tables, tmp_path, change):
    kept = {name: table for name, table in (tables | change).items() if table is not None}
    np.savez(tmp_path / "filters.npz", **kept)
    with pytest.raises(ModelError, match=r"wanted the parts of a segmenter on samples in .*filters\.npz"):
        Filters.read(tmp_path / "filters.npz")
