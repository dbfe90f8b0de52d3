"""What flows through the engine; inside, time is an integer count of samples at 16 kHz."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOUDEST",
    "SAMPLE_RATE",
    "Chunk",
    "Embedding",
    "FloatArray",
    "Frames",
    "Match",
    "Segment",
    "Turn",
    "Window",
    "clock",
    "samples_of",
    "seconds_of",
]

SAMPLE_RATE: int = 16_000  # Hz; everything inside is mono float32 at this rate

# Samples below it are taken: far above any real sound in -1..1, far below what overflows a power spectrum.
LOUDEST: float = 2.0**20

FloatArray = NDArray[np.float32]


def samples_of(seconds: float) -> int:
    """Round a time in seconds to whole samples at 16 kHz.

    >>> samples_of(0.5)
    8000
    """
    return round(seconds * SAMPLE_RATE)


def seconds_of(samples: int) -> float:
    """Turn a count of samples at 16 kHz into seconds.

    >>> seconds_of(8000)
    0.5
    """
    return samples / SAMPLE_RATE


def clock(seconds: float) -> str:
    """Time as a person reads it.

    >>> clock(75.4), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the stream, [start, end), in samples."""

    start: int
    end: int

    @property
    def duration(self) -> int:
        """Length in samples."""
        return self.end - self.start

    def overlap(self, other: "Segment") -> int:
        """How many samples the two stretches share."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of sound: samples : float32 [shape=(n,)], the first at position `start` of its stream."""

    samples: FloatArray
    start: int

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.start + len(self.samples)


@dataclass(frozen=True, slots=True)
class Frames:
    """Feature rows: values : float32 [shape=(frames, mels)]; row i begins at sample start + i * hop."""

    values: FloatArray
    start: int
    hop: int


@dataclass(frozen=True, slots=True)
class Window:
    """What the engine wants embedded: log-mel of a stretch, and which of its frames to pool.

    features : float32 [shape=(frames, mels)]; where `encoded`, the frames of the embedder's trunk
        [shape=(frames, width)]
    mask : float32 [shape=(frames,)], 1 where the wanted voice speaks, 0 where it does not
    """

    segment: Segment
    features: FloatArray
    mask: FloatArray
    net_speech: int  # samples of speech under the mask
    encoded: bool = False


@dataclass(frozen=True, slots=True)
class Embedding:
    """A voice as a unit vector: vector : float32 [shape=(dimension,)]."""

    vector: FloatArray
    segment: Segment
    net_speech: int


@dataclass(frozen=True, slots=True)
class Match:
    """One enrolled name that a voice may belong to."""

    name: str
    score: float  # cosine
    probability: float  # calibrated, 0 to 1


@dataclass(frozen=True, slots=True)
class Turn:
    """A segment with who spoke: `label` is the session's own, `name` the enrolled name or None."""

    segment: Segment
    label: str
    name: str | None
    score: float
    confidence: float
    overlap: bool = False
