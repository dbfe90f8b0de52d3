"""Where the segmenter's local speakers spoke in the last hops, and who of the next window they are."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.local import LocalActivity
from rtspk.engine.powerset import LOCAL_SPEAKERS
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.tracker_state import RECENT, Links

__all__ = ["Traces"]


@dataclass(frozen=True, slots=True)
class Trace:
    """When one local speaker spoke in one hop: frame i of `active`, bool [shape=(n,)], is `first` + i."""

    piece: int
    first: int
    active: NDArray[np.bool_]


@dataclass(slots=True)
class Traces:
    """The last pieces, as many as the tracker remembers."""

    kept: deque[Trace] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, piece: int, first: int, active: NDArray[np.bool_]) -> None:
        """Remember one piece: frame i of `active`, bool [shape=(n,)], is frame `first` + i of the stream."""
        self.kept.append(Trace(piece, first, active))

    def links(self, activity: LocalActivity) -> list[Links]:
        """For each local speaker of a window: the pieces whose speech it gives to that speaker."""
        near = [trace for trace in self.kept if trace.first + len(trace.active) > activity.first]
        if not near:
            return [()] * LOCAL_SPEAKERS
        # These as rows over the window's frames: one product then counts what each shares with whom.
        rows = np.zeros((len(near), len(activity.active)), np.float32)
        for row, trace in zip(rows, near, strict=True):
            first = max(trace.first, activity.first)
            last = min(trace.first + len(trace.active), activity.first + len(row))
            if first < last:
                own = trace.active[first - trace.first : last - trace.first]
                row[first - activity.first : last - activity.first] = own
        shared = (rows @ activity.active.astype(np.float32)).astype(np.int64)  # (pieces, 3)
        return [
            tuple(
                (trace.piece, frames * ACTIVITY_HOP)
                for trace, frames in zip(near, shared[:, speaker].tolist(), strict=True)
                if frames
            )
            for speaker in range(LOCAL_SPEAKERS)
        ]
