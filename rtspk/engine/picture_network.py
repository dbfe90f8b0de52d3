"""A network of convolutions over a picture, in eight bits, by kernels of our own.

It answers as ONNX Runtime does for the same network, to the last bit: sums are of whole numbers, and what is
done to them is done in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.eight_bits import Tables, read_tables
from rtspk.errors import ModelError
from rtspk.kernels.pairs import STEP, packed
from rtspk.kernels.pictures import BLOCKS, ROWS, SLACK, convolve, convolve_by_tiles
from rtspk.kernels.winograd import AT_ONCE, LARGEST_SUM, weights_at_points
from rtspk.types import FloatArray

__all__ = ["PictureNetwork"]

MOST: int = 20  # tiles done at once: their sums stay in the cache that is near
LEAST: int = 192  # rows of a picture for which there is room: more than a window of a stream
KEPT: int = 640  # and of the largest for which room is kept (20 MB): more than a piece of a print
DEEP: int = 8  # rows that one row stands for, from which on pictures are so small that tiles of 2 fit better
LINE: int = 64  # bytes of a cache line
FACTORS: int = 3  # of a picture that is added

Call = tuple[Callable[..., None], tuple[object, ...]]  # a kernel, and what it takes


@dataclass(frozen=True, slots=True)
class Step:
    """A convolution, and what is done to its answers.

    source, added : numbers of the pictures heard: 0 is the input, n + 1 the answer of step n; or -1
    hop : places between two answers
    taps : of the weights, either way
    n : answers of a tile either way; 0 where none are made by tiles
    inputs : channels
    bias : int32 [shape=(N,)]
    scales : float32 [shape=(N,)]
    ratios : float32 [shape=(3,)], of the picture that is added, or [shape=(0,)]
    zero : of the convolution's answers
    border : what nought is stored as behind them
    """

    source: int
    added: int
    hop: int
    taps: int
    n: int
    inputs: int
    bias: NDArray[np.int32]
    scales: FloatArray
    ratios: FloatArray
    zero: int
    border: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of one height, in a room.

    first : int16 [shape=(rows, places, 1)], the input with its border
    calls : kernels and what they take, which make the answers of all steps, one after the other
    last : int16 [shape=(rows, places, channels)], the answers of the last step
    """

    first: NDArray[np.int16]
    calls: list[Call]
    last: NDArray[np.int16]


