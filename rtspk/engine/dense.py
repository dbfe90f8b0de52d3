"""Dense layers in eight bits, and rows for them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.eight_bits import Matrix
from rtspk.kernels.dense import LEAST, ROWS, STEPS, TOGETHER, Layer, dense, rounded
from rtspk.kernels.jit import contiguous
from rtspk.kernels.products import QUAD, ZERO
from rtspk.types import FloatArray

__all__ = ["Dense", "Steps"]


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
        steps.x[:, width:] = ZERO
        rounded(contiguous(rows), LEAST, steps.x, steps.sizes)
        return steps

    @classmethod
    def states(cls, count: int, width: int) -> "Steps":
        """Room for numbers between -1 and 1."""
        x = np.empty((count + ROWS, width), np.uint8)
        x[count:] = ZERO
        return cls(x, np.full(len(x), np.float32(1.0) / STEPS, np.float32), count)


class Dense:
    """A matrix and a bias for rows."""

    def __init__(self, weights: NDArray[np.int8], scales: FloatArray, bias: FloatArray) -> None:
        self._matrix = Matrix(weights, scales, TOGETHER, ZERO)
        self._bias = np.zeros(len(self._matrix.scales), np.float32)
        self._bias[: len(bias)] = bias
        self.outputs = self._matrix.outputs

    @property
    def tables(self) -> Layer:
        """Its weights, scales, starts and bias, as kernels take them."""
        return self._matrix.weights, self._matrix.scales, self._matrix.starts, self._bias

    def __call__(self, rows: Steps) -> FloatArray:
        """For all rows, float32 [shape=(count, outputs)]."""
        behind = rows.count + -rows.count % ROWS
        out = np.empty((behind, len(self._bias)), np.float32)
        dense(rows.x[:behind], rows.sizes[:behind], *self.tables, out)
        return out[: rows.count, : self.outputs]
