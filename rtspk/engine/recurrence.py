"""Recurrences in both directions over frames, and classes from what they remember; all in eight bits.

A step is a product of a vector and a small matrix, thousands of times in a row: kernels of our own follow a
whole stretch in one call, and add up the same whole numbers on every processor (bench/LOG.md).
"""

from collections.abc import Callable, Generator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.dense import Dense, Steps
from rtspk.engine.eight_bits import Matrix, Tables, read_tables
from rtspk.engine.powerset import CLASSES
from rtspk.kernels.convolution import SLOPE
from rtspk.kernels.dense import ROWS
from rtspk.kernels.products import ZERO
from rtspk.kernels.recurrence import ALONE, BLOCK, MOST, WIDE, Room, Way, follow_both
from rtspk.types import FloatArray

__all__ = ["DIRECTIONS", "STATES", "Asking", "Passage", "Recurrence", "Told", "alone"]

GATES: int = 4
DIRECTIONS: int = 2
STATES: int = WIDE // GATES  # of a layer: whole groups of so many


class Passage(NamedTuple):
    """Frames that recurrences are to hear.

    old, new : float32 [shape=(n, D)], at least one each
    states : float32 [shape=(layers, 2, H)], hidden and cell, of the recurrence that goes forth, before them
    """

    old: FloatArray
    new: FloatArray
    states: FloatArray


class Told(NamedTuple):
    """What recurrences make of a passage.

    classes : float32 [shape=(frames, 7)], chances, of the old frames and the new ones
    states : float32 [shape=(layers, 2, H)], as in `Passage`, behind the old ones
    """

    classes: FloatArray
    states: FloatArray


Result = TypeVar("Result")
Asking = Generator[Passage, Told, Result]  # work that stops at each passage until it is told what is in it


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
        """The states of all layers before the first frame, float32 [shape=(layers, 2, H)]."""
        return np.zeros((len(self._layers), 2, self.width), np.float32)

    def __call__(self, passages: Sequence[Passage]) -> list[Told]:
        """What is in passages, of one stream or many, each whatever others are beside it; in order."""
        told: dict[int, Told] = {}
        longest = sorted(range(len(passages)), key=lambda n: -len(passages[n].old) - len(passages[n].new))
        for first in range(0, len(longest), MOST):
            few = longest[first : first + MOST]
            told.update(zip(few, self._hear([passages[number] for number in few]), strict=True))
        return [told[number] for number in range(len(passages))]

    def _hear(self, passages: Sequence[Passage]) -> list[Told]:
        """Up to `MOST`, the longest first."""
        bounds = [0, *accumulate(len(one.old) + len(one.new) for one in passages)]
        ends = np.array(bounds)
        begins, counts, olds = ends[:-1], np.diff(ends), np.array([len(one.old) for one in passages])
        states = np.stack([one.states for one in passages], axis=2)  # (layers, 2, passages, H)
        x = Steps.of(np.concatenate([part for one in passages for part in (one.old, one.new)]))
        room = self._room()
        for own, (forth, back) in zip(states, self._layers, strict=True):
            out = Steps.states(bounds[-1], DIRECTIONS * self.width)
            follow_both(x.x, x.sizes, begins, counts, olds, forth, back, own, room, out.x, out.sizes)
            x = out
        rows = self._dense[0](x)
        for one in self._dense[1:]:
            rows = one(Steps.of(np.maximum(rows, SLOPE * rows)))
        chances = np.exp(rows - rows.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        return [
            Told(chances[begin:end], np.ascontiguousarray(states[:, :, number]))
            for number, (begin, end) in enumerate(pairwise(bounds))
        ]

    def _room(self) -> Room:
        """Room for kernels, of one call."""
        said, drive = (np.empty((n, GATES * self.width), np.float32) for n in (BLOCK + ROWS, MOST))
        state, states = np.empty((MOST, self.width), np.uint8), np.empty((2, MOST, self.width), np.float32)
        return said, state, drive, states


def alone(work: Asking[Result], tell: Callable[[Sequence[Passage]], list[Told]]) -> Result:
    """Do work that asks what is in passages, by itself."""
    try:
        passage = next(work)
        while True:
            passage = work.send(tell([passage])[0])
    except StopIteration as done:
        result: Result = done.value
        return result
