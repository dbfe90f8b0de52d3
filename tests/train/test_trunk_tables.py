"""The tables of a trunk are those of its ONNX file."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the torch extra")
onnx = pytest.importorskip("onnx", reason="training needs the train extra")

from rtspk.engine.embedder import BUNDLED  # noqa: E402 - behind the skip
from rtspk.train.trunk_tables import read_trunk, trunk_tables  # noqa: E402

TRUNK = BUNDLED / "embedder" / "trunk.onnx"


def test_the_tables_that_ship_are_those_of_the_trunk_that_ships(tmp_path):
    made = trunk_tables(TRUNK.read_bytes())
    assert len(made) < 3_000_000
    (tmp_path / "trunk.npz").write_bytes(made)
    with np.load(tmp_path / "trunk.npz") as own, np.load(BUNDLED / "embedder" / "trunk.npz") as shipped:
        assert set(own) == set(shipped)
        for name in own:
            assert own[name].dtype == shipped[name].dtype
            assert np.array_equal(own[name], shipped[name])


def test_a_network_of_another_make_has_no_tables():
    assert trunk_tables((BUNDLED / "embedder" / "head.onnx").read_bytes()) is None


@pytest.mark.parametrize("change", ["pads", "strides", "dilations", "group", "node", "channels", "turn"])
def test_what_tables_cannot_say_has_none(change):
    model = onnx.load_from_string(TRUNK.read_bytes())
    node = [one for one in model.graph.node if one.op_type == "QLinearConv"][4]
    attributes = {one.name: one for one in node.attribute}
    if change == "node":
        model.graph.node.append(onnx.helper.make_node("Relu", ["frames"], ["more"]))
    elif change == "turn":
        turn = next(one for one in model.graph.node if one.op_type == "Transpose")
        turn.attribute[0].ints[:] = [0, 2, 3, 1]
    elif change == "group":
        attributes["group"].i = 2
    elif change == "channels":
        weights = next(one for one in model.graph.initializer if one.name == node.input[3])
        table = onnx.numpy_helper.to_array(weights)[:15].copy()
        weights.CopyFrom(onnx.numpy_helper.from_array(table, weights.name))
    else:
        attributes[change].ints[:] = [3] * len(attributes[change].ints)
    assert trunk_tables(model.SerializeToString()) is None


def test_pictures_are_told_by_who_makes_them():
    tables = read_trunk(TRUNK.read_bytes())
    steps = tables["steps"].tolist()
    assert steps[:3] == [[0, -1, 1], [1, -1, 1], [2, 1, 1]]
    assert sum(added >= 0 for _, added, _ in steps) == 16
    assert all(tables[f"weights{number}"].dtype == np.int8 for number in range(len(steps)))
