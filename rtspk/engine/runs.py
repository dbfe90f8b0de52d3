"""What voices say in a stream as frames of an embedder's trunk, and the windows that pool them.

A picture is cut when a hop is heard, and goes through the trunk when its window is wanted: so those of many
streams can go through it one behind the other, while its weights are near.
"""

from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.trunk import Trunk
from rtspk.types import FloatArray, Segment, Window

__all__ = ["Run", "Sought", "frames_on"]


@dataclass(slots=True)
class Run:
    """What one voice says, from a row on, as frames without a gap; others say next to nothing there.

    first : the row, from which on means are taken too
    begin, end : frames that are known or to come, each a group of rows
    kept : float32 [shape=(frames, width)], those that are known
    coming : behind these, frames of silence and then a picture, float32 [shape=(rows, mels)], again and again
    """

    first: int
    begin: int
    end: int
    kept: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    coming: list[tuple[int, FloatArray]] = field(default_factory=list)

    def go_on(self, silent: int, picture: FloatArray, group: int) -> None:
        """There is more: so many frames of silence, and a picture of frames of `group` rows."""
        self.coming.append((silent, picture))
        self.end += silent + len(picture) // group

    def frames(self, first: int, last: int, kept: int, trunk: Trunk) -> FloatArray:
        """Frames [first, last), float32 [shape=(last - first, width)]; what is to come is made first.

        Frames before `kept` are forgotten then.
        """
        if self.coming:
            parts = [self.kept] if len(self.kept) else []
            for silent, picture in self.coming:
                new = trunk(picture)
                parts += [np.zeros((silent, new.shape[1]), np.float32), new]
            self.kept, self.coming = np.concatenate(parts), []
        frames = self.kept[first - self.begin : last - self.begin]
        if kept > self.begin:
            self.kept = self.kept[kept - self.begin :]
            self.begin = kept
        return frames


@dataclass(frozen=True, slots=True)
class Sought:
    """A window that is wanted.

    mask : float32 [shape=(n,)], of rows, or of frames where there is a run
    rows : float32 [shape=(n, mels)], where there is none
    begin : the first of the frames
    kept : the first that a later window may want
    """

    segment: Segment
    mask: FloatArray
    net_speech: int
    rows: FloatArray | None = None
    run: Run | None = None
    begin: int = 0
    kept: int = 0

    def window(self, trunk: Trunk | None) -> Window:
        """Make it."""
        if self.rows is not None:
            return Window(self.segment, self.rows, self.mask, self.net_speech)
        assert self.run is not None
        assert trunk is not None
        frames = self.run.frames(self.begin, self.begin + len(self.mask), self.kept, trunk)
        return Window(self.segment, frames, self.mask, self.net_speech, encoded=True)


def frames_on(mask: FloatArray, first: int, end: int, group: int) -> FloatArray:
    """Which of the frames that rows lie in are on: those that have most of their rows on.

    Where none has most, those are on that have any.

    Args:
        mask: float32 [shape=(rows,)], from row `first` on
        first: row
        end: behind the last frame that there is
        group: rows of a frame

    Returns:
        float32 [shape=(frames,)], from frame `first // group` on
    """
    begin = first // group
    before = first - begin * group
    rows = np.zeros(-(-(before + len(mask)) // group) * group, np.float32)
    rows[before : before + len(mask)] = mask
    counts = rows.reshape(-1, group).sum(1)[: max(0, end - begin)]
    most = counts > group / 2
    return np.asarray(most if most.any() else counts > 0, np.float32)
