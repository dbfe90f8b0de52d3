"""Who spoke when against the truth: DER, JER and the count of speakers, exact in time.

Time is cut at every boundary of either side, so that nothing is rounded to frames. A speaker whose own
turns overlap speaks once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtspk.assignment import assign
from rtspk.errors import ConfigError, FormatError
from rtspk.metrics.pooled import Pooled

__all__ = [
    "DiarizationError",
    "JaccardError",
    "Region",
    "SpeakerCountError",
    "Spoken",
    "diarization_error",
    "jaccard_error",
    "optimal_mapping",
    "speaker_count_error",
]


class Region(Protocol):
    """A stretch of time in seconds, such as a line of UEM."""

    @property
    def start(self) -> float:
        """Where it begins, in seconds."""

    @property
    def end(self) -> float:
        """Where it ends, in seconds."""


class Spoken(Region, Protocol):
    """A stretch of time in seconds with who spoke, such as a line of RTTM."""

    @property
    def speaker(self) -> str:
        """Who spoke."""


@dataclass(frozen=True, slots=True)
class DiarizationError(Pooled):
    """Parts of the diarization error rate, in seconds; `+` pools files."""

    total: float = 0.0  # reference speech, each speaker counted where several speak
    miss: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0

    @property
    def rate(self) -> float:
        """DER as a fraction; without reference speech it is 1 if there are false alarms, else 0."""
        return (self.miss + self.false_alarm + self.confusion) / self._whole

    @property
    def rates(self) -> tuple[float, float, float]:
        """Miss, false alarm and confusion as fractions, which add up to the DER."""
        return self.miss / self._whole, self.false_alarm / self._whole, self.confusion / self._whole

    @property
    def _whole(self) -> float:
        return self.total or self.false_alarm or 1.0  # without reference speech all else is zero


@dataclass(frozen=True, slots=True)
class JaccardError(Pooled):
    """Parts of the Jaccard error rate: the errors of all reference speakers, summed; `+` pools files."""

    error: float = 0.0
    speakers: int = 0

    @property
    def rate(self) -> float:
        """JER as a fraction, each reference speaker with equal weight; 0 where there is none."""
        return self.error / self.speakers if self.speakers else 0.0


@dataclass(frozen=True, slots=True)
class SpeakerCountError(Pooled):
    """By how many speakers the answer is off, summed over files; `+` pools files."""

    missing: int = 0  # files with too few add here
    extra: int = 0  # files with too many add here
    files: int = 0

    @property
    def mean(self) -> float:
        """Mean absolute error per file, in speakers."""
        return (self.missing + self.extra) / self.files if self.files else 0.0


def diarization_error(
    reference: Sequence[Spoken],
    hypothesis: Sequence[Spoken],
    *,
    regions: Sequence[Region] | None = None,
    collar: float = 0.0,
    skip_overlap: bool = False,
) -> DiarizationError:
    """Measure one file; hypothesis speakers are mapped one to one so that the error is least.

    Args:
        reference: the truth.
        hypothesis: the answer; its speakers' names need not be those of the reference.
        regions: what is scored (UEM); None is everything from the first to the last turn of either side.
        collar: seconds left out around each start and end of a reference turn, **half before and half
            after**, as in pyannote.metrics. NIST's md-eval names one side: its `-c 0.25` is 0.5 here.
        skip_overlap: leave out where two or more reference speakers speak.
    """
    grid = _Grid(reference, hypothesis, regions, collar, skip_overlap)
    spoken = grid.reference.sum(axis=0)  # (cells,)
    answered = grid.hypothesis.sum(axis=0)  # (cells,)
    correct = np.zeros(len(grid.seconds), dtype=np.int64)
    for row, column in grid.pairs():
        correct += grid.reference[row] & grid.hypothesis[column]
    both = np.minimum(spoken, answered)
    return DiarizationError(
        total=float(spoken @ grid.seconds),
        miss=float((spoken - both) @ grid.seconds),
        false_alarm=float((answered - both) @ grid.seconds),
        confusion=float((both - correct) @ grid.seconds),
    )


def optimal_mapping(
    reference: Sequence[Spoken],
    hypothesis: Sequence[Spoken],
    *,
    regions: Sequence[Region] | None = None,
    collar: float = 0.0,
    skip_overlap: bool = False,
) -> dict[str, str]:
    """Map hypothesis to reference speakers as the diarization error does; who shares no time is left out."""
    grid = _Grid(reference, hypothesis, regions, collar, skip_overlap)
    return {grid.hypothesis_names[column]: grid.reference_names[row] for row, column in grid.pairs()}


def jaccard_error(
    reference: Sequence[Spoken],
    hypothesis: Sequence[Spoken],
    *,
    regions: Sequence[Region] | None = None,
) -> JaccardError:
    """Measure one file as the DIHARD challenges do (second evaluation plan): no collar, overlap scored.

    Speakers are paired so that the Jaccard error is least, as DIHARD's own scorer does; pyannote.metrics
    pairs by shared time, which can only come out higher. Who is silent in the regions does not count.
    """
    grid = _Grid(reference, hypothesis, regions, 0.0, skip_overlap=False)
    shared = grid.shared()
    reference_seconds = grid.reference @ grid.seconds
    hypothesis_seconds = grid.hypothesis @ grid.seconds
    union = reference_seconds[:, None] + hypothesis_seconds[None, :] - shared
    error = 1.0 - shared / union
    paired = assign(error)
    unpaired = len(reference_seconds) - len(paired)
    return JaccardError(float(sum(error[pair] for pair in paired)) + unpaired, len(reference_seconds))


def speaker_count_error(
    reference: Sequence[Spoken],
    hypothesis: Sequence[Spoken],
    *,
    regions: Sequence[Region] | None = None,
) -> SpeakerCountError:
    """Compare how many speakers speak in the scored regions of one file."""
    grid = _Grid(reference, hypothesis, regions, 0.0, skip_overlap=False)
    extra = len(grid.hypothesis_names) - len(grid.reference_names)
    return SpeakerCountError(missing=max(0, -extra), extra=max(0, extra), files=1)


class _Grid:
    """Time cut at every boundary, and who speaks in each cell, of what is scored.

    seconds : float64 [shape=(cells,)], length of each cell
    reference, hypothesis : bool [shape=(speakers, cells)]; speakers that are silent in all cells are left out
    """

    def __init__(
        self,
        reference: Sequence[Spoken],
        hypothesis: Sequence[Spoken],
        regions: Sequence[Region] | None,
        collar: float,
        skip_overlap: bool,
    ) -> None:
        if not (math.isfinite(collar) and collar >= 0):
            raise ConfigError(f"wanted a collar of 0 seconds or more, got {collar}")
        for turn in (*reference, *hypothesis, *(regions or ())):
            if not (math.isfinite(turn.start) and math.isfinite(turn.end) and turn.start <= turn.end):
                raise FormatError(
                    f"wanted a turn or region with start <= end, got {turn.start} to {turn.end}"
                )
        ends = [time for turn in (*reference, *hypothesis) for time in (turn.start, turn.end)]
        if regions is None:
            scored = [(min(ends), max(ends))] if ends else []
        else:
            scored = [(region.start, region.end) for region in regions]
        boundaries = [time for stretch in _stretches(reference) for time in stretch]
        collars = [(time - collar / 2, time + collar / 2) for time in boundaries] if collar else []

        edges = np.unique([*ends, *(time for span in (*scored, *collars) for time in span)])
        reference_names, spoken = _activity(reference, edges)
        hypothesis_names, answered = _activity(hypothesis, edges)
        keep = _cover(scored, edges) & ~_cover(collars, edges)
        if skip_overlap:
            keep &= spoken.sum(axis=0) < 2
        self.seconds: NDArray[np.float64] = np.diff(edges)[keep]
        self.reference_names, self.reference = _heard(reference_names, spoken[:, keep])
        self.hypothesis_names, self.hypothesis = _heard(hypothesis_names, answered[:, keep])

    def shared(self) -> NDArray[np.float64]:
        """Seconds in which both speak [shape=(reference speakers, hypothesis speakers)]."""
        return (self.reference * self.seconds) @ self.hypothesis.T.astype(np.float64)

    def pairs(self) -> list[tuple[int, int]]:
        """Rows of reference and hypothesis that belong together for the most shared time."""
        shared = self.shared()
        return [pair for pair in assign(-shared) if shared[pair] > 0]


def _activity(turns: Sequence[Spoken], edges: NDArray[np.float64]) -> tuple[list[str], NDArray[np.bool_]]:
    """Who speaks in each cell: names, and bool [shape=(speakers, cells)]."""
    names = sorted({turn.speaker for turn in turns})
    active = np.zeros((len(names), max(0, len(edges) - 1)), dtype=np.bool_)
    for row, name in enumerate(names):
        active[row] = _cover([(turn.start, turn.end) for turn in turns if turn.speaker == name], edges)
    return names, active


def _stretches(turns: Sequence[Spoken]) -> list[tuple[float, float]]:
    """Where each speaker speaks without a stop; turns that only touch stay two, as in pyannote.metrics."""
    out: list[tuple[float, float]] = []
    ends: dict[str, int] = {}  # speaker -> place of their last stretch
    for turn in sorted(turns, key=lambda turn: turn.start):
        if turn.start == turn.end:
            continue
        place = ends.get(turn.speaker)
        if place is not None and turn.start < out[place][1]:
            out[place] = (out[place][0], max(out[place][1], turn.end))
        else:
            ends[turn.speaker] = len(out)
            out.append((turn.start, turn.end))
    return out


def _cover(spans: Sequence[tuple[float, float]], edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which cells the spans cover; every start and end is one of the edges."""
    change = np.zeros(max(1, len(edges)), dtype=np.int64)
    if spans:
        starts, ends = np.searchsorted(edges, np.asarray(spans, dtype=np.float64)).T
        np.add.at(change, starts, 1)
        np.add.at(change, ends, -1)
    return np.cumsum(change)[:-1] > 0


def _heard(names: list[str], active: NDArray[np.bool_]) -> tuple[list[str], NDArray[np.bool_]]:
    """Leave out speakers who are silent throughout."""
    rows = np.flatnonzero(active.any(axis=1))
    return [names[row] for row in rows], active[rows]
