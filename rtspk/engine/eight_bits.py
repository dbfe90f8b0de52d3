"""Matrices in eight bits, as the kernels of `rtspk.kernels.products` take them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import ModelError
from rtspk.kernels.dense import LEAST
from rtspk.kernels.jit import aligned
from rtspk.kernels.products import LANES, LARGEST, QUAD, packed
from rtspk.types import FloatArray

__all__ = ["Matrix", "Tables", "in_eight_bits", "read_tables"]

Tables = dict[str, NDArray[Any]]
Made = TypeVar("Made")


def in_eight_bits(weights: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Weights as whole numbers in -127..127, and what 1 of them stands for in each row.

    Args:
        weights: float32 [shape=(outputs, inputs)]

    Returns:
        int8 [shape=(outputs, inputs)], float32 [shape=(outputs,)]
    """
    scales = np.maximum(np.abs(weights).max(1), LEAST) / np.float32(LARGEST)
    return np.rint(weights / scales[:, None]).astype(np.int8), scales.astype(np.float32)


class Matrix:
    """Weights as a kernel takes them, filled up with nought to whole tiles.

    Args:
        weights: int8 [shape=(outputs, inputs)]
        scales: float32 [shape=(outputs,)], what 1 of an output's weights stands for
        blocks: of eight outputs each, of a tile
        nought: what an input of nought is stored as
    """

    def __init__(self, weights: NDArray[np.int8], scales: FloatArray, blocks: int, nought: int) -> None:
        outputs, inputs = weights.shape
        self.outputs, self.inputs = outputs, inputs + -inputs % QUAD
        filled = outputs + -outputs % (blocks * LANES)
        table = np.zeros((filled, self.inputs), np.int8)
        table[:outputs, :inputs] = weights
        self.weights = aligned(packed(table, blocks))
        self.scales = np.zeros(filled, np.float32)
        self.scales[:outputs] = scales
        self.starts = -nought * table.astype(np.int32).sum(1, dtype=np.int32)


def read_tables(
    path: Path, make: Callable[[Tables], Made], wanted: str = "the parts of a segmenter on samples"
) -> Made:
    """What is made of the tables in a file, which is `wanted`.

    Raises:
        ModelError: the file holds no tables, or none of which this can be made.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as tables:
            made = make(dict(tables))
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, BadZipFile) as error:
        raise ModelError(f"wanted {wanted} in {path.parent}, got others in {path.name}") from error
    return made
