"""The head of an embedder: from the frames of its trunk to voices, by kernels of our own.

In ONNX Runtime it is two hundred small steps, most of whose time goes with the steps themselves. Frames that
are not on the mask are left out at once, since they would change nothing.
"""

from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtspk.engine.dense import Dense
from rtspk.engine.eight_bits import Tables, read_tables
from rtspk.errors import ModelError
from rtspk.kernels.conformer import Convolution, Norm, Room, TwoLayers, conform
from rtspk.kernels.dense import ROWS, TILE, Layer, dense
from rtspk.kernels.jit import contiguous
from rtspk.kernels.pooling import answer, pool, tell
from rtspk.kernels.products import ZERO
from rtspk.types import FloatArray

__all__ = ["AT_ONCE", "Head", "MaskedFrames"]

AT_ONCE: int = ROWS  # windows for which weights are read once

PLACES: int = 64  # whose angles are known at first
RATE: float = 10_000.0  # of rotary positions (arXiv:2104.09864)

MaskedFrames = tuple[FloatArray, FloatArray]


class Block(NamedTuple):
    """A Conformer's block, as `rtspk.kernels.conformer.conform` takes it."""

    before: TwoLayers
    attention: TwoLayers
    convolution: Convolution
    after: TwoLayers
    norm: Norm


