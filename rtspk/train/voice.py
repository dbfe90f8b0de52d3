"""One speaker of a simulated conversation: utterances trimmed to speech, cut and joined to any length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from rtspk.errors import FormatError
from rtspk.train.manifest import Utterance
from rtspk.train.store import SampleStore
from rtspk.types import FloatArray, Segment, samples_of

__all__ = ["PAUSE", "Speech", "Voice", "joined", "spoken"]

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


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound and where in it there is speech."""

    samples: FloatArray
    runs: tuple[Segment, ...]


def spoken(samples: FloatArray) -> list[Segment]:
    """Find speech in a clean utterance by its energy.

    samples : float32 [shape=(n,)]

    A frame of 10 ms is speech when it is less than 35 dB below the loud ones and 10 dB or more above the
    noise; pauses below 0.2 s are bridged and clicks are left out.
    """
    frames = len(samples) // FRAME
    if not frames:
        return []
    energy = np.square(samples[: frames * FRAME].reshape(frames, FRAME), dtype=np.float64).mean(1)
    level = 10.0 * np.log10(np.convolve(energy, np.ones(3) / 3.0, "same") + 1e-14)
    floor, loud = np.percentile(level, [5, 95])
    if loud < SILENT_DB:
        return []
    noise = min(floor + ABOVE_FLOOR_DB, loud - FLOOR_BELOW_LOUD_DB)
    speech = level > max(loud - BELOW_LOUD_DB, noise)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]])))
    runs = joined([Segment(int(a) * FRAME, int(b) * FRAME) for a, b in edges.reshape(-1, 2)])
    return [run for run in runs if run.duration >= BLIP]


class Voice:
    """One speaker: speech still unused, and what was said so far, and where.

    An utterance is used once before any is used again, and the rest of one that was cut comes next.
    """

    def __init__(self, speaker: str, utterances: list[Utterance], store: SampleStore, rng: Generator) -> None:
        self.speaker = speaker
        self.said: list[Segment] = []
        self.end = 0  # of the last that was said
        self._utterances, self._store, self._rng = utterances, store, rng
        self._queue: list[Utterance] = []
        self._rest: Speech | None = None
        self._pieces: list[tuple[int, FloatArray]] = []

    def speech(self, length: int, pauses: tuple[float, float]) -> Speech:
        """About `length` samples: utterances with short pauses between them."""
        sound = [self._piece(length)]
        runs = list(sound[0].runs)
        at = len(sound[0].samples)
        while length - at > LEAST:
            pause = samples_of(self._rng.uniform(*pauses))
            piece = self._piece(max(LEAST, length - at - pause))
            sound += [Speech(np.zeros(pause, np.float32), ()), piece]
            runs += [Segment(at + pause + run.start, at + pause + run.end) for run in piece.runs]
            at += pause + len(piece.samples)
        return Speech(np.concatenate([part.samples for part in sound]), tuple(runs))

    def say(self, speech: Speech, start: int) -> None:
        """Put speech on this speaker's track."""
        self._pieces.append((start, speech.samples))
        self.said += [Segment(start + run.start, start + run.end) for run in speech.runs]
        self.end = max(self.end, start + len(speech.samples))

    def track(self, length: int) -> FloatArray:
        """All that was said, float32 [shape=(length,)]."""
        track = np.zeros(length, np.float32)
        for start, samples in self._pieces:
            track[start : start + len(samples)] += samples
        return track

    def _piece(self, length: int) -> Speech:
        whole = self._rest or self._next()
        piece, self._rest = _cut(whole, length)
        return piece

    def _next(self) -> Speech:
        """The next utterance that holds speech, trimmed to it and brought to one level."""
        for _ in range(len(self._utterances) + len(self._queue)):
            if not self._queue:
                order = self._rng.permutation(len(self._utterances))
                self._queue = [self._utterances[i] for i in order]
            utterance = self._queue.pop()
            samples = self._store.read(utterance.path, utterance.start, utterance.end)
            runs = spoken(samples)
            if runs:
                loud = np.concatenate([samples[run.start : run.end] for run in runs])
                gain = SPEECH_LEVEL / float(np.sqrt(np.square(loud, dtype=np.float64).mean()))
                return _between(Speech(samples * np.float32(gain), tuple(runs)), 0, len(samples))
        raise FormatError(f"wanted speech in the utterances of {self.speaker}, got silence")


def _cut(speech: Speech, length: int) -> tuple[Speech, Speech | None]:
    """Cut at the quietest moment near `length`; the rest is None where too little is left to be of use."""
    n = len(speech.samples)
    low, high = int(0.8 * length), int(1.2 * length)
    if n <= high + LEAST:
        return speech, None
    energy = np.convolve(np.square(speech.samples[low : high + 2 * FRAME]), np.ones(2 * FRAME), "valid")
    at = low + FRAME + int(np.argmin(energy))
    head, tail = _between(speech, 0, at), _between(speech, at, n)
    if not head.runs:
        return speech, None
    return head, tail if sum(run.duration for run in tail.runs) >= LEAST else None


def _between(speech: Speech, start: int, end: int) -> Speech:
    """What lies in [start, end), trimmed to its speech, with soft edges."""
    clipped = [Segment(max(start, run.start), min(end, run.end)) for run in speech.runs]
    runs = [run for run in clipped if run.duration >= BLIP]
    if not runs:
        return Speech(np.zeros(0, np.float32), ())
    first, last = max(start, runs[0].start - MARGIN), min(end, runs[-1].end + MARGIN)
    samples = speech.samples[first:last].copy()
    ramp = np.linspace(0.0, 1.0, FADE, dtype=np.float32)
    samples[:FADE] *= ramp
    samples[-FADE:] *= ramp[::-1]
    return Speech(samples, tuple(Segment(run.start - first, run.end - first) for run in runs))


def joined(runs: Sequence[Segment]) -> list[Segment]:
    """Bridge pauses that are too short to end a turn."""
    out: list[Segment] = []
    for run in sorted(runs, key=lambda run: run.start):
        if out and run.start - out[-1].end < PAUSE:
            out[-1] = Segment(out[-1].start, max(out[-1].end, run.end))
        else:
            out.append(run)
    return out
