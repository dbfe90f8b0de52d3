"""A public segmenter on samples becomes a folder that the engine loads."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="public networks are ONNX files")
pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.segmenter import load_segmenter  # noqa: E402 - behind the skips
from rtspk.errors import ModelError  # noqa: E402
from rtspk.train.adopt import adopt_segmenter  # noqa: E402

HOP = 270  # samples, of the network's own frames


def public(path, classes=7):
    """Louder samples make class 1 likelier than class 0; the others are unlikely."""
    weight = np.zeros((classes, 1, HOP), np.float32)
    weight[1] = 1.0
    bias = np.full(classes, -9.0, np.float32)
    bias[0] = 5.0
    tables = [onnx.numpy_helper.from_array(value, name) for name, value in (("w", weight), ("b", bias))]
    nodes = [
        onnx.helper.make_node("Abs", ["x"], ["a"]),
        onnx.helper.make_node("Conv", ["a", "w", "b"], ["c"], strides=[HOP]),
        onnx.helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 1]),
        onnx.helper.make_node("LogSoftmax", ["t"], ["y"], axis=-1),
    ]
    kind = onnx.TensorProto.FLOAT
    ends = (
        [onnx.helper.make_tensor_value_info("x", kind, ["batch", 1, "n"])],
        [onnx.helper.make_tensor_value_info("y", kind, ["batch", "frames", classes])],
    )
    graph = onnx.helper.make_graph(nodes, "public", *ends, tables)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def test_a_public_segmenter_hears_who_speaks_when(tmp_path):
    identity = adopt_segmenter(public(tmp_path / "loud.onnx"), tmp_path / "model", "MIT")
    segmenter = load_segmenter(tmp_path / "model")
    assert (segmenter.card.id, segmenter.card.licence) == (identity, "MIT")
    assert identity.startswith("loud-")
    sound = np.full(40 * 640, 1e-3, np.float32)
    sound[10 * 640 : 25 * 640] = 0.5
    heard = segmenter.speakers(segmenter.rows(sound))
    assert heard.shape == (40, 3)
    assert (heard[11:24, 0] > 0.9).all()
    assert not (heard[[*range(9), *range(26, 40)]] > 0.1).any()
    assert segmenter.speech(segmenter.rows(np.tile(sound, 30))).shape == (1200, 2)


def test_another_network_is_refused(tmp_path):
    with pytest.raises(ModelError, match="wanted 7 classes a frame of"):
        adopt_segmenter(public(tmp_path / "five.onnx", 5), tmp_path / "model", "MIT")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="wanted an ONNX file at"):
        adopt_segmenter(tmp_path / "text.onnx", tmp_path / "model", "MIT")
    assert not (tmp_path / "model").exists()
