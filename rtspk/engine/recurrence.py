"""Recurrences in both directions over frames, and classes from what they remember; all in eight bits.

A step is a product of a vector and a small matrix, thousands of times in a row: kernels of our own follow a
whole stretch in one call, and add up the same whole numbers on every processor (bench/LOG.md).
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.eight_bits import SMALL, Matrix, Tables, read_tables
from rtspk.engine.powerset import CLASSES
from rtspk.kernels.convolution import SLOPE
from rtspk.kernels.jit import contiguous
from rtspk.kernels.products import QUAD, ZERO
from rtspk.kernels.recurrence import ALONE, ROWS, STEPS, TOGETHER, WIDE, dense, recur, rounded
from rtspk.types import FloatArray

__all__ = ["DIRECTIONS", "STATES", "Recurrence"]

GATES: int = 4
DIRECTIONS: int = 2
STATES: int = WIDE // GATES  # of a layer: whole groups of so many
BLOCK: int = 96  # frames whose gates are known at once: few enough to stay in the second cache


@dataclass(frozen=True, slots=True)
class Steps:
    """Rows in whole numbers; behind them are some of nought, so that any stretch has whole groups of four.

    x : uint8 [shape=(count + 4 or more, K)], 128 for nought
    sizes : float32 [shape=(count + 4 or more,)], what 1 of each row stands for
    """

    x: NDArray[np.uint8]
    sizes: FloatArray
    count: int

    @classmethod
    def of(cls, rows: FloatArray) -> "Steps":
        """Rows in single precision, float32 [shape=(T, K)]: each in 127 steps of its own."""
        count, width = rows.shape
        steps = cls.states(count, width + -width % QUAD)
        rounded(contiguous(rows), SMALL, steps.x, steps.sizes)
        return steps

    @classmethod
    def states(cls, count: int, width: int) -> "Steps":
        """Numbers between -1 and 1, all nought."""
        x = np.full((count + ROWS, width), ZERO, np.uint8)
        return cls(x, np.full(len(x), np.float32(1.0) / STEPS, np.float32), count)


class Dense:
    """A matrix and a bias for rows."""

    def __init__(self, weights: NDArray[np.int8], scales: FloatArray, bias: FloatArray) -> None:
        self._matrix = Matrix(weights, scales, TOGETHER, ZERO)
        self._bias = np.zeros(len(self._matrix.scales), np.float32)
        self._bias[: len(bias)] = bias
        self.outputs = self._matrix.outputs

    def room(self, rows: int) -> FloatArray:
        """To answer for so many rows in."""
        return np.empty((rows + -rows % ROWS, len(self._matrix.scales)), np.float32)

    def __call__(self, rows: Steps) -> FloatArray:
        """For all rows, float32 [shape=(count, outputs)]."""
        return self.between(0, rows.count, rows, self.room(rows.count))

    def between(self, first: int, last: int, rows: Steps, room: FloatArray) -> FloatArray:
        """For the rows [first, last), float32 [shape=(last - first, outputs)], which lie in `room`."""
        matrix, count = self._matrix, last - first
        behind = last + -count % ROWS
        out = room[: behind - first]
        x, sizes = rows.x[first:behind], rows.sizes[first:behind]
        dense(x, sizes, matrix.weights, matrix.scales, matrix.starts, self._bias, out)
        return out[:count, : matrix.outputs]


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
        state, drive = np.empty(width, np.uint8), np.empty(GATES * width, np.float32)
        room = layer[0].gates.room(BLOCK)
        stretches = list(pairwise(sorted({*range(0, x.count, BLOCK), old, x.count})))
        for backward, way in enumerate(layer):
            tables = way.memory.weights, way.memory.scales, way.memory.starts
            begin = np.zeros(width, np.float32), np.zeros(width, np.float32)
            states = begin if backward else (hidden, cell)
            for first, last in stretches[:: -1 if backward else 1]:
                if first == old and not backward:
                    states = hidden.copy(), cell.copy()
                gates = way.gates.between(first, last, x, room)
                recur(gates, *tables, bool(backward), *states, state, drive, out.x[first:last], out.sizes)
        return out
