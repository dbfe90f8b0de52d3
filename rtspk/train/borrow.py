"""Begin with a public speaker network: a ResNet-34 in ONNX, its blocks made narrower by least squares.

Which inner channels stay, and the convolution that reads them, are chosen so that a block's answer changes
least (channel pruning after arXiv:1707.06168), block after block on what the narrower ones before it give.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.engine.residual_conformer import Residual, ResidualConformer
from rtspk.errors import ConfigError, ModelError

__all__ = ["borrow"]

PLACES: int = 60_000  # of all pictures together, at which a block's answer is compared
DAMPING: float = 1e-4  # of the mean power of what is fitted on


@torch.no_grad()
def borrow(
    network: ResidualConformer, path: Path, features: Tensor, mask: Tensor, vectors: Sequence[Tensor]
) -> tuple[Tensor, int]:
    """Fill a network's trunk and projection from an ONNX file.

    Args:
        network: any weights; its Conformer keeps them
        path: convolutions in the order of a ResNet (norms folded in), then one Gemm over mean and deviation
        features: float32 [shape=(B, T, mels)], speech to compare on
        mask: float32 [shape=(B, T)]
        vectors: tables of voices, of which one is of the public network's own width: in the directions in
            which these voices differ most the network's vectors are projected

    Returns:
        the directions, float32 [shape=(dimension, own width)], and the number of that table

    Raises:
        ModelError: the file is no ONNX.
        ConfigError: it is no such network, or no table is of its width.
    """
    convolutions, (weight, bias) = _read(path)
    wanted = 1 + sum(2 + isinstance(b.shortcut, nn.Conv2d) for b in network.layers if isinstance(b, Residual))
    if len(convolutions) != wanted:
        raise ConfigError(f"wanted {wanted} convolutions in {path}, got {len(convolutions)}")
    widths = [table.shape[1] for table in vectors]
    if len(weight) not in widths:
        found = ", ".join(map(str, widths)) or "none"
        raise ConfigError(f"wanted a table of {len(weight)} numbers a voice beside {path}, got {found}")
    own_table = widths.index(len(weight))
    if min(vectors[own_table].shape) < network.dimension:
        raise ConfigError(
            f"wanted at least {network.dimension} voices of as many numbers beside {path}, "
            f"got {len(vectors[own_table])} of {len(weight)}"
        )
    at = iter(convolutions)
    try:
        _fill(network.stem, next(at))
        mean = (features * mask.unsqueeze(-1)).sum(1, keepdim=True) / mask.sum(1)[:, None, None]
        x = ((features - mean) * mask.unsqueeze(-1)).unsqueeze(1)
        own = x = F.relu(network.stem(x))  # what the narrow network hears, and what the public one does
        for block in network.layers:
            assert isinstance(block, Residual)
            full = _whole(block, at)
            narrow(block, full, own, full(x))
            x, own = full(x), block(own)
        directions = torch.linalg.svd(vectors[own_table], full_matrices=False).Vh[: network.dimension]
        network.project.weight.copy_(directions @ weight)
        network.project.bias.copy_(directions @ bias)
        network.project.bias.sub_(network(features, mask).mean(0))
    except RuntimeError as error:
        raise ConfigError(
            f"wanted a ResNet-34 like the network in {path}, got other layers: {error}"
        ) from error
    return directions, own_table


def narrow(block: Residual, full: Residual, x: Tensor, wanted: Tensor) -> None:
    """Make a block answer as nearly as it can what a wider one does.

    Args:
        block: takes the wider one's weights
        full: the wider block
        x: what the narrow block is given, (B, C, T, M)
        wanted: what the wider block answers, on what it is given itself
    """
    if isinstance(full.shortcut, nn.Conv2d) and isinstance(block.shortcut, nn.Conv2d):
        block.shortcut.load_state_dict(full.shortcut.state_dict())
    inner = F.relu(full.first(x))  # (B, inner, T, M)
    strength = full.second.weight.square().sum((0, 2, 3)) * inner.var((0, 2, 3))
    kept = strength.argsort(descending=True)[: block.first.out_channels].sort().values
    block.first.weight.copy_(full.first.weight[kept])
    assert block.first.bias is not None
    assert full.first.bias is not None
    assert block.second.bias is not None
    block.first.bias.copy_(full.first.bias[kept])
    before = full.second(inner) + full.shortcut(x)  # without the narrowing, on this input
    target = torch.where(wanted > 0, wanted, before.clamp(max=0.0)) - block.shortcut(x)
    heard = F.unfold(inner[:, kept], 3, padding=1).transpose(1, 2).flatten(0, 1)  # (places, kept * 9)
    target = target.flatten(2).transpose(1, 2).flatten(0, 1)  # (places, outputs)
    chosen = torch.randperm(len(heard), generator=torch.Generator().manual_seed(0))[:PLACES]
    a = torch.cat([heard[chosen], torch.ones(len(chosen), 1)], 1).double()
    b = target[chosen].double()
    power = a.T @ a
    power += DAMPING * power.diagonal().mean() * torch.eye(len(power), dtype=power.dtype)
    fitted = torch.linalg.solve(power, a.T @ b).float()  # (kept * 9 + 1, outputs)
    block.second.weight.copy_(fitted[:-1].T.reshape(block.second.weight.shape))
    block.second.bias.copy_(fitted[-1])


def _whole(block: Residual, at: Iterator[tuple[Tensor, Tensor]]) -> Residual:
    """The public network's block that stands where this one does."""
    first = next(at)
    rest = [next(at)]
    if isinstance(block.shortcut, nn.Conv2d):
        rest.append(next(at))
        rest.sort(key=lambda pair: -pair[0].shape[-1])  # the shortcut is of 1 x 1
    inputs, outputs = block.first.in_channels, block.second.out_channels
    full = Residual(inputs, first[0].shape[0], outputs, block.first.stride[0])
    _fill(full.first, first)
    _fill(full.second, rest[0])
    if isinstance(full.shortcut, nn.Conv2d):
        _fill(full.shortcut, rest[1])
    return full


def _fill(convolution: nn.Conv2d, weights: tuple[Tensor, Tensor]) -> None:
    weight, bias = weights
    assert convolution.bias is not None
    convolution.weight.copy_(weight)
    convolution.bias.copy_(bias)


def _read(path: Path) -> tuple[list[tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]:
    """All convolutions with time before mel, as (weight, bias), and the last projection."""
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's and the system's errors have no common base
        raise ModelError(f"wanted an ONNX file at {path}, got: {error}") from error
    tables = {t.name: np.asarray(numpy_helper.to_array(t), np.float32) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in tables:
            tables[node.output[0]] = tables[node.input[0]]
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {"Conv": [], "Gemm": []}
    for node in graph.node:
        if node.op_type in pairs and all(name in tables for name in node.input[1:3]):
            weight, bias = (torch.from_numpy(tables[name].copy()) for name in node.input[1:3])
            pairs[node.op_type].append((weight, bias))
    if len(pairs["Gemm"]) != 1:
        raise ConfigError(f"wanted one projection in {path}, got {len(pairs['Gemm'])}")
    return [(weight.transpose(2, 3), bias) for weight, bias in pairs["Conv"]], pairs["Gemm"][0]
