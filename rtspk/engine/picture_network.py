"""A network of convolutions over a picture, in eight bits, by kernels of our own.

It answers as ONNX Runtime does for the same network, to the last bit: sums are of whole numbers, and what is
done to them is done in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from rtspk.engine.eight_bits import Tables, read_tables
from rtspk.engine.picture_steps import Call, Picture, Size, Step, Way
from rtspk.errors import ModelError
from rtspk.kernels.jit import contiguous
from rtspk.kernels.levels import read_bytes, read_words, store_bytes, store_words
from rtspk.kernels.processor import has_wide_registers
from rtspk.kernels.winograd import AT_ONCE, LARGEST_SUM
from rtspk.types import FloatArray

__all__ = ["PictureNetwork"]

LEAST: int = 192  # rows of a picture for which there is room: more than a window of a stream
KEPT: int = 640  # and of the largest for which room is kept (20 MB): more than a piece of a print
DEEP: int = 8  # rows that one row stands for, from which on pictures are so small that tiles of 2 fit better
LINE: int = 64  # bytes of a cache line
FACTORS: int = 3  # of a picture that is added
STEP: int = 4  # numbers that are read at once


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of one height, in a room.

    first : [shape=(rows, places, 1)], the input with its border
    calls : kernels and what they take, which make the answers of all steps, one after the other
    last : [shape=(rows, places, channels)], the answers of the last step, with their border
    frames : the shape of what these stand for, a frame for each row
    """

    first: Picture
    calls: list[Call]
    last: Picture
    frames: Size


class Room:
    """The pictures between steps, and what kernels write to; of one call at a time.

    Args:
        way: in which kernels take them, of this room alone
        steps: of the network
        packs: their weights
        nought: what that is stored as in the input
        height: rows of the highest picture for which there is room
        width: places of all
    """

    def __init__(
        self, way: Way, steps: list[Step], packs: list[Picture], nought: int, height: int, width: int
    ) -> None:
        self.height, self.width = height, width
        self._way, self._steps, self._packs = way, steps, packs
        sizes = _sizes(steps, height, width)
        way.make_room(steps, sizes)
        self._wholes = [_picture(way, height, width, steps[0].inputs, nought)]
        borders = [nought, *(step.border for step in steps)]
        self._known: dict[int, Pictures] = {}  # by height
        last = {number: at for at, step in enumerate(steps) for number in (step.source, step.added)}
        spare: list[tuple[tuple[int, int, int, int], Picture]] = []
        for at, step in enumerate(steps):
            wanted = *sizes[at + 1], step.outputs, step.border
            found = next((i for i, (key, _) in enumerate(spare) if key == wanted), None)
            self._wholes.append(_picture(way, *wanted) if found is None else spare.pop(found)[1])
            for number in {step.source, step.added} - {-1}:
                if last[number] == at and number:  # nobody hears it any more
                    whole = self._wholes[number]
                    spare.append(((*sizes[number], whole.shape[2], borders[number]), whole))

    def pictures(self, height: int) -> Pictures:
        """The part of the room that pictures of one height take."""
        if height not in self._known:
            self._known[height] = self._part(height)
        return self._known[height]

    def _part(self, height: int) -> Pictures:
        sizes = _sizes(self._steps, height, self.width)
        pictures = [whole[: _filled(down)] for whole, (down, _) in zip(self._wholes, sizes, strict=True)]
        calls = []
        for number, (step, pack) in enumerate(zip(self._steps, self._packs, strict=True), 1):
            out = pictures[number]
            other = out if step.added < 0 else pictures[step.added]
            calls.append(self._way.call(step, pack, pictures[step.source], other, out, sizes[number]))
        down, across = sizes[-1]
        return Pictures(pictures[0], calls, pictures[-1], (down, across * self._steps[-1].outputs))


