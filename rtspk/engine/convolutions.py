"""From how loud filters are to frames for recurrences: convolutions in eight bits, with norms over time.

What a network of this make (PyanNet) does between its filters and its recurrences. Norms are those of what is
heard, or go on as they were told before.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.eight_bits import Matrix, Tables, read_tables
from rtspk.kernels.convolution import BLOCKS, NOUGHT, ONE, POOLED, SLOPE, WIDE, convolve, moments, narrowed
from rtspk.kernels.products import QUAD
from rtspk.types import FloatArray

__all__ = ["Convolutions", "Norm"]

SMALL = np.float32(1e-5)  # added to variances
ROOM: int = POOLED * WIDE + POOLED  # numbers that a kernel writes to

Norm = tuple[FloatArray, FloatArray]  # scale and offset of each channel
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Stage:
    """A norm, and the convolution behind it where there is one.

    scale, offset : float32 [shape=(channels,)], 0 for those that only fill a tile up
    """

    scale: FloatArray
    offset: FloatArray
    taps: int
    matrix: Matrix | None


class Convolutions:
    """Read-only.

    tables : `level`, float32 [shape=()], the scale of the samples' norm; of norm n `norm{n}_scale` and
        `norm{n}_offset`, float32 [shape=(inputs,)]; of the convolution behind it, where there is one,
        `convolution{n}_weights`, int8 [shape=(outputs, taps, inputs)], `convolution{n}_scales`, float32
        [shape=(outputs,)], and `convolution{n}_most`, float32 [shape=(inputs,)], the most that it hears
    """

    def __init__(self, tables: Tables) -> None:
        self._level = np.float32(tables["level"])
        self._stages: list[Stage] = []
        self._nothing = np.zeros(WIDE, np.float32)
        self.channels = len(tables["norm0_scale"])
        width = self.channels + -self.channels % QUAD
        matrix: Matrix | None = None
        norms = sum(name.startswith("norm") and name.endswith("_scale") for name in tables)
        for number in range(norms):
            scale, offset = (tables[f"norm{number}_{name}"] for name in ("scale", "offset"))
            if len(offset) != len(scale) or (matrix is not None and len(scale) != matrix.outputs):
                raise ValueError(number)
            name, taps, matrix = f"convolution{number}", 0, None
            if f"{name}_weights" in tables:
                weights, most = tables[f"{name}_weights"], tables[f"{name}_most"]
                outputs, taps, _ = weights.shape
                if weights.dtype != np.int8:
                    raise ValueError(name)
                scale, offset = scale / most, offset / most
                filled = np.zeros((outputs, taps, width), np.int8)
                filled[:, :, : len(scale)] = weights
                sizes: FloatArray = tables[f"{name}_scales"]
                matrix = Matrix(filled.reshape(outputs, -1), sizes / ONE, BLOCKS, NOUGHT)
            self._stages.append(Stage(_filled(scale, width), _filled(offset, width), taps, matrix))
            self.width = len(scale)
            if (matrix is None) != (number == norms - 1):
                raise ValueError(number)
            if matrix is not None:
                width = len(matrix.scales)

    @classmethod
    def read(cls, path: Path) -> "Convolutions":
        """Raises ModelError where the file is none of such tables."""
        return read_tables(path, cls)

    def whole(
        self, loudness: FloatArray, deviation: float, lasting: int = 0
    ) -> tuple[FloatArray, list[Norm]]:
        """Frames by the norms of what is heard, and these.

        Args:
            loudness: float32 [shape=(places, channels)]
            deviation: of the samples
            lasting: places behind these that are like the last of them; they count, and cost nothing

        Returns:
            float32 [shape=(frames, width)], and a norm for each stage
        """
        norms: list[Norm] = []
        frames = self._follow(loudness, norms, self._level / np.float32(deviation), lasting)
        return frames, norms

    def more(self, loudness: FloatArray, norms: list[Norm]) -> FloatArray:
        """Frames by norms that were told, float32 [shape=(frames, width)]; `loudness` as in `whole`."""
        return self._follow(loudness, norms, np.float32(1.0))

    def _follow(
        self, loudness: FloatArray, norms: list[Norm], level: np.float32, lasting: int = 0
    ) -> FloatArray:
        """Adds the norms of what it hears to those that are known; `level` is of the loudness."""
        x = loudness
        if spare := -x.shape[1] % QUAD:
            x = np.pad(x, ((0, 0), (0, spare)))
        x = np.ascontiguousarray(x, np.float32)
        for number, stage in enumerate(self._stages):
            if number == len(norms):
                norms.append(_norm(x, lasting, stage, level))
            scale, offset = norms[number]
            if stage.matrix is None:
                x = x[:, : self.width] * scale[: self.width] + offset[: self.width]
                frames: FloatArray = np.maximum(x, SLOPE * x)
                return _with_last(frames, lasting)
            heard = np.empty(x.shape, np.uint8)
            narrowed(x, scale, offset, heard)
            # From the first answer that hears but the last place on, all are alike.
            answers = (len(heard) + lasting - stage.taps + 1) // POOLED
            told = min(answers, -(-(len(heard) - 1) // POOLED) + 1)
            wanted = max(0, POOLED * told + stage.taps - 1 - len(heard))
            heard = _with_last(heard, min(lasting, wanted))
            lasting = answers - told
            own = stage.matrix
            x = np.empty((told, len(own.scales)), np.float32)
            room = np.empty(ROOM, np.float32)
            convolve(heard, own.weights, own.starts, own.scales, self._nothing, room, x)
            level = np.float32(1.0)
        raise AssertionError("the last stage has no convolution")


def _norm(x: FloatArray, lasting: int, stage: Stage, level: np.float32) -> Norm:
    """What makes x * level have the stage's scale and offset over time, with so many more like its last."""
    mean, variance = np.empty((2, x.shape[1]), np.float32)
    moments(x, mean, variance)
    if lasting:
        share = np.float32(lasting / (len(x) + lasting))
        apart = x[-1] - mean
        mean += share * apart
        variance = (1 - share) * (variance + share * apart * apart)
    scale = stage.scale * level / np.sqrt(variance * level * level + SMALL)
    return scale, stage.offset - mean * scale


def _with_last(rows: NDArray[Number], times: int) -> NDArray[Number]:
    """Rows, and the last of them so many times more."""
    return np.concatenate([rows, np.repeat(rows[-1:], times, axis=0)]) if times else rows


def _filled(values: FloatArray, width: int) -> FloatArray:
    out = np.zeros(width, np.float32)
    out[: len(values)] = values
    return out
