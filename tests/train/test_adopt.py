"""pyannote's segmenter, taken apart, answers as it did whole; other networks are refused."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="public networks are ONNX files")
pytest.importorskip("torch", reason="training needs the torch extra")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - behind the skips

from rtspk.audio import read_audio  # noqa: E402
from rtspk.data import CONVERSATION  # noqa: E402
from rtspk.engine.network import Network  # noqa: E402
from rtspk.engine.recurrent import PARTS, RecurrentNetwork  # noqa: E402
from rtspk.engine.segmenter import BUNDLED, load_segmenter  # noqa: E402
from rtspk.errors import ModelError  # noqa: E402
from rtspk.train.adopt import adopt_segmenter  # noqa: E402
from rtspk.types import samples_of  # noqa: E402

FILTERS, CHANNELS, HIDDEN, LAYERS = 6, 5, 16, 2


def public(path, classes=7, hidden=HIDDEN):
    """A small network of pyannote's make with weights of chance."""
    rng = np.random.default_rng(0)
    nodes, tables = [], []

    def table(*shape, values=None):
        name = f"t{len(tables)}"
        own = rng.normal(0, 0.3, shape).astype(np.float32) if values is None else values
        tables.append(numpy_helper.from_array(own, name))
        return name

    def add(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"v{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    wave = [table(values=np.array([value], np.float32)) for value in (0.9, 0.02)]
    x = add("InstanceNormalization", "x", *wave, epsilon=1e-5)
    x = add("Abs", add("Conv", x, table(FILTERS, 1, 251), strides=[10]))
    width = FILTERS
    for stage in range(3):
        x = add("MaxPool", x, kernel_shape=[3], strides=[3])
        x = add("InstanceNormalization", x, table(width), table(width), epsilon=1e-5)
        x = add("LeakyRelu", x, alpha=0.01)
        if stage < 2:
            x = add("Conv", x, table(CHANNELS, width, 5), table(CHANNELS))
            width = CHANNELS
    x = add("Transpose", x, perm=[2, 0, 1])
    for _ in range(LAYERS):
        weights = table(2, 4 * hidden, width), table(2, 4 * hidden, hidden), table(2, 8 * hidden)
        x = add("LSTM", x, *weights, hidden_size=hidden, direction="bidirectional")
        x = add("Transpose", x, perm=[0, 2, 1, 3])
        x = add("Reshape", x, table(values=np.array([0, 0, -1])))
        width = 2 * hidden
    x = add("Transpose", x, perm=[1, 0, 2])
    for size in (8, 8, classes):
        x = add("Add", table(size), add("MatMul", x, table(width, size)))
        x = add("LeakyRelu", x, alpha=0.01) if size == 8 else x
        width = size
    nodes.append(helper.make_node("LogSoftmax", [x], ["y"], axis=-1))
    ends = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "frames", classes])],
    )
    graph = helper.make_graph(nodes, "public", *ends, tables)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def answers(public_file, folder, sound):
    """Of the network as it was, and of its parts."""
    whole = Network(public_file)
    return np.exp(whole.run({whole.inputs[0]: sound[None, None]})[0][0]), RecurrentNetwork(folder).classes(
        sound
    )


def test_the_parts_answer_as_the_network_did(tmp_path):
    file = public(tmp_path / "small.onnx")
    identity = adopt_segmenter(file, tmp_path / "model", "MIT")
    assert identity.startswith("small-")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {*PARTS, "card.toml"}
    segmenter = load_segmenter(tmp_path / "model")
    assert (segmenter.card.id, segmenter.card.licence) == (identity, "MIT")
    sound = np.random.default_rng(0).normal(0.01, 0.1, 80_000).astype(np.float32)
    was, now = answers(file, tmp_path / "model", sound)
    assert was.shape == now.shape
    assert np.abs(was - now).max() < 5e-3  # products in eight bits


def test_what_ships_answers_as_the_public_network_does(shared):
    sound = read_audio(CONVERSATION)[: samples_of(10.0)]
    was, now = answers(shared / "models" / "segmentation-3.0.onnx", BUNDLED, sound)
    assert was.shape == now.shape
    assert np.abs(was - now).mean() < 2e-3
    assert (was.argmax(1) == now.argmax(1)).mean() > 0.99


def test_another_network_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"wanted 7 classes a frame of .*, got 5"):
        adopt_segmenter(public(tmp_path / "five.onnx", 5), tmp_path / "model", "MIT")
    with pytest.raises(ModelError, match=r"wanted recurrences of whole groups of 16 states .*, got 4"):
        adopt_segmenter(public(tmp_path / "four.onnx", hidden=4), tmp_path / "model", "MIT")
    other = onnx.load(public(tmp_path / "other.onnx"))
    del other.graph.node[-3:]
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"wanted a network like pyannote's .*, got other layers"):
        adopt_segmenter(tmp_path / "other.onnx", tmp_path / "model", "MIT")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="wanted an ONNX file at"):
        adopt_segmenter(tmp_path / "text.onnx", tmp_path / "model", "MIT")
    assert not (tmp_path / "model").exists()