class PictureNetwork:
    """Safe for threads, read-only but for the room that it keeps.

    tables : `steps`, int [shape=(steps, 3)]: for each the pictures that it hears and adds, as in `Step`, and
        its hop; `zeros`, uint8 [shape=(steps + 1, 2)], what nought is stored as: in a convolution's answers
        and in the picture made of them, the input twice; `ratios`, float32 [shape=(steps, 3)]; `levels`,
        float32 [shape=(2,)], what 1 of the input and of the last picture stands for; of step n `weights{n}`,
        int8 [shape=(N, taps, taps, C)], `bias{n}`, int32 [shape=(N,)], `scales{n}`, float32 [shape=(N,)]
    """

    def __init__(self, tables: Tables, way: Callable[[], Way] | None = None) -> None:
        """Read tables; `way` is the fastest one unless told otherwise."""
        self._way = _fastest() if way is None else way
        chain, zeros = tables["steps"], tables["zeros"].astype(int)
        self._levels: FloatArray = tables["levels"]
        if not len(chain) or zeros.shape != (len(chain) + 1, 2) or self._levels.shape != (2,):
            raise ValueError("steps")
        self._nought, self._last = int(zeros[0, 1]), int(zeros[-1, 1])
        self._steps: list[Step] = []
        depths, channels = [1], [tables["weights0"].shape[3]]
        for number, (source, added, hop) in enumerate(chain.tolist()):
            depths.append(depths[source] * hop)
            step = _step(tables, number, int(zeros[source, 1]), small=depths[-1] >= DEEP)
            channels.append(step.outputs)
            known = -1 <= added <= number and 0 <= source <= number and hop in {1, 2}
            if not known or (added >= 0 and (depths[added], channels[added]) != (depths[-1], channels[-1])):
                raise ValueError(number)
            if channels[source] != step.inputs:
                raise ValueError(number)
            self._steps.append(step)
        maker = self._way()
        self._packs = _together([maker.packed(step) for step in self._steps])
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
        pictures = room.pictures(len(rows))
        store, read = (store_bytes, read_bytes) if pictures.first.itemsize == 1 else (store_words, read_words)
        # What is no number is as little as can be, as with ONNX Runtime.
        store(contiguous(rows), self._levels[0], self._nought, pictures.first)
        pictures.first[len(rows) + 1 :] = self._nought
        for kernel, arguments in pictures.calls:
            kernel(*arguments)
        frames = np.empty(pictures.frames, np.float32)
        read(pictures.last, self._last, self._levels[1], frames)
        if room.height <= KEPT:
            self._rooms.append(room)
        return frames

    def _room(self, height: int, width: int) -> Room:
        """Room that no other call has."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = None
        if room is None or height > room.height or width != room.width:
            room = Room(self._way(), self._steps, self._packs, self._nought, max(height, LEAST), width)
        return room


def _fastest() -> Callable[[], Way]:
    """The kernels of the other way are not compiled, which not every processor could."""
    if has_wide_registers():
        from rtspk.engine.by_bytes import ByBytes

        return ByBytes
    from rtspk.engine.by_tiles import ByTiles

    return ByTiles


def _step(tables: Tables, number: int, heard: int, *, small: bool) -> Step:
    """A step of the tables; `heard` is what nought is stored as in its input."""
    weights, bias, scales, ratios = (
        tables[name] for name in (f"weights{number}", f"bias{number}", f"scales{number}", "ratios")
    )
    source, added, hop = tables["steps"][number].tolist()
    outputs, taps, across, _ = weights.shape
    sums = np.abs(weights.astype(np.int64)).sum((1, 2, 3)) * 255 + np.abs(bias.astype(np.int64))
    step = Step(
        source=source,
        added=added,
        hop=hop,
        weights=weights,
        bias=(bias - heard * weights.sum((1, 2, 3), dtype=np.int32)).astype(np.int32),
        scales=np.ascontiguousarray(scales, np.float32),
        ratios=np.ascontiguousarray(ratios[number][: FACTORS if added >= 0 else 0], np.float32),
        zero=int(tables["zeros"][number + 1, 0]),
        border=int(tables["zeros"][number + 1, 1]),
        small=small,
    )
    wrong = (
        weights.dtype != np.int8
        or taps not in {1, 3}
        or across != taps
        or outputs % AT_ONCE
        or bias.shape != (outputs,)
        or scales.shape != (outputs,)
        or sums.max() >= LARGEST_SUM
        or (added >= 0 and not step.has_tiles)
    )
    if wrong:
        raise ValueError(number)
    return step


def _together(packs: list[Picture]) -> list[Picture]:
    """Copies in one piece of memory, for which the system has larger pages; each begins with a cache line."""
    size = packs[0].itemsize
    line = LINE // size
    ends = np.cumsum([0, *(len(pack) + -len(pack) % line for pack in packs)]).tolist()
    whole = np.empty(ends[-1] + line, packs[0].dtype)
    whole = whole[-(whole.ctypes.data // size) % line :]
    own = []
    for pack, (begin, _) in zip(packs, pairwise(ends), strict=True):
        own.append(whole[begin : begin + len(pack)])
        own[-1][...] = pack
    return own


def _sizes(steps: list[Step], height: int, width: int) -> list[Size]:
    """Rows and places of the input and of each step's answers."""
    sizes = [(height, width)]
    for step in steps:
        down, across = sizes[step.source]
        sizes.append((-(-down // step.hop), -(-across // step.hop)))
    return sizes


def _filled(size: int) -> int:
    """Rows or places of a picture with its border."""
    return size + -size % 4 + 2


def _picture(way: Way, height: int, width: int, channels: int, border: int) -> Picture:
    """Room for a picture as the kernels of a way have them."""
    shape = _filled(height), _filled(width), channels
    size = shape[0] * shape[1] * channels
    whole = np.full(size + way.slack * channels + STEP, border, way.number)
    return whole[:size].reshape(shape)
