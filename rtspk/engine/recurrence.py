"""Recurrences in both directions over frames, and classes from what they remember; all in eight bits.

A step is a product of a vector and a small matrix, thousands of times in a row: kernels of our own follow a
whole stretch in one call, and add up the same whole numbers on every processor (bench/LOG.md).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.powerset import CLASSES
from rtspk.errors import ModelError
from rtspk.kernels.products import LARGEST, QUAD, ZERO, packed
from rtspk.kernels.recurrence import ALONE, NARROW, ROWS, STEPS, TOGETHER, WIDE, dense, recur
from rtspk.types import FloatArray

__all__ = ["DIRECTIONS", "SLOPE", "STATES", "Recurrence", "Tables", "in_eight_bits"]

SLOPE: float = 0.01  # of the rectifiers below zero
GATES: int = 4
DIRECTIONS: int = 2
STATES: int = WIDE // GATES  # of a layer: whole groups of so many
SMALL = np.float32(1e-12)  # a row of nought has steps too
Tables = dict[str, NDArray[Any]]


def in_eight_bits(weights: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Weights as whole numbers in -127..127, and what 1 of them stands for in each row.

    Args:
        weights: float32 [shape=(outputs, inputs)]

    Returns:
        int8 [shape=(outputs, inputs)], float32 [shape=(outputs,)]
    """
    scales = np.maximum(np.abs(weights).max(1), SMALL) / np.float32(LARGEST)
    return np.rint(weights / scales[:, None]).astype(np.int8), scales.astype(np.float32)


class Matrix:
    """Weights in eight bits as a kernel takes them."""

    def __init__(self, weights: NDArray[np.int8], scales: FloatArray, blocks: int) -> None:
        outputs, inputs = weights.shape
        self.outputs, self.inputs = outputs, inputs + -inputs % QUAD
        filled = outputs + -outputs % NARROW
        table = np.zeros((filled, self.inputs), np.int8)
        table[:outputs, :inputs] = weights
        self.weights = packed(table, blocks)
        self.scales = np.zeros(filled, np.float32)
        self.scales[:outputs] = scales
        self.noughts = ZERO * table.astype(np.int32).sum(1, dtype=np.int32)


class Dense:
    """A matrix and a bias for rows."""

    def __init__(self, weights: NDArray[np.int8], scales: FloatArray, bias: FloatArray) -> None:
        self._matrix = Matrix(weights, scales, TOGETHER)
        self._bias = np.zeros(len(self._matrix.scales), np.float32)
        self._bias[: len(bias)] = bias
        self.outputs = self._matrix.outputs

    def stored(self, rows: FloatArray) -> FloatArray:
        """For rows in single precision, float32 [shape=(T, K)]: each in 127 steps of its own."""
        steps = np.zeros(len(rows) + -len(rows) % ROWS, np.float32)
        steps[: len(rows)] = np.maximum(np.abs(rows).max(1), SMALL) / STEPS
        x = np.full((len(steps), self._matrix.inputs), ZERO, np.uint8)
        x[: len(rows), : rows.shape[1]] = np.rint(rows / steps[: len(rows), None]) + np.float32(ZERO)
        return self(x, steps)[: len(rows)]

    def __call__(self, x: NDArray[np.uint8], steps: FloatArray) -> FloatArray:
        """For rows in steps.

        Args:
            x: uint8 [shape=(T, K)], 128 for nought; T in whole groups of four
            steps: float32 [shape=(T,)], what 1 of a row stands for

        Returns:
            float32 [shape=(T, N)]
        """
        matrix = self._matrix
        out = np.empty((len(x), len(matrix.scales)), np.float32)
        sums = np.empty(ROWS * NARROW, np.int32)
        dense(x, steps, matrix.weights, matrix.scales, matrix.noughts, self._bias, sums, out)
        return out[:, : matrix.outputs]


@dataclass(frozen=True, slots=True)
class Layer:
    """Of recurrences: what the frames say to the gates of both directions, and what each remembers."""

    gates: Dense
    ways: tuple[Matrix, Matrix]


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

        def dense_of(name: str, inputs: int) -> Dense:
            bias = tables[f"{name}_bias"]
            return Dense(*matrix(name, len(bias), inputs), bias)

        self._layers: list[Layer] = []
        self._dense: list[Dense] = []
        self.width = width = int(tables["recurrent0_weights"].shape[-1])
        inputs = int(tables["gates0_weights"].shape[-1])
        while f"gates{len(self._layers)}_weights" in tables:
            number = len(self._layers)
            weights, scales = matrix(f"recurrent{number}", DIRECTIONS, GATES * width, width)
            ways = (Matrix(weights[0], scales[0], ALONE), Matrix(weights[1], scales[1], ALONE))
            self._layers.append(Layer(dense_of(f"gates{number}", inputs), ways))
            if self._layers[-1].gates.outputs != DIRECTIONS * GATES * width:
                raise ValueError(number)
            inputs = DIRECTIONS * width
        while f"dense{len(self._dense)}_weights" in tables:
            self._dense.append(dense_of(f"dense{len(self._dense)}", inputs))
            inputs = self._dense[-1].outputs
        if not self._dense or inputs != CLASSES:
            raise ValueError(inputs)

    @classmethod
    def read(cls, path: Path) -> "Recurrence":
        """Raises ModelError where the file is none of such tables."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as tables:
                read = cls(dict(tables))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, BadZipFile) as error:
            raise ModelError(
                f"wanted the parts of a segmenter on samples in {path.parent}, got others in {path.name}"
            ) from error
        return read

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
        frames = len(old) + len(new)
        gates = self._layers[0].gates.stored(np.concatenate([old, new]))
        x = np.full((frames + -frames % ROWS, DIRECTIONS * self.width), ZERO, np.uint8)
        steps = np.full(len(x), np.float32(1.0) / STEPS, np.float32)
        for number, layer in enumerate(self._layers):
            if number:
                gates = layer.gates(x, steps)[:frames]
            self._follow(layer, gates, len(old), (hidden[number, 0], cell[number, 0]), x[:frames])
        rows = self._dense[0](x, steps)[:frames]
        for one in self._dense[1:]:
            rows = one.stored(np.maximum(rows, np.float32(SLOPE) * rows))
        chances = np.exp(rows - rows.max(1, keepdims=True))
        return chances / chances.sum(1, keepdims=True), hidden, cell

    def _follow(
        self,
        layer: Layer,
        gates: FloatArray,
        old: int,
        begin: tuple[FloatArray, FloatArray],
        out: NDArray[np.uint8],
    ) -> None:
        """Both directions of one layer; `begin` ends where the old frames do."""
        width = self.width
        state, sums = np.empty(width, np.uint8), np.empty(GATES * width, np.int32)
        drive = np.empty(GATES * width, np.float32)

        def run(rows: slice, begin: tuple[FloatArray, FloatArray], *, backward: bool) -> None:
            way = layer.ways[int(backward)]
            tables = way.weights, way.scales, way.noughts
            recur(gates[rows], *tables, backward, *begin, state, sums, drive, out[rows])

        run(slice(old), begin, backward=False)
        run(slice(old, None), (begin[0].copy(), begin[1].copy()), backward=False)
        run(slice(None), (np.zeros(width, np.float32), np.zeros(width, np.float32)), backward=True)