class Head:
    """Safe for threads, read-only but for the angles of places that it has seen.

    tables : of dense layers `{name}_weights`, int8 [shape=(outputs, inputs)], `{name}_scales` and
        `{name}_bias`, float32 [shape=(outputs,)]: `narrow`, from frames to the Conformer; of block n
        `blocks.{n}.` before.up, before.down, attention.qkv, attention.out, convolution.gate, convolution.out,
        after.up, after.down; `pooling.inner` and `pooling.context`, of frames and of their statistics,
        `pooling.outer`; `project` and `add`, of the statistics of the trunk's frames and of the Conformer's.
        Of norms weight and bias, float32 [shape=(2, width)]: `norm`, and of block n before.norm,
        attention.norm, convolution.norm, after.norm and norm. Of block n `convolution.taps`, float32
        [shape=(taps + 1, width)], the bias last. `mean`, float32 [shape=(dimension,)], and `compensation`,
        float32 [shape=(dimension, dimension)]; `heads`, int. All widths are whole multiples of 32
    """

    def __init__(self, tables: Tables) -> None:
        read = _Reader(tables)
        width, inputs = (int(size) for size in tables["narrow_weights"].shape)
        self._width, self.inputs = width, inputs
        self._hidden, self._heads = len(tables["pooling.inner_bias"]), int(tables["heads"])
        dimension, wide = len(tables["mean"]), len(tables["blocks.0.before.up_bias"])
        sizes = width, inputs, wide, self._hidden, dimension
        if any(size % TILE for size in sizes) or self._heads < 1 or width % (2 * self._heads):
            raise ValueError(sizes)
        self._narrow = read.layer("narrow", width, inputs)
        names = takewhile(lambda name: f"{name}.norm" in tables, (f"blocks.{number}" for number in count()))
        self._blocks = [read.block(name, width, wide) for name in names]
        scales = len(self._blocks) * width
        self._pooling = (
            read.norm("norm", scales),
            read.layer("pooling.inner", self._hidden, scales),
            read.layer("pooling.context", self._hidden, 2 * scales),
            read.layer("pooling.outer", scales, self._hidden),
        )
        self._answer = (
            read.layer("project", dimension, 2 * inputs),
            read.layer("add", dimension, 2 * scales),
            read.numbers("mean", dimension),
            read.numbers("compensation", dimension, dimension),
        )
        self._dimension, self._most = dimension, max(wide, 3 * width, scales)
        self._turns = _turns(PLACES, width // self._heads)

    @classmethod
    def read(cls, path: Path) -> "Head":
        """Raises ModelError where the file is none of such tables."""
        return read_tables(path, cls, "the head of an embedder")

    def __call__(self, windows: Sequence[MaskedFrames]) -> FloatArray:
        """Voices, each whatever windows are beside it: float32 [shape=(windows, dimension)], of any length.

        Args:
            windows: up to `AT_ONCE`; frames of the trunk, float32 [shape=(n, width)], and a mask of them,
                float32 [shape=(n,)], above nought for those to listen to, of which there is at least one
        """
        on = [np.flatnonzero(mask > 0.0) for _, mask in windows]
        for (frames, mask), own in zip(windows, on, strict=True):
            if frames.shape != (*mask.shape, self.inputs) or not len(own):
                raise ModelError(
                    f"wanted frames of {self.inputs} numbers, some of them on their mask, "
                    f"got shapes {frames.shape} and {mask.shape}, {len(own)} on the mask"
                )
        places, bounds = np.concatenate(on), np.cumsum([0, *map(len, on)])
        rows = len(places) + -len(places) % ROWS
        steps, sizes = np.full((rows, self.inputs), ZERO, np.uint8), np.ones(rows, np.float32)
        told, heard = (np.zeros((AT_ONCE, 2 * n), np.float32) for n in (self.inputs, self._scales))
        for (frames, _), own, first, last, summary in zip(
            windows, on, bounds, bounds[1:], told, strict=False
        ):
            tell(contiguous(frames), own, steps[first:last], sizes[first:last], summary)
        x, scales = (np.empty((rows, n), np.float32) for n in (self._width, self._scales))
        dense(steps, sizes, *self._narrow, x)
        room, turns = self._room(rows), self._angles(int(places.max()))
        for number, block in enumerate(self._blocks):
            conform(x, places, bounds, *block, turns, self._heads, room, scales, number)
        pool(scales, bounds, *self._pooling, heard, room)
        voices = np.empty((AT_ONCE, self._dimension), np.float32)
        answer(told, heard, *self._answer, room, voices)
        return voices[: len(windows)]

    @property
    def _scales(self) -> int:
        """Width of the answers of all blocks."""
        return len(self._blocks) * self._width

    def _angles(self, place: int) -> FloatArray:
        """Of all places up to one, and more."""
        if place >= len(self._turns):
            self._turns = _turns(2 * place, self._turns.shape[1])
        return self._turns

    def _room(self, rows: int) -> Room:
        """Room for kernels: for so many frames, and at the end for windows."""
        answers = AT_ONCE * max(2 * self.inputs, self._dimension)
        narrow = max(rows * max(self._width, self._hidden), AT_ONCE * self._dimension)
        wide = max((rows + AT_ONCE) * max(self._most, self._hidden), answers)
        numbers = [np.empty(size, np.float32) for size in (rows, narrow, wide, rows * self._width)]
        return np.empty(wide, np.uint8), numbers[0], numbers[1], numbers[2], numbers[3]


class _Reader:
    """Tables as kernels take them; raises ValueError, LookupError or TypeError where they are of others."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def numbers(self, name: str, *shape: int) -> FloatArray:
        if self._tables[name].shape != shape:
            raise ValueError(name)
        return np.ascontiguousarray(self._tables[name], np.float32)

    def layer(self, name: str, outputs: int, inputs: int) -> Layer:
        weights = self._tables[f"{name}_weights"]
        if weights.dtype != np.int8 or weights.shape != (outputs, inputs):
            raise ValueError(name)
        scales, bias = (self.numbers(f"{name}_{part}", outputs) for part in ("scales", "bias"))
        return Dense(weights, scales, bias).tables

    def norm(self, name: str, width: int) -> Norm:
        weight, bias = self.numbers(name, 2, width)
        return weight, bias

    def two_layers(
        self, name: str, width: int, first: str, outputs: int, second: str, inputs: int
    ) -> TwoLayers:
        norm = self.norm(f"{name}.norm", width)
        return (
            norm,
            self.layer(f"{name}.{first}", outputs, width),
            self.layer(f"{name}.{second}", width, inputs),
        )

    def convolution(self, name: str, width: int) -> Convolution:
        taps = len(self._tables[f"{name}.taps"])
        if taps % 2:  # an odd number, and the bias
            raise ValueError(name)
        norm, gate, said = self.two_layers(name, width, "gate", 2 * width, "out", width)
        return norm, gate, self.numbers(f"{name}.taps", taps, width), said

    def block(self, name: str, width: int, wide: int) -> Block:
        before, after = (
            self.two_layers(f"{name}.{part}", width, "up", wide, "down", wide) for part in ("before", "after")
        )
        attention = self.two_layers(f"{name}.attention", width, "qkv", 3 * width, "out", width)
        convolution = self.convolution(f"{name}.convolution", width)
        return Block(before, attention, convolution, after, self.norm(f"{name}.norm", width))


def _turns(places: int, size: int) -> FloatArray:
    """Cosines and sines of rotary positions, float32 [shape=(places, size)]."""
    angle = np.arange(places)[:, None] * RATE ** (-np.arange(0, size, 2) / size)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
