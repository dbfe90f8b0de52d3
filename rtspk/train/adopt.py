"""pyannote's segmenter to what the engine runs: its ONNX file taken apart where a stream goes on, and a card.

Its network (PyanNet) hears samples: filters (SincNet, arXiv:1808.00158), convolutions with norms over time,
recurrences in both directions, and layers that tell seven classes apart. The parts become files of their
own, so that the engine computes only what is new in a hop; see `rtspk.engine.recurrent`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rtspk.audio import read_audio
from rtspk.data import CONVERSATION
from rtspk.engine.eight_bits import Tables, in_eight_bits
from rtspk.engine.filters import halves
from rtspk.engine.powerset import CLASSES
from rtspk.engine.recurrence import DIRECTIONS, STATES
from rtspk.engine.recurrent import PARTS
from rtspk.errors import ModelError
from rtspk.files import bytes_of, make_folder, write_atomically
from rtspk.kernels.convolution import POOLED, SLOPE
from rtspk.train.card import identity_of
from rtspk.types import FloatArray, samples_of

if TYPE_CHECKING:
    import onnx

__all__ = ["Weights", "adopt_segmenter", "card_text", "read_weights", "recurrence_tables", "write_parts"]

SECONDS: float = 10.0  # what pyannote's segmenters hear at once
SMALL: float = 1e-5  # added to variances
LOUDER: float = 1.25  # room for sounds that are louder than the conversation (bench/LOG.md)
# What such a network has beside its filters and recurrences.
KINDS = {"InstanceNormalization": 4, "Conv": 2, "MatMul": 3, "MaxPool": 3, "LogSoftmax": 1}


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
    weights = read_weights(path)
    parts = {
        "filters.npz": _filters(weights),
        "convolutions.npz": _convolutions(weights),
        "recurrence.npz": recurrence_tables(weights.recurrences, weights.layers),
    }
    assert tuple(parts) == PARTS
    return write_parts(out, path.stem, parts, licence, f"rtspk export {path.name}")


def write_parts(
    out: Path, name: str, parts: Mapping[str, bytes], licence: str, source: str, refresh: int = 2
) -> str:
    """Write the parts of a segmenter and its card into a folder, made where it is missing; returns its id."""
    identity = identity_of(name, *parts.values())
    make_folder(out)
    for file, content in parts.items():
        write_atomically(out / file, content)
    write_atomically(out / "card.toml", card_text(identity, licence, source, refresh).encode())
    return identity


def card_text(identity: str, licence: str, source: str, refresh: int = 2) -> str:
    """The card of a segmenter of such parts; `refresh` is hops between windows that are heard as a whole."""
    lines = [
        "# How this model is fed, and where it comes from.",
        f"id = {json.dumps(identity, ensure_ascii=False)}",
        f'file = "{PARTS[-1]}"',
        f"licence = {json.dumps(licence, ensure_ascii=False)}",
        f"source = {json.dumps(source, ensure_ascii=False)}",
        f"seconds = {SECONDS:g}",
        'input = "samples"',
        f"refresh = {refresh}",
        "memory = 0.0",  # windows of ten seconds are best taken as they are, and below 0.8 barks are
        "birth_certainty = 0.8",  # people (bench/LOG.md)
    ]
    return "\n".join(lines) + "\n"


def read_weights(path: Path) -> Weights:
    """What pyannote's network in an ONNX file is made of; ModelError where it is none."""
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
    try:
        halves(read.filters[:, 0])
    except ValueError as error:
        raise ModelError(
            f"wanted even filters of 251 samples and odd ones behind them in {path}, got others"
        ) from error
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


def _filters(weights: Weights) -> bytes:
    """The tables of `rtspk.engine.filters`."""
    scale, offset = weights.wave
    even, odd = (half.astype(np.float16) for half in halves(weights.filters[:, 0]))
    return _file({"even": even, "odd": odd, "lift": np.array(offset / scale, np.float32)})


def _convolutions(weights: Weights) -> bytes:
    """The tables of `rtspk.engine.convolutions`; how loud it becomes is learnt from a conversation."""
    tables: Tables = {"level": np.array(abs(weights.wave[0]), np.float32)}
    most = _most(weights)
    for number, (scale, offset) in enumerate(weights.norms):
        tables[f"norm{number}_scale"], tables[f"norm{number}_offset"] = scale, offset
        if number == len(weights.convolutions):
            break
        weight, _ = weights.convolutions[number]  # a bias is a mean, which the next norm takes away
        taken = (weight * most[number][:, None]).transpose(0, 2, 1)  # (outputs, taps, inputs)
        name, (rows, scales) = f"convolution{number}", in_eight_bits(taken.reshape(len(taken), -1))
        tables[f"{name}_weights"], tables[f"{name}_scales"] = rows.reshape(taken.shape), scales
        tables[f"{name}_most"] = most[number]
    return _file(tables)


def _most(weights: Weights) -> list[FloatArray]:
    """The most that each channel of each convolution is expected to hear, float32 [shape=(inputs,)]."""
    sound, length = read_audio(CONVERSATION), samples_of(SECONDS)
    most = [np.full(weight.shape[1], SMALL, np.float32) for weight, _ in weights.convolutions]
    for start in range(0, len(sound) - length + 1, length // 2):
        samples = sound[start : start + length]
        filters = weights.filters[:, 0].T
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + SMALL) * weights.wave[0]
        x = np.abs(sliding_window_view(samples + weights.wave[1], len(filters))[::10] @ filters)
        for number, (weight, _) in enumerate(weights.convolutions):
            x = _largest(x)
            scale, offset = weights.norms[number]
            x = (x - x.mean(0)) / np.sqrt(x.var(0) + SMALL) * scale + offset
            x = np.maximum(x, SLOPE * x)
            most[number] = np.maximum(most[number], LOUDER * x.max(0))
            heard = sliding_window_view(x, weight.shape[2], axis=0)  # (places, inputs, taps)
            x = heard.reshape(len(heard), -1) @ weight.reshape(len(weight), -1).T
    return most


def _largest(x: FloatArray) -> FloatArray:
    """Of each three places."""
    largest: FloatArray = x[: len(x) - len(x) % POOLED].reshape(-1, POOLED, x.shape[1]).max(1)
    return largest


def recurrence_tables(recurrences: list[list[FloatArray]], layers: list[list[FloatArray]]) -> bytes:
    """The tables of `rtspk.engine.recurrence`, in eight bits where they are matrices; see `Weights`."""
    tables: Tables = {}

    def matrix(name: str, table: FloatArray) -> None:
        rows, scales = in_eight_bits(table.reshape(-1, table.shape[-1]))
        tables[f"{name}_weights"], tables[f"{name}_scales"] = (
            rows.reshape(table.shape),
            scales.reshape(table.shape[:-1]),
        )

    for number, (inner, recurrent, bias) in enumerate(recurrences):
        matrix(f"gates{number}", inner.reshape(-1, inner.shape[-1]))  # those of both directions
        tables[f"gates{number}_bias"] = bias.reshape(DIRECTIONS, 2, -1).sum(1).reshape(-1)
        matrix(f"recurrent{number}", recurrent)
    for number, (weight, bias) in enumerate(layers):
        matrix(f"dense{number}", weight.T)
        tables[f"dense{number}_bias"] = bias
    return _file(tables)


def _file(tables: Tables) -> bytes:
    return bytes_of(lambda file: np.savez(file, allow_pickle=False, **tables))
