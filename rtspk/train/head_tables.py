"""The head of an embedder in eight bits, as the tables that kernels of our own take (`rtspk.engine.head`)."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from rtspk.engine.eight_bits import Tables, in_eight_bits
from rtspk.engine.head import Head
from rtspk.files import bytes_of
from rtspk.types import FloatArray

__all__ = ["head_tables", "read_head"]

LAYERS = (
    "before.up",
    "before.down",
    "attention.qkv",
    "attention.out",
    "convolution.gate",
    "convolution.out",
    "after.up",
    "after.down",
)
NORMS = ("before.norm", "attention.norm", "convolution.norm", "after.norm", "norm")
SMALL = np.float32(1e-5)  # what a norm over a batch adds to variances


def head_tables(
    weights: Mapping[str, Tensor], heads: int, mean: Tensor, compensation: Tensor
) -> bytes | None:
    """The tables' file, or nothing where kernels of our own do not know such a head.

    Args:
        weights: of a `rtspk.engine.residual_conformer.ResidualConformer`, by name
        heads: of its attention
        mean: [shape=(dimension,)], taken off its answers
        compensation: [shape=(dimension, dimension)], by which they are multiplied then
    """
    try:
        tables = read_head(weights, heads, mean, compensation)
        Head(tables)
    except (ValueError, LookupError):
        return None
    return bytes_of(lambda file: np.savez_compressed(file, allow_pickle=False, **tables))


def read_head(weights: Mapping[str, Tensor], heads: int, mean: Tensor, compensation: Tensor) -> Tables:
    """The tables of `rtspk.engine.head.Head`; arguments as for `head_tables`.

    Raises:
        LookupError: a weight that such a network has is missing.
    """

    def numbers(name: str) -> FloatArray:
        return _numbers(weights[name])

    def layer(name: str) -> Tables:
        return _layer(name, numbers(f"{name}.weight"), numbers(f"{name}.bias"))

    def norm(name: str) -> Tables:
        return {name: np.stack([numbers(f"{name}.weight"), numbers(f"{name}.bias")])}

    def taps(name: str) -> Tables:
        """Of a depthwise convolution, the norm behind it folded into it."""
        own, behind = f"{name}.depthwise", f"{name}.batch_norm"
        scale = numbers(f"{behind}.weight") / np.sqrt(numbers(f"{behind}.running_var") + SMALL)
        bias = (numbers(f"{own}.bias") - numbers(f"{behind}.running_mean")) * scale + numbers(
            f"{behind}.bias"
        )
        return {f"{name}.taps": np.vstack([numbers(f"{own}.weight")[:, 0].T * scale, bias])}

    tables: Tables = {"heads": np.array(heads), "mean": _numbers(mean)}
    tables["compensation"] = _numbers(compensation)
    number = 0
    while f"blocks.{number}.norm.weight" in weights:
        for name in LAYERS:
            tables |= layer(f"blocks.{number}.{name}")
        for name in NORMS:
            tables |= norm(f"blocks.{number}.{name}")
        tables |= taps(f"blocks.{number}.convolution")
        number += 1
    tables |= norm("norm") | layer("narrow") | layer("project") | layer("add") | layer("pooling.outer")
    # What a frame says to the layer that weighs it, and what the statistics of all of them do.
    inner, bias, width = (
        numbers("pooling.inner.weight"),
        numbers("pooling.inner.bias"),
        len(tables["norm"][0]),
    )
    return (
        tables
        | _layer("pooling.inner", inner[:, :width], bias)
        | _layer("pooling.context", inner[:, width:], np.zeros_like(bias))
    )


def _layer(name: str, weights: FloatArray, bias: FloatArray) -> Tables:
    whole, scales = in_eight_bits(weights)
    return {f"{name}_weights": whole, f"{name}_scales": scales, f"{name}_bias": bias}


def _numbers(values: Tensor) -> FloatArray:
    return np.ascontiguousarray(values.detach().float().cpu().numpy())
