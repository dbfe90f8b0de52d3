"""The steps of a network over pictures, and what a way has in which kernels take them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.winograd import AT_ONCE
from rtspk.types import FloatArray

__all__ = ["Call", "Picture", "Size", "Step", "Way"]

Call = tuple[Callable[..., None], tuple[object, ...]]  # a kernel, and what it takes
Picture = NDArray[Any]  # uint8 or int16, by the way
Size = tuple[int, int]  # rows and places


@dataclass(frozen=True, slots=True)
class Step:
    """A convolution, and what is done to its answers.

    source, added : numbers of the pictures heard: 0 is the input, n + 1 the answer of step n; or -1
    hop : places between two answers
    weights : int8 [shape=(N, taps, taps, inputs)]
    bias : int32 [shape=(N,)]
    scales : float32 [shape=(N,)]
    ratios : float32 [shape=(3,)], of the picture that is added, or [shape=(0,)]
    zero : of the convolution's answers
    border : what nought is stored as behind them
    small : whether pictures are so small that tiles of 2 fit better than those of 4
    """

    source: int
    added: int
    hop: int
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scales: FloatArray
    ratios: FloatArray
    zero: int
    border: int
    small: bool

    @property
    def outputs(self) -> int:
        """Channels of the answers."""
        return len(self.bias)

    @property
    def inputs(self) -> int:
        """Channels of what is heard."""
        return int(self.weights.shape[3])

    @property
    def taps(self) -> int:
        """Of the weights, either way."""
        return int(self.weights.shape[1])

    @property
    def has_tiles(self) -> bool:
        """Whether answers can be made by tiles."""
        return self.taps == 3 and self.hop == 1 and not self.inputs % AT_ONCE

    @property
    def n(self) -> int:
        """Answers of a tile either way; 0 where none are made by tiles."""
        return (2 if self.small else 4) if self.has_tiles else 0

    def runs(self, whole: int) -> NDArray[np.int8]:
        """Weights of each output, with nought behind each run of taps * inputs up to a whole multiple."""
        runs = self.weights.reshape(self.outputs, self.taps, -1)
        filled = np.pad(runs, ((0, 0), (0, 0), (0, -runs.shape[2] % whole)))
        return filled.reshape(self.outputs, -1)


class Way(Protocol):
    """How kernels take pictures and weights, and what they write to; all ways answer the same."""

    @property
    def number(self) -> type[np.generic]:
        """Of pictures."""

    @property
    def slack(self) -> int:
        """Places of room behind a picture."""

    def packed(self, step: Step) -> Picture:
        """A step's weights as its kernel takes them, of one dimension."""

    def make_room(self, steps: list[Step], sizes: list[Size]) -> None:
        """Make what kernels write to between steps, for pictures of these sizes, the input's first."""

    def call(
        self, step: Step, pack: Picture, heard: Picture, other: Picture, out: Picture, size: Size
    ) -> Call:
        """The kernel that makes a step's answers, of a size; `other` is the picture that is added, if any."""
