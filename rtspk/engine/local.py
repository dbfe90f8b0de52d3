"""What the segmenter hears in one window, as decisions: which local speaker speaks when, and when alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.powerset import LOCAL_SPEAKERS, ORDERS
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.settings import ActivityConfig
from rtspk.kernels.runs import speech_runs
from rtspk.types import FloatArray, Segment, seconds_of

__all__ = ["LocalActivity", "LocalChances", "blended", "decided", "spoken"]

FRAME_SECONDS: float = seconds_of(ACTIVITY_HOP)
LEAST_SHARED: int = 6  # frames by which local speakers of two windows are told to be the same


@dataclass(frozen=True, slots=True)
class LocalChances:
    """How likely each local speaker is active in the frames of one window.

    values : float32 [shape=(frames, 3)], frame i begins at sample (first + i) * 640 of the stream
    """

    first: int
    values: FloatArray


@dataclass(frozen=True, slots=True)
class LocalActivity:
    """Decisions for one window.

    active : bool [shape=(frames, 3)], frame i begins at sample (first + i) * 640 of the stream
    chances : float32 [shape=(frames, 3)], what was decided on
    """

    first: int
    active: NDArray[np.bool_]
    chances: FloatArray

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Where a speaker is the only one, bool [shape=(frames, 3)]."""
        alone: NDArray[np.bool_] = self.active & (self.active.sum(1, keepdims=True) == 1)
        return alone

    def region(self, start: int, end: int) -> slice:
        """The frames that begin in samples [start, end), as far as the window knows them."""
        low, high = -(-start // ACTIVITY_HOP) - self.first, -(-end // ACTIVITY_HOP) - self.first
        return slice(max(0, low), max(0, min(high, len(self.active))))

    def certainty(self, speaker: int, region: slice) -> float:
        """The mean chance of a speaker where active within a region; 0 where nowhere."""
        chances = self.chances[region, speaker][self.active[region, speaker]]
        return float(chances.mean()) if len(chances) else 0.0

    def spans(self, speaker: int, region: slice, end: int) -> list[Segment]:
        """Where a speaker is active within a region, in samples; nothing lies behind `end`."""
        active = self.active[region, speaker]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
        base = self.first + region.start
        spans = [
            Segment((base + int(a)) * ACTIVITY_HOP, min(end, (base + int(b)) * ACTIVITY_HOP))
            for a, b in edges.reshape(-1, 2)
        ]
        return [span for span in spans if span.duration > 0]


def blended(
    newest: LocalChances, earlier: LocalChances, config: ActivityConfig, memory: float
) -> LocalChances:
    """The newest window with what the windows before it said of the same moments.

    The local speakers of the newest are put in the order in which the two agree best, so that a number stays
    with a voice for as long as windows overlap. Averaging overlapping windows is what diart does too
    (arXiv:2109.06483); here the mean is carried on, so that older windows fade.

    Args:
        newest: of the window that ends now
        earlier: what this function gave for the window before
        config: which end of the earlier one is left out
        memory: how much the earlier ones count
    """
    edge = round(config.edge_seconds / FRAME_SECONDS)
    start = max(newest.first, earlier.first)
    end = min(newest.first + len(newest.values), earlier.first + len(earlier.values) - edge)
    if end - start < LEAST_SHARED:
        return newest
    before = earlier.values[start - earlier.first : end - earlier.first]
    shared = slice(start - newest.first, end - newest.first)
    alike = newest.values[shared].T @ before
    best = ORDERS[int(np.argmax(alike[ORDERS, np.arange(LOCAL_SPEAKERS)].sum(1)))]
    values = newest.values[:, best]
    if memory:
        values[shared] += np.float32(memory) * (before - values[shared])
    return LocalChances(newest.first, values)


def decided(chances: LocalChances, config: ActivityConfig) -> LocalActivity:
    """Turn the chances of one window into decisions."""
    return LocalActivity(chances.first, spoken(chances.values, config), chances.values)


def spoken(chances: FloatArray, config: ActivityConfig) -> NDArray[np.bool_]:
    """Speech by hysteresis, short pauses filled, short blips dropped.

    Args:
        chances: float32 [shape=(frames, speakers)], one for each 40 ms
        config: the thresholds and the shortest lengths

    Returns:
        bool [shape=(frames, speakers)]
    """
    out = np.empty(chances.shape, np.bool_)
    gap, shortest = config.gap_seconds / FRAME_SECONDS, config.shortest_seconds / FRAME_SECONDS
    speech_runs(chances, np.float32(config.onset), np.float32(config.offset), gap, shortest, out)
    return out
