"""Recurrences in both directions over frames, and classes from what they remember; all in eight bits.

A step is a product of a vector and a small matrix, thousands of times in a row: kernels of our own follow a
whole stretch in one call, and add up the same whole numbers on every processor (bench/LOG.md).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.dense import Dense, Steps
from rtspk.engine.eight_bits import Matrix, Tables, read_tables
from rtspk.engine.powerset import CLASSES
from rtspk.kernels.convolution import SLOPE
from rtspk.kernels.products import ZERO
from rtspk.kernels.recurrence import ALONE, BLOCK, WIDE, Room, Way, follow_both
from rtspk.types import FloatArray

__all__ = ["DIRECTIONS", "STATES", "Recurrence"]

GATES: int = 4
DIRECTIONS: int = 2
STATES: int = WIDE // GATES  # of a layer: whole groups of so many


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
            memory = Matrix(weights[way], scales[way], ALONE, ZERO)
            return *gates.tables, memory.weights, memory.scales, memory.starts

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
        x, count = Steps.of(np.concatenate([old, new])), len(old) + len(new)
        room = self._room()
        for number, (forth, back) in enumerate(self._layers):
            out = Steps.states(count, DIRECTIONS * self.width)
            begin = hidden[number, 0], cell[number, 0]
            follow_both(x.x, x.sizes, len(old), count, forth, back, *begin, room, out.x, out.sizes)
            x = out
        rows = self._dense[0](x)
        for one in self._dense[1:]:
            rows = one(Steps.of(np.maximum(rows, SLOPE * rows)))
        chances = np.exp(rows - rows.max(1, keepdims=True))
        return chances / chances.sum(1, keepdims=True), hidden, cell

    def _room(self) -> Room:
        """Room for kernels, of one call."""
        said = np.empty((BLOCK, GATES * self.width), np.float32)
        state, drive = np.empty(self.width, np.uint8), np.empty(GATES * self.width, np.float32)
        return said, state, drive, np.empty((2, self.width), np.float32)
