"""pyannote's segmenter to what the engine runs: its ONNX file taken apart where a stream goes on, and a card.

Its network (PyanNet) hears samples: filters (SincNet, arXiv:1808.00158), convolutions with norms over time,
recurrences in both directions, and layers that tell seven classes apart. The parts become networks of their
own, so that the engine computes only what is new in a hop; see `rtspk.engine.recurrent`.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtspk.engine.powerset import CLASSES
from rtspk.engine.recurrence import DIRECTIONS, SLOPE, STATES, Tables, in_eight_bits
from rtspk.engine.recurrent import PARTS
from rtspk.errors import ModelError
from rtspk.files import write_atomically
from rtspk.train.onnx_file import halved
from rtspk.types import FloatArray

if TYPE_CHECKING:
    import onnx

__all__ = ["adopt_segmenter"]

SECONDS: float = 10.0  # what pyannote's segmenters hear at once
SMALL: float = 1e-5  # added to variances
# What such a network has beside its filters and recurrences.
KINDS = {"InstanceNormalization": 4, "Conv": 2, "MatMul": 3, "MaxPool": 3, "LogSoftmax": 1}


Shapes = dict[str, tuple[int | str, ...]]  # by name; a word stands for any length


@dataclass(frozen=True, slots=True)
class Weights:
    """What a PyanNet is made of.

    wave : scale and offset of the samples' norm
    filters : float32 [shape=(80, 1, 251)]
    norms : (scale, offset) of each of three
    convolutions : (weight, bias) of the two behind the filters
    recurrences : (input, recurrent, bias) of each layer, both directions, in ONNX's order of gates
    layers : (weight, bias) of the three behind them
    """

    wave: tuple[float, float]
    filters: FloatArray
    norms: list[list[FloatArray]]
    convolutions: list[list[FloatArray]]
    recurrences: list[list[FloatArray]]
    layers: list[list[FloatArray]]


def adopt_segmenter(path: Path, out: Path, licence: str) -> str:
    """Write the network's parts and `card.toml` into a folder.

    Args:
        path: pyannote's segmentation-3.0, or another of its make, as ONNX from samples [shape=(batch, 1, n)]
            at 16 kHz to logarithms of the chances of the seven classes of `rtspk.engine.powerset`
        out: a folder, made where it is missing
        licence: of the network

    Returns:
        The model's id: the file's name and a digest of its parts.

    Raises:
        ModelError: the file is no such network.
    """
    weights = _read(path)
    parts = {
        "filters.onnx": halved(_filters(weights)),
        "whole.onnx": halved(_frames(weights, given=False)),
        "next.onnx": halved(_frames(weights, given=True)),
        "recurrence.npz": _recurrence(weights),
    }
    assert tuple(parts) == PARTS
    digest = hashlib.sha256(b"".join(parts.values())).hexdigest()
    identity = f"{path.stem}-{digest[:8]}"
    out.mkdir(parents=True, exist_ok=True)
    for name, program in parts.items():
        write_atomically(out / name, program)
    lines = [
        "# How this model is fed, and where it comes from.",
        f'id = "{identity}"',
        'file = "recurrence.npz"',
        f'licence = "{licence}"',
        f'source = "rtspk export {path.name}"',
        f"seconds = {SECONDS:g}",
        'input = "samples"',
        "memory = 0.0",  # windows of ten seconds are best taken as they are, and below 0.8 barks are
        "birth_certainty = 0.8",  # people (bench/LOG.md)
    ]
    write_atomically(out / "card.toml", ("\n".join(lines) + "\n").encode())
    return identity


def _read(path: Path) -> Weights:
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's and the system's errors have no common base
        raise ModelError(f"wanted an ONNX file at {path}, got: {error}") from error
    tables = {t.name: np.asarray(numpy_helper.to_array(t)) for t in graph.initializer}

    def weights(node: "onnx.NodeProto") -> list[FloatArray]:
        return [tables[name].astype(np.float32) for name in node.input if name in tables]

    nodes: dict[str, list[onnx.NodeProto]] = {}
    for node in _nodes(graph):
        nodes.setdefault(node.op_type, []).append(node)
    found = {kind: len(nodes.get(kind, [])) for kind in KINDS}
    filters = [w for node in nodes.get("Conv", []) for w in weights(node)[:1] if w.shape[-1] > 5]
    found["Conv"] = sum(len(weights(node)) == 2 for node in nodes.get("Conv", []))
    biases = [own[0] for node in nodes.get("Add", []) if len(own := weights(node)) == 1 and own[0].ndim == 1]
    if found != KINDS or not filters or len(biases) != 3 or "LSTM" not in nodes:
        raise ModelError(f"wanted a network like pyannote's segmentation-3.0 in {path}, got other layers")
    wave, *norms = [weights(node) for node in nodes["InstanceNormalization"]]
    read = Weights(
        (float(wave[0][0]), float(wave[1][0])),
        filters[0],
        norms,
        [own for node in nodes["Conv"] if len(own := weights(node)) == 2],
        [weights(node)[:3] for node in nodes["LSTM"]],
        [[weights(node)[0], bias] for node, bias in zip(nodes["MatMul"], biases, strict=True)],
    )
    classes = read.layers[-1][0].shape[-1]
    if classes != CLASSES:
        raise ModelError(f"wanted {CLASSES} classes a frame of {path}, got {classes}")
    hidden = read.recurrences[0][1].shape[-1]
    if hidden % STATES:
        raise ModelError(f"wanted recurrences of whole groups of {STATES} states in {path}, got {hidden}")
    return read


def _nodes(graph: "onnx.GraphProto") -> "Iterator[onnx.NodeProto]":
    """All nodes, those of branches too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


