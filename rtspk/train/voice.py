"""One speaker of a simulated conversation: utterances trimmed to speech, cut and joined to any length.

All of it happens on paper: pieces point into decoded sound, which is read where a conversation is mixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rtspk.errors import FormatError
from rtspk.train.manifest import Utterance
from rtspk.train.store import SampleStore
from rtspk.types import FloatArray, Segment, samples_of

__all__ = ["GRID", "PAUSE", "Catalogue", "Piece", "Speech", "Voice", "energy_of", "joined", "spoken"]

FRAME: int = 160  # samples, 10 ms: the grid of the detector
BELOW_LOUD_DB: float = 35.0  # frames this far below an utterance's 95th percentile are no speech
ABOVE_FLOOR_DB: float = 10.0  # nor are those less than this above its 5th percentile, its noise
FLOOR_BELOW_LOUD_DB: float = 20.0  # but for these: the softest of an utterance without a pause is speech
SILENT_DB: float = -90.0  # an utterance below this, against full scale, is empty
PAUSE: int = samples_of(0.2)  # a shorter pause does not end a turn of the reference
BLIP: int = samples_of(0.06)  # a shorter burst is a click
MARGIN: int = samples_of(0.05)  # kept around speech, so that no sound is cut off
FADE: int = samples_of(0.005)
SPEECH_LEVEL: float = 0.05  # root mean square of full scale before a speaker's own gain: -26 dB
LEAST: int = samples_of(0.3)  # of a piece of speech
GRID: int = samples_of(0.001)  # everything begins and ends on a millisecond, as RTTM is written


@dataclass(frozen=True, slots=True)
class Outline:
    """Where an utterance is, where in it there is speech, and how loud.

    energy : float64 [shape=(frames,)], mean square of each 10 ms
    """

    utterance: Utterance
    energy: NDArray[np.float64]
    runs: tuple[Segment, ...]
    gain: float  # brings its speech to `SPEECH_LEVEL`


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples [start, end) of an utterance; its runs of speech count from its own start."""

    outline: Outline
    start: int
    end: int
    runs: tuple[Segment, ...]

    @property
    def length(self) -> int:
        """In samples."""
        return self.end - self.start

    def between(self, start: int, end: int) -> "Piece | None":
        """What of it lies in [start, end), trimmed to its speech; None where there is none."""
        clipped = [Segment(max(start, run.start), min(end, run.end)) for run in self.runs]
        runs = [run for run in clipped if run.duration >= BLIP]
        if not runs:
            return None
        first = max(0, start, runs[0].start - MARGIN)
        last = min(self.length, end, runs[-1].end + MARGIN)
        inside = tuple(Segment(run.start - first, run.end - first) for run in runs)
        return Piece(self.outline, self.start + first, self.start + last, inside)

    def cut(self, length: int) -> "tuple[Piece, Piece | None]":
        """Cut at the quietest moment near `length`; no rest where too little is left to be of use."""
        low, high = int(0.8 * length), int(1.2 * length)
        if self.length <= high + LEAST:
            return self, None
        first = -(-(self.start + low) // FRAME)
        near = self.outline.energy[first : (self.start + high) // FRAME + 2]
        quiet = first + 1 + int(np.argmin(near[:-1] + near[1:]))
        at = quiet * FRAME - self.start
        head, tail = self.between(0, at), self.between(at, self.length)
        if head is None:
            return self, None
        return head, tail if tail and sum(run.duration for run in tail.runs) >= LEAST else None


@dataclass(frozen=True, slots=True)
class Speech:
    """One turn: pieces, each with where it begins in the turn, and where there is speech."""

    pieces: tuple[tuple[int, Piece], ...]
    runs: tuple[Segment, ...]
    length: int

    def until(self, end: int) -> "Speech | None":
        """What is said before `end`, to the millisecond, if anything."""
        end = end // GRID * GRID
        kept = []
        for at, piece in self.pieces:
            head = piece.between(0, end - at)
            if head is not None:
                kept.append((at + head.start - piece.start, head))
        return _speech(tuple(kept)) if kept else None


class Catalogue:
    """Decoded sound with its outlines, each of which is made once."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._outlines: dict[Utterance, Outline | None] = {}

    def outline(self, utterance: Utterance) -> Outline | None:
        """None where an utterance holds no speech."""
        if utterance not in self._outlines:
            energy = energy_of(self._store.read(utterance.path, utterance.start, utterance.end))
            runs = tuple(spoken(energy))
            made = None
            if runs:
                loud = np.concatenate([energy[run.start // FRAME : run.end // FRAME] for run in runs])
                made = Outline(utterance, energy, runs, SPEECH_LEVEL / float(np.sqrt(loud.mean())))
            self._outlines[utterance] = made
        return self._outlines[utterance]

    def whole(self, utterance: Utterance) -> Piece | None:
        """All of an utterance, trimmed to its speech."""
        outline = self.outline(utterance)
        if outline is None:
            return None
        length = len(outline.energy) * FRAME
        return Piece(outline, 0, length, outline.runs).between(0, length)

    def sound(self, piece: Piece) -> FloatArray:
        """A piece at its level with soft edges, float32 [shape=(length,)]."""
        begin = piece.outline.utterance.start
        samples = self._store.read(piece.outline.utterance.path, begin + piece.start, begin + piece.end)
        samples *= np.float32(piece.outline.gain)
        ramp = np.linspace(0.0, 1.0, FADE, dtype=np.float32)
        samples[:FADE] *= ramp
        samples[-FADE:] *= ramp[::-1]
        return samples


class Voice:
    """One speaker: speech still unused, and what was said so far, and where.

    An utterance is used once before any is used again, and the rest of one that was cut comes next.
    """

    def __init__(
        self, speaker: str, utterances: Sequence[Utterance], catalogue: Catalogue, rng: Generator
    ) -> None:
        self.speaker = speaker
        self.said: list[Segment] = []
        self.pieces: list[tuple[int, Piece]] = []
        self.end = 0  # of the last that was said
        self._utterances, self._catalogue, self._rng = utterances, catalogue, rng
        self._queue: list[Utterance] = []
        self._rest: Piece | None = None

    def speech(self, length: int, pauses: tuple[float, float]) -> Speech:
        """About `length` samples: utterances with short pauses between them."""
        pieces = [(0, self._piece(length))]
        end = pieces[0][1].length
        while length - end > LEAST:
            at = end + samples_of(self._rng.uniform(*pauses)) // GRID * GRID
            piece = self._piece(max(LEAST, length - at))
            pieces.append((at, piece))
            end = at + piece.length
        return _speech(tuple(pieces))

    def say(self, speech: Speech, start: int) -> list[Segment]:
        """Put speech on this speaker's track; returns where it sounds."""
        self.pieces += [(start + at, piece) for at, piece in speech.pieces]
        runs = [Segment(start + run.start, start + run.end) for run in speech.runs]
        self.said += runs
        self.end = max(self.end, start + speech.length)
        return runs

    def _piece(self, length: int) -> Piece:
        piece, self._rest = (self._rest or self._next()).cut(length)
        return piece

    def _next(self) -> Piece:
        """The next utterance that holds speech."""
        for _ in range(len(self._utterances) + len(self._queue)):
            if not self._queue:
                order = self._rng.permutation(len(self._utterances))
                self._queue = [self._utterances[i] for i in order]
            piece = self._catalogue.whole(self._queue.pop())
            if piece is not None:
                return piece
        raise FormatError(f"wanted speech in the utterances of {self.speaker}, got silence")


def joined(runs: Sequence[Segment]) -> list[Segment]:
    """Bridge pauses that are too short to end a turn."""
    out: list[Segment] = []
    for run in sorted(runs, key=lambda run: run.start):
        if out and run.start - out[-1].end < PAUSE:
            out[-1] = Segment(out[-1].start, max(out[-1].end, run.end))
        else:
            out.append(run)
    return out


def energy_of(samples: FloatArray) -> NDArray[np.float64]:
    """Mean square of each whole frame of 10 ms, float64 [shape=(frames,)]."""
    frames = len(samples) // FRAME
    blocks = samples[: frames * FRAME].reshape(frames, FRAME)
    return np.einsum("ij,ij->i", blocks, blocks).astype(np.float64) / FRAME


def spoken(energy: NDArray[np.float64]) -> list[Segment]:
    """Find speech in a clean utterance by the energy of its frames, float64 [shape=(frames,)].

    A frame is speech when it is less than 35 dB below the loud ones and 10 dB or more above the noise; pauses
    below 0.2 s are bridged and clicks are left out.
    """
    if not len(energy):
        return []
    level = 10.0 * np.log10(np.convolve(energy, np.ones(3) / 3.0, "same") + 1e-14)
    floor, loud = np.percentile(level, [5, 95])
    if loud < SILENT_DB:
        return []
    noise = min(floor + ABOVE_FLOOR_DB, loud - FLOOR_BELOW_LOUD_DB)
    speech = level > max(loud - BELOW_LOUD_DB, noise)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]])))
    runs = joined([Segment(int(a) * FRAME, int(b) * FRAME) for a, b in edges.reshape(-1, 2)])
    return [run for run in runs if run.duration >= BLIP]


def _speech(pieces: tuple[tuple[int, Piece], ...]) -> Speech:
    runs = [Segment(at + run.start, at + run.end) for at, piece in pieces for run in piece.runs]
    return Speech(pieces, tuple(runs), max(at + piece.length for at, piece in pieces))
