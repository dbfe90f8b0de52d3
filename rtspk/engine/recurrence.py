"""Recurrences in both directions over frames, and classes from what they remember; all in eight bits.

A step is a product of a vector and a small matrix, thousands of times in a row: kernels of our own follow a
whole stretch in one call, and add up the same whole numbers on every processor (bench/LOG.md).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.dense import Dense, Steps
from rtspk.engine.eight_bits import Matrix, Tables, read_tables
from rtspk.engine.powerset import CLASSES
from rtspk.kernels.convolution import SLOPE
from rtspk.kernels.products import ZERO
from rtspk.kernels.recurrence import ALONE, BLOCK, WIDE, follow
from rtspk.types import FloatArray

__all__ = ["DIRECTIONS", "STATES", "Recurrence"]

GATES: int = 4
DIRECTIONS: int = 2
STATES: int = WIDE // GATES  # of a layer: whole groups of so many


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a layer: what the frames say to its gates, and what it remembers."""

    gates: Dense
    memory: Matrix


class Recurrence:
    """Layers of long short-term memory in both directions, then dense ones; read-only.

    tables : of layer n `gates{n}` and `recurrent{n}`, of dense ones `dense{n}`: int8 `_weights`, float32
        `_scales` and `_bias`; those of both directions together, forth first, in ONNX's order of gates
    """

    def __init__(self, tables: Tables) -> None:
        def matrix(name: str, *shape: int) -> tuple[NDArray[np.int8], FloatArray]:
            weights, scales = tables[f"{name}_weights"], tables[f"{name}_scales"]
            if weights.dtype != np.int8 or (weights.shape, scales.shape) != (shape, shape[:-1]):
                raise ValueError(name)
            return weights, scales

        def dense_of(name: str, inputs: int, part: slice = slice(None)) -> Dense:
            bias = tables[f"{name}_bias"]
            weights, scales = matrix(name, len(bias), inputs)
            return Dense(weights[part], scales[part], bias[part])

        def way_of(number: int, inputs: int, way: int) -> Way:
            outputs = GATES * width
            if len(tables[f"gates{number}_bias"]) != DIRECTIONS * outputs:
                raise ValueError(number)
            gates = dense_of(f"gates{number}", inputs, slice(way * outputs, (way + 1) * outputs))
            weights, scales = matrix(f"recurrent{number}", DIRECTIONS, outputs, width)
            return Way(gates, Matrix(weights[way], scales[way], ALONE, ZERO))

        self._layers: list[tuple[Way, Way]] = []  # forth and back
        self._dense: list[Dense] = []
        self.width = width = int(tables["recurrent0_weights"].shape[-1])
        self.inputs = inputs = int(tables["gates0_weights"].shape[-1])
        while f"gates{len(self._layers)}_weights" in tables:
            number = len(self._layers)
            self._layers.append((way_of(number, inputs, 0), way_of(number, inputs, 1)))
            inputs = DIRECTIONS * width
        while f"dense{len(self._dense)}_weights" in tables:
            self._dense.append(dense_of(f"dense{len(self._dense)}", inputs))
            inputs = self._dense[-1].outputs
        if not self._dense or inputs != CLASSES:
            raise ValueError(inputs)

    @classmethod
    def read(cls, path: Path) -> "Recurrence":
        """Raises ModelError where the file is none of such tables."""
        return read_tables(path, cls)

    @property
    def nothing(self) -> FloatArray:
        """The states of all layers before the first frame, float32 [shape=(layers, 1, H)]."""
        return np.zeros((len(self._layers), 1, self.width), np.float32)

    def __call__(
        self, old: FloatArray, new: FloatArray, hidden: FloatArray, cell: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The classes of frames, and where the recurrence that goes forth stands behind the old ones.

        Args:
            old: float32 [shape=(n, D)], at least one
            new: float32 [shape=(m, D)], at least one
            hidden: float32 [shape=(layers, 1, H)], before the old ones
            cell: likewise

        Returns:
            float32 [shape=(n + m, 7)], and two like `hidden`
        """
        hidden, cell = hidden.copy(), cell.copy()
        x = Steps.of(np.concatenate([old, new]))
        for layer, *begin in zip(self._layers, hidden[:, 0], cell[:, 0], strict=True):
            x = self._follow(layer, x, len(old), *begin)
        rows = self._dense[0](x)
        for one in self._dense[1:]:
            rows = one(Steps.of(np.maximum(rows, SLOPE * rows)))
        chances = np.exp(rows - rows.max(1, keepdims=True))
        return chances / chances.sum(1, keepdims=True), hidden, cell

    def _follow(
        self, layer: tuple[Way, Way], x: Steps, old: int, hidden: FloatArray, cell: FloatArray
    ) -> Steps:
        """Both directions of one layer; the states, before the first frame, end behind the old ones."""
        width = self.width
        out = Steps.states(x.count, DIRECTIONS * width)
        room, drive = np.empty((BLOCK, GATES * width), np.float32), np.empty(GATES * width, np.float32)
        rooms = room, np.empty(width, np.uint8), drive, out.x, out.sizes
        forth, back = (
            (*way.gates.tables, way.memory.weights, way.memory.scales, way.memory.starts) for way in layer
        )
        follow(x.x, x.sizes, 0, old, False, *forth, hidden, cell, *rooms)
        follow(x.x, x.sizes, old, x.count, False, *forth, hidden.copy(), cell.copy(), *rooms)
        hidden, cell = np.zeros((2, width), np.float32)
        follow(x.x, x.sizes, 0, x.count, True, *back, hidden, cell, *rooms)
        return out
