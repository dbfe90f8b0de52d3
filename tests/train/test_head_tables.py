"""The tables of a head are those of its weights."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the torch extra")

from safetensors import safe_open
from safetensors.torch import load_file

from rtspk.engine.embedder import BUNDLED
from rtspk.train.head_tables import head_tables, read_head

FOLDER = BUNDLED / "embedder"


@pytest.fixture(scope="module")
def shipped():
    """The weights that ship, their heads, mean and compensation."""
    values = load_file(FOLDER / "weights.safetensors")
    with safe_open(FOLDER / "weights.safetensors", "pt") as file:
        heads = json.loads(file.metadata()["config"])["conformer"]["heads"]
    weights = {name.removeprefix("network."): one for name, one in values.items()}
    return weights, heads, values["mean"], values["compensation"]


def test_the_tables_that_ship_are_those_of_the_weights_that_ship(shipped):
    made = read_head(*shipped)
    with np.load(FOLDER / "head.npz") as own:
        assert set(made) == set(own)
        for name in own:
            assert np.array_equal(own[name], made[name]), name


def test_a_head_that_pools_otherwise_has_no_tables(shipped):
    weights, *others = shipped
    assert head_tables(weights, *others) is not None
    assert head_tables({name: one for name, one in weights.items() if "pooling" not in name}, *others) is None
    means = weights | {"pooling.inner.weight": weights["pooling.inner.weight"][:, :192]}
    assert head_tables(means, *others) is None


def test_a_head_whose_widths_are_no_whole_tiles_has_none(shipped):
    weights, _, *others = shipped
    assert head_tables(weights, 5, *others) is None