class _Graph:
    """A network in the making; what a node answers is named after its place."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._tables: list[onnx.TensorProto] = []

    def table(self, values: FloatArray | float | list[int]) -> str:
        """A constant: whole numbers where it is a list."""
        from onnx import numpy_helper

        kind = np.int64 if isinstance(values, list) else np.float32
        name = f"table_{len(self._tables)}"
        self._tables.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(
        self,
        kind: str,
        *inputs: str,
        outputs: tuple[str, ...] = (),
        **attributes: int | float | str | list[int],
    ) -> str:
        """A node; returns the name of its first answer."""
        from onnx import helper

        own = outputs or (f"value_{len(self._nodes)}",)
        node = helper.make_node(kind, list(inputs), list(own))
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self._nodes.append(node)
        return own[0]

    def finished(self, inputs: Shapes, outputs: Shapes) -> "onnx.ModelProto":
        """The network of all that was added."""
        from onnx import TensorProto, helper

        coming, going = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()]
            for side in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "rtspk", coming, going, self._tables)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _filters(weights: Weights) -> "onnx.ModelProto":
    """Samples, their mean and deviation, to how loud each filter is in each 30 samples; not scaled yet."""
    graph = _Graph()
    scale, offset = weights.wave
    level = graph.add("Mul", "deviation", graph.table(offset / scale))
    x = graph.add("Add", graph.add("Sub", "samples", "mean"), level)
    x = graph.add("Conv", x, graph.table(weights.filters), strides=[10])
    graph.add("MaxPool", graph.add("Abs", x), outputs=("loudness",), kernel_shape=[3], strides=[3])
    inputs: Shapes = {"samples": (1, 1, "n"), "mean": (1,), "deviation": (1,)}
    return graph.finished(inputs, {"loudness": (1, len(weights.filters), "places")})


def _frames(weights: Weights, *, given: bool) -> "onnx.ModelProto":
    """Loudness of the filters to frames for the recurrences.

    Norms over time are by what is heard, and told; or by what is given, as it was told before.
    """
    graph = _Graph()
    wide = [len(scale) for scale, _ in weights.norms]
    x = graph.add("Div", graph.add("Mul", "loudness", graph.table(abs(weights.wave[0]))), "deviation")
    for number, (scale, offset) in enumerate(weights.norms):
        names = f"mean_{number}", f"scale_{number}"
        if not given:
            graph.add("ReduceMean", x, outputs=(names[0],), axes=[2])
        apart = graph.add("Sub", x, names[0])
        if not given:
            variance = graph.add("ReduceMean", graph.add("Mul", apart, apart), axes=[2])
            root = graph.add("Sqrt", graph.add("Add", variance, graph.table(SMALL)))
            graph.add("Div", graph.table(scale[:, None]), root, outputs=(names[1],))
        x = graph.add("Mul", apart, names[1])
        x = graph.add("LeakyRelu", graph.add("Add", x, graph.table(offset[:, None])), alpha=SLOPE)
        if number < len(weights.convolutions):
            weight, bias = weights.convolutions[number]
            x = graph.add("Conv", x, graph.table(weight), graph.table(bias))
            x = graph.add("MaxPool", x, kernel_shape=[3], strides=[3])
    x = graph.add("Squeeze", x, graph.table([0]))
    graph.add("Transpose", x, outputs=("frames",), perm=[1, 0])
    norms: Shapes = {}
    for number, width in enumerate(wide):
        norms |= {f"mean_{number}": (1, width, 1), f"scale_{number}": (1, width, 1)}
    inputs: Shapes = {"loudness": (1, wide[0], "places"), "deviation": (1,)}
    outputs: Shapes = {"frames": ("frames", wide[-1])}
    return graph.finished(inputs | (norms if given else {}), outputs | ({} if given else norms))


def _recurrence(weights: Weights) -> bytes:
    """The tables of `rtspk.engine.recurrence`, in eight bits where they are matrices."""
    tables: Tables = {}

    def matrix(name: str, table: FloatArray) -> None:
        rows, scales = in_eight_bits(table.reshape(-1, table.shape[-1]))
        tables[f"{name}_weights"], tables[f"{name}_scales"] = (
            rows.reshape(table.shape),
            scales.reshape(table.shape[:-1]),
        )

    for number, (inner, recurrent, bias) in enumerate(weights.recurrences):
        matrix(f"gates{number}", inner.reshape(-1, inner.shape[-1]))  # those of both directions
        tables[f"gates{number}_bias"] = bias.reshape(DIRECTIONS, 2, -1).sum(1).reshape(-1)
        matrix(f"recurrent{number}", recurrent)
    for number, (weight, bias) in enumerate(weights.layers):
        matrix(f"dense{number}", weight.T)
        tables[f"dense{number}_bias"] = bias
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **tables)
    return file.getvalue()
