"""A trunk in eight bits as the tables that kernels of our own take (`rtspk.engine.picture_network`)."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.eight_bits import Tables
from rtspk.files import bytes_of
from rtspk.types import FloatArray

if TYPE_CHECKING:
    import onnx

__all__ = ["read_trunk", "trunk_tables"]

AROUND = {"Shape", "Unsqueeze", "Concat", "Transpose", "Reshape"}  # what else such a file does
TURN = [0, 2, 1, 3]  # (batch, channels, rows, places) at the end: frames hold all channels of a row


def trunk_tables(network: bytes) -> bytes | None:
    """The tables' file, or nothing where the network is of another make.

    Args:
        network: an ONNX file from a picture of one channel to frames
    """
    from rtspk.engine.picture_network import PictureNetwork

    try:
        tables = read_trunk(network)
        PictureNetwork(tables)
    except (ValueError, LookupError):
        return None
    return bytes_of(lambda file: np.savez_compressed(file, allow_pickle=False, **tables))


def read_trunk(network: bytes) -> Tables:
    """The tables of `rtspk.engine.picture_network.PictureNetwork`.

    Raises:
        ValueError, LookupError: something in the network is not in eight bits, or has no place in tables.
    """
    import onnx

    graph = onnx.load_from_string(network).graph
    numbers = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    nodes = list(graph.node)
    sums = {node.input[0]: node for node in nodes if node.op_type == "QLinearAdd"}
    (first,) = (node for node in nodes if node.op_type == "QuantizeLinear")
    ready = {first.output[0]: 0}  # pictures by name
    zeros = [[numbers[first.input[2]]] * 2]
    tables: Tables = {}
    steps: list[list[int]] = []
    ratios: list[FloatArray] = []
    waiting = [node for node in nodes if node.op_type == "QLinearConv"]
    while waiting:
        node = next((one for one in waiting if _heard(one, sums) <= ready.keys()), None)
        if node is None:
            raise ValueError(waiting[0].name)
        waiting.remove(node)
        number, added, hop = len(steps), sums.get(node.output[0]), _hop(node)
        heard_scale, _, weights, weight_scales, weight_zeros, scale, zero, bias = (
            numbers[name]
            for name in node.input[1:]  # without a bias there is one too few
        )
        if weight_zeros.any() or zero.dtype != np.uint8:
            raise ValueError(node.name)
        tables[f"weights{number}"] = np.ascontiguousarray(weights.transpose(0, 2, 3, 1))
        tables[f"bias{number}"] = bias
        # In this order, as ONNX Runtime does it: it rounds each time.
        tables[f"scales{number}"] = np.asarray(heard_scale * weight_scales / scale, np.float32)
        name, end = node.output[0], zero
        other, factors = -1, np.zeros(3, np.float32)
        if added is not None:
            other, factors, end = ready[added.input[3]], *_sum(added, numbers)
            name = added.output[0]
        steps.append([ready[node.input[0]], other, hop])
        ratios.append(factors)
        zeros.append([zero, end])
        ready[name] = len(steps)
    (final,) = (node for node in nodes if node.op_type == "DequantizeLinear" and _last(node, ready, steps))
    turns = [list(node.attribute[0].ints) for node in nodes if node.op_type == "Transpose"]
    known = AROUND | {"QuantizeLinear", "QLinearConv", "QLinearAdd", "DequantizeLinear"}
    added_up = sum(other >= 0 for _, other, _ in steps)
    if {node.op_type for node in nodes} - known or len(sums) != added_up or turns != [TURN]:
        raise ValueError("nodes")
    tables["steps"] = np.array(steps, np.int16)
    tables["zeros"] = np.array(zeros, np.uint8)
    tables["ratios"] = np.array(ratios, np.float32)
    tables["levels"] = np.array([numbers[first.input[1]], numbers[final.input[1]]], np.float32)
    return tables


def _heard(node: "onnx.NodeProto", sums: dict[str, "onnx.NodeProto"]) -> set[str]:
    """The pictures that a convolution wants, with the one that is added to its answers."""
    added = sums.get(node.output[0])
    return {node.input[0]} | (set() if added is None else {added.input[3]})


def _last(node: "onnx.NodeProto", ready: dict[str, int], steps: list[list[int]]) -> bool:
    return ready.get(node.input[0]) == len(steps)


def _hop(node: "onnx.NodeProto") -> int:
    """Of a convolution whose answers are as many as its inputs, or half."""
    attributes = {one.name: one for one in node.attribute}
    hops, pads, dilations = (list(attributes[name].ints) for name in ("strides", "pads", "dilations"))
    taps = list(attributes["kernel_shape"].ints) if "kernel_shape" in attributes else [2 * pads[0] + 1] * 2
    straight = dilations == [1, 1] and len(set(hops)) == 1 and attributes["group"].i == 1
    if not straight or pads != [taps[0] // 2] * 4 or len(set(taps)) != 1:
        raise ValueError(node.name)
    return int(hops[0])


def _sum(node: "onnx.NodeProto", numbers: dict[str, NDArray[Any]]) -> tuple[FloatArray, Any]:
    """What a sum does to the first and to the other, and begins with, as in ONNX Runtime; and its zero."""
    (scale, zero), (other_scale, other_zero), (out_scale, out_zero) = (
        (np.float32(numbers[node.input[i]]), np.float32(numbers[node.input[i + 1]])) for i in (1, 4, 6)
    )
    own, other = scale / out_scale, other_scale / out_scale
    return np.array([own, other, out_zero - (own * zero + other * other_zero)], np.float32), out_zero