class Room:
    """The pictures between steps, and what kernels write to; of one call at a time.

    Args:
        steps: of the network
        packs: their weights, int16 [shape=(n,)] each
        nought: what that is stored as in the input
        height: rows of the highest picture for which there is room
        width: places of all
    """

    def __init__(
        self, steps: list[Step], packs: list[NDArray[np.int16]], nought: int, height: int, width: int
    ) -> None:
        self.height, self.width = height, width
        self._steps, self._packs = steps, packs
        self._wholes = [_picture(height, width, steps[0].inputs, nought)]
        self._borders = [nought, *(step.border for step in steps)]
        self._known: dict[int, Pictures] = {}  # by height
        sizes = _sizes(steps, height, width)
        last = {number: at for at, step in enumerate(steps) for number in (step.source, step.added)}
        spare: list[tuple[tuple[int, int, int, int], NDArray[np.int16]]] = []
        spread, sums = 1, 1
        for at, step in enumerate(steps):
            down, across = sizes[at + 1]
            wanted = down, across, len(step.bias), step.border
            found = next((i for i, (key, _) in enumerate(spare) if key == wanted), None)
            self._wholes.append(_picture(*wanted) if found is None else spare.pop(found)[1])
            for number in {step.source, step.added} - {-1}:
                if last[number] == at and number:  # nobody hears it any more
                    whole = self._wholes[number]
                    spare.append(((*sizes[number], whole.shape[2], self._borders[number]), whole))
            points, tiles = (step.n + 2) ** 2, across + ROWS
            if step.n:
                tiles = max(MOST, -(-across // step.n)) + ROWS
                spread = max(spread, points * tiles * step.inputs)
            sums = max(sums, points * tiles * AT_ONCE)
        self._spread, self._sums = np.zeros(spread, np.int16), np.zeros(sums, np.int32)

    def pictures(self, height: int) -> Pictures:
        """The part of the room that pictures of one height take."""
        if height not in self._known:
            self._known[height] = self._part(height)
        return self._known[height]

    def _part(self, height: int) -> Pictures:
        sizes = _sizes(self._steps, height, self.width)
        pictures = [whole[: _filled(down)] for whole, (down, _) in zip(self._wholes, sizes, strict=True)]
        calls: list[Call] = []
        for number, (step, pack) in enumerate(zip(self._steps, self._packs, strict=True), 1):
            heard, out, size = pictures[step.source], pictures[number], sizes[number]
            own = pack, step.bias, step.scales, step.zero
            if step.n:
                told = (out if step.added < 0 else pictures[step.added]), step.ratios, out, step.border
                rooms = MOST, self._spread, self._sums
                calls.append((convolve_by_tiles, (heard, *size, step.n, *own, *told, *rooms)))
            else:
                answers = out, step.border, self._sums
                calls.append((convolve, (heard, *size, step.taps, step.hop, *own, *answers)))
        down, across = sizes[-1]
        return Pictures(pictures[0], calls, pictures[-1][1 : down + 1, 1 : across + 1])


class PictureNetwork:
    """Safe for threads, read-only but for the room that it keeps.

    tables : `steps`, int [shape=(steps, 3)]: for each the pictures that it hears and adds, as in `Step`, and
        its hop; `zeros`, uint8 [shape=(steps + 1, 2)], what nought is stored as: in a convolution's answers
        and in the picture made of them, the input twice; `ratios`, float32 [shape=(steps, 3)]; `levels`,
        float32 [shape=(2,)], what 1 of the input and of the last picture stands for; of step n `weights{n}`,
        int8 [shape=(N, taps, taps, C)], `bias{n}`, int32 [shape=(N,)], `scales{n}`, float32 [shape=(N,)]
    """

    def __init__(self, tables: Tables) -> None:
        chain, zeros = tables["steps"], tables["zeros"].astype(int)
        self._levels: FloatArray = tables["levels"]
        if not len(chain) or zeros.shape != (len(chain) + 1, 2) or self._levels.shape != (2,):
            raise ValueError("steps")
        self._nought, self._last = int(zeros[0, 1]), int(zeros[-1, 1])
        self._steps: list[Step] = []
        packs: list[NDArray[np.int16]] = []
        depths, channels = [1], [tables["weights0"].shape[3]]
        for number, (source, added, hop) in enumerate(chain.tolist()):
            depths.append(depths[source] * hop)
            step, pack = _step(tables, number, int(zeros[source, 1]), deep=depths[-1] >= DEEP)
            channels.append(len(step.bias))
            known = -1 <= added <= number and 0 <= source <= number and hop in {1, 2}
            if not known or (added >= 0 and (depths[added], channels[added]) != (depths[-1], channels[-1])):
                raise ValueError(number)
            if channels[source] != step.inputs:
                raise ValueError(number)
            self._steps.append(step)
            packs.append(pack)
        self._packs = _together(packs)
        self._rooms: list[Room] = []

    @classmethod
    def read(cls, path: Path) -> "PictureNetwork":
        """Raises ModelError where the file is none of such tables."""
        return read_tables(path, cls, "a network over pictures")

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Frames of a picture of one channel.

        Args:
            rows: float32 [shape=(rows, width)]

        Returns:
            float32 [shape=(frames, channels * places)]
        """
        if rows.ndim != 2 or not rows.size or self._steps[0].inputs != 1:
            raise ModelError(f"wanted a picture of one channel, got shape {rows.shape}")
        room = self._room(*rows.shape)
        pictures, (height, width) = room.pictures(len(rows)), rows.shape
        # What is no number is as little as can be, as with ONNX Runtime.
        stored = np.fmin(np.fmax(np.rint(rows / self._levels[0]), -self._nought), 255 - self._nought)
        pictures.first[1 : height + 1, 1 : width + 1, 0] = stored + self._nought
        pictures.first[height + 1 :] = self._nought
        for kernel, arguments in pictures.calls:
            kernel(*arguments)
        inside = pictures.last.transpose(0, 2, 1)
        frames = ((inside - np.int16(self._last)) * self._levels[1]).reshape(len(inside), -1)
        if room.height <= KEPT:
            self._rooms.append(room)
        return np.asarray(frames, np.float32)

    def _room(self, height: int, width: int) -> Room:
        """Room that no other call has."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = None
        if room is None or height > room.height or width != room.width:
            room = Room(self._steps, self._packs, self._nought, max(height, LEAST), width)
        return room


def _step(tables: Tables, number: int, heard: int, *, deep: bool) -> tuple[Step, NDArray[np.int16]]:
    """A step and its weights as kernels take them; `heard` is what nought is stored as in its input."""
    weights, bias, scales, ratios = (
        tables[name] for name in (f"weights{number}", f"bias{number}", f"scales{number}", "ratios")
    )
    source, added, hop = tables["steps"][number].tolist()
    outputs, taps, across, inputs = weights.shape
    by_tiles = taps == 3 and hop == 1 and not inputs % AT_ONCE
    sums = np.abs(weights.astype(np.int64)).sum((1, 2, 3)) * 255 + np.abs(bias.astype(np.int64))
    wrong = (
        weights.dtype != np.int8
        or taps not in {1, 3}
        or across != taps
        or outputs % AT_ONCE
        or bias.shape != (outputs,)
        or scales.shape != (outputs,)
        or sums.max() >= LARGEST_SUM
        or (added >= 0 and not by_tiles)
    )
    if wrong:
        raise ValueError(number)
    n = (2 if deep else 4) if by_tiles else 0
    step = Step(
        source=source,
        added=added,
        hop=hop,
        taps=taps,
        n=n,
        inputs=inputs,
        bias=(bias - heard * weights.sum((1, 2, 3), dtype=np.int32)).astype(np.int32),
        scales=np.ascontiguousarray(scales, np.float32),
        ratios=np.ascontiguousarray(ratios[number][: FACTORS if added >= 0 else 0], np.float32),
        zero=int(tables["zeros"][number + 1, 0]),
        border=int(tables["zeros"][number + 1, 1]),
    )
    return step, _by_tiles(weights, n) if n else _in_runs(weights)


def _by_tiles(weights: NDArray[np.int8], n: int) -> NDArray[np.int16]:
    """Of each 16 outputs all points, each packed."""
    outputs = len(weights)
    points = [packed(one, BLOCKS).reshape(outputs // AT_ONCE, -1) for one in weights_at_points(weights, n)]
    return np.stack(points, 1).reshape(-1)


def _in_runs(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """Packed, with nought behind each run of taps * C up to whole fours."""
    outputs, taps = weights.shape[:2]
    runs = weights.reshape(outputs, taps, -1).astype(np.int16)
    filled = np.pad(runs, ((0, 0), (0, 0), (0, -runs.shape[2] % STEP)))
    return packed(filled.reshape(outputs, -1), BLOCKS)


def _together(packs: list[NDArray[np.int16]]) -> list[NDArray[np.int16]]:
    """Copies in one piece of memory, for which the system has larger pages; each begins with a cache line."""
    line = LINE // 2
    ends = np.cumsum([0, *(len(pack) + -len(pack) % line for pack in packs)]).tolist()
    whole = np.empty(ends[-1] + line, np.int16)
    whole = whole[-(whole.ctypes.data // 2) % line :]
    own = []
    for pack, (begin, _) in zip(packs, pairwise(ends), strict=True):
        own.append(whole[begin : begin + len(pack)])
        own[-1][...] = pack
    return own


def _sizes(steps: list[Step], height: int, width: int) -> list[tuple[int, int]]:
    """Rows and places of the input and of each step's answers."""
    sizes = [(height, width)]
    for step in steps:
        down, across = sizes[step.source]
        sizes.append((-(-down // step.hop), -(-across // step.hop)))
    return sizes


def _filled(size: int) -> int:
    """Rows or places of a picture with its border."""
    return size + -size % 4 + 2


def _picture(height: int, width: int, channels: int, border: int) -> NDArray[np.int16]:
    """Room for a picture as `rtspk.kernels.pictures` has them."""
    shape = _filled(height), _filled(width), channels
    size = shape[0] * shape[1] * channels
    whole = np.full(size + SLACK * channels + STEP, border, np.int16)
    return whole[:size].reshape(shape)
