"""A segmenter on samples that goes on where it was: recurrences in both directions, a hop at a time.

The network was made for windows of ten seconds. Heard anew at each hop, nineteen parts of twenty would be
known already. Here filters run over new sound alone. Norms over time, and the recurrence that goes forth, go
on from one hop to the next, and what comes back from the end of the sound is followed for `REACH` frames.
Every few hops a window is heard as a whole: mistakes would last if they were carried on for long.
Recurrences may hear several frames at a step, side by side.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.convolutions import Convolutions, Norm
from rtspk.engine.filters import Filters, places_of
from rtspk.engine.powerset import CLASSES
from rtspk.engine.recurrence import Asking, Passage, Recurrence, alone
from rtspk.engine.rows import raw_rows
from rtspk.errors import ModelError
from rtspk.kernels.filters import HOP as FILTER_HOP
from rtspk.kernels.filters import LENGTH as FILTER
from rtspk.kernels.filters import POOLED
from rtspk.types import FloatArray, samples_of

__all__ = ["FRAME", "HEARD", "PARTS", "Hearing", "RecurrentNetwork"]

# The parts of the network, as `rtspk.train.adopt` writes them.
PARTS = ("filters.npz", "convolutions.npz", "recurrence.npz")

PLACE: int = POOLED * FILTER_HOP  # samples between two of the loudest of three answers
PLACES: int = 9  # places between two frames,
WIDE: int = 25  # and heard by one
FRAME: int = PLACES * PLACE  # samples between two frames
HEARD: int = (WIDE - 1) * PLACE + 2 * FILTER_HOP + FILTER  # samples heard by one frame

# What was tried: bench/LOG.md.
WINDOW: int = samples_of(9.5) // FRAME  # frames heard as a whole; ten seconds until the next time
REACH: int = samples_of(1.5) // FRAME  # frames
YOUNG: int = 7  # hops of a stream, in which what was heard before says little: each hears a whole window
LEVELS: int = 20  # hops whose mean and deviation a stream remembers
SMALL: float = 1e-5  # added to variances
POWERS: int = 1016  # rows of 10 ms: more than ten seconds


@dataclass(slots=True)
class Hearing:
    """What a stream remembers of its sound; all of it bounded.

    tail : float32 [shape=(n,)], samples that the filters have not done with
    levels : of the last hops: samples, their sum, the sum of their squares
    loudness : float32 [shape=(n, 80)] for each hop, of the filters, from frame `first` on; `places` in all
    frames : float32 [shape=(frames, 60)], from frame `begin` on
    classes : float32 [shape=(steps, 7)], of the recurrences' steps, likewise
    states : float32 [shape=(layers, 2, 128)], of the recurrence that goes forth, before frame `at`
    norms : what the last whole window told
    power : float32 [shape=(rows,)], mean square of the last rows of 10 ms
    """

    tail: FloatArray
    frames: FloatArray
    classes: FloatArray
    states: FloatArray
    loudness: deque[FloatArray] = field(default_factory=deque)
    levels: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=LEVELS))
    norms: list[Norm] = field(default_factory=list)
    power: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    received: int = 0  # samples
    places: int = 0
    first: int = 0
    begin: int = 0
    at: int = 0
    hops: int = 0
    since: int = 0  # hops since the last whole window


class RecurrentNetwork:
    """Shared and read-only; a `Hearing` is the stream's."""

    def __init__(self, folder: Path, refresh: int = 2) -> None:
        """Read the parts; every `refresh` hops a window is heard as a whole."""
        missing = [name for name in PARTS if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                f"wanted {', '.join(PARTS)} in {folder}, got no {', '.join(missing)}; "
                "`rtspk export` makes them of pyannote's ONNX file"
            )
        self._filters = Filters.read(folder / PARTS[0])
        self.convolutions = Convolutions.read(folder / PARTS[1])
        self.recurrence = Recurrence.read(folder / PARTS[2])
        told, heard = self.convolutions.width, self.recurrence.inputs
        self._refresh = refresh
        self.group = heard // told  # frames of a step of the recurrences
        # The public network was taught whole windows, ours what there is (`rtspk.train.recurrent_set`).
        self._fills = self.group == 1
        if self._filters.channels != self.convolutions.channels:
            raise _two_networks(folder, 0, self._filters.channels, self.convolutions.channels)
        if heard % told:
            raise _two_networks(folder, 1, told, heard)

    def empty(self) -> Hearing:
        """Before the first sample."""
        return Hearing(
            tail=np.zeros(0, np.float32),
            frames=np.zeros((0, 0), np.float32),
            classes=np.zeros((0, CLASSES), np.float32),
            states=self.recurrence.nothing,
        )

    def hear(self, block: FloatArray, hearing: Hearing) -> None:
        """Take the next samples, float32 [shape=(n,)], a hop of them or the last of the stream."""
        alone(self.take(block, hearing), self.recurrence)

    def take(self, block: FloatArray, hearing: Hearing) -> Asking[None]:
        """As `hear`, but asks what is in passages."""
        if not len(block):
            return
        hearing.received += len(block)
        hearing.hops += 1
        hearing.since += 1
        hearing.levels.append(_sums(block))
        power = np.square(raw_rows(block)).mean(1)
        hearing.power = np.concatenate([hearing.power, power])[-POWERS:]
        self._filter(block, hearing)
        done = hearing.begin + len(hearing.frames)
        end = hearing.first + (hearing.places - WIDE) // PLACES + 1
        if end <= done or end - hearing.begin < 2 * self.group:
            return
        if not hearing.norms or hearing.hops <= YOUNG or hearing.since >= self._refresh:
            yield from self._listen_anew(end, hearing)
        else:
            yield from self._listen_on(done, end, hearing)

    def classes(self, samples: FloatArray, count: int) -> FloatArray:
        """A window heard by itself.

        Args:
            samples: float32 [shape=(n,)], a whole window, with silence behind what is shorter
            count: of them, the sound, at least two activity frames of 40 ms

        Returns:
            chances of the classes, float32 [shape=(steps, 7)]; from `count` on there may be none
        """
        frames = self.frames(samples)
        if not self._fills:
            frames = frames[: max(2 * self.group, self.frames_of(count))]
        return self.told(frames)

    def frames(self, samples: FloatArray) -> FloatArray:
        """Frames of a window by its own norms: float32 [shape=(n,)] to float32 [shape=(frames, width)]."""
        levels = [_sums(samples)]
        frames, _ = self.convolutions.whole(self._loudness(samples, levels), _level(levels)[1])
        return frames

    def told(self, frames: FloatArray) -> FloatArray:
        """What the recurrences say of frames from the first to the last, float32 [shape=(steps, 7)]."""
        steps = self._steps(frames)
        (told,) = self.recurrence([Passage(steps[:1], steps[1:], self.recurrence.nothing)])
        return told.classes

    @staticmethod
    def frames_of(samples: int) -> int:
        """How many frames so many samples make whole."""
        return max(0, (places_of(samples) - WIDE) // PLACES + 1)

    def at(self, samples: NDArray[np.int64], classes: FloatArray, begin: int) -> FloatArray:
        """Chances at some samples, float32 [shape=(n, 7)]; outside of all steps those of the nearest.

        Args:
            samples: int64 [shape=(n,)]
            classes: float32 [shape=(steps, 7)], at least two
            begin: sample at which the first step begins
        """
        step = FRAME * self.group
        middle = (HEARD + step - FRAME) / 2
        at = (samples - begin - middle) / step
        low = np.minimum(np.maximum(np.floor(at).astype(np.int64), 0), len(classes) - 2)
        share = np.minimum(np.maximum(at - low, 0.0), 1.0).astype(np.float32)[:, None]
        return np.asarray(classes[low] * (1.0 - share) + classes[low + 1] * share, np.float32)

    def _filter(self, block: FloatArray, hearing: Hearing) -> None:
        """How loud each filter is in the new places."""
        sound = np.concatenate([hearing.tail, block])
        places = places_of(len(sound))
        if not places:
            hearing.tail = sound
            return
        heard = sound[: places * PLACE - FILTER_HOP + FILTER]
        new = self._loudness(heard, hearing.levels)
        hearing.tail = sound[places * PLACE :].copy()
        hearing.loudness.append(new)
        spare = max(0, (hearing.places + places - WIDE) // PLACES + 1 - WINDOW)
        hearing.first += spare
        hearing.places += places - spare * PLACES
        _forget(spare * PLACES, hearing.loudness)

    def _loudness(self, samples: FloatArray, levels: Iterable[tuple[int, float, float]]) -> FloatArray:
        """How loud each filter is, float32 [shape=(places, 80)]; not scaled yet."""
        return self._filters(samples, *_level(levels))

    def _listen_anew(self, end: int, hearing: Hearing) -> Asking[None]:
        """Forget all but the loudness of the filters, and hear the last seconds as one window.

        A network that was taught whole windows alone hears silence behind a stream that has just begun.
        """
        first = max(hearing.first, end - WINDOW)
        loudness = np.concatenate(hearing.loudness)[(first - hearing.first) * PLACES :]
        missing = max(0, (WINDOW - 1) * PLACES + WIDE - len(loudness))
        levels = [*hearing.levels, (missing * PLACE, 0.0, 0.0)]
        if missing:
            one = self._loudness(np.zeros(2 * FILTER_HOP + FILTER, np.float32), levels)
            loudness = np.concatenate([loudness, one])
        _, deviation = _level(levels)
        frames, hearing.norms = self.convolutions.whole(loudness, deviation, max(0, missing - 1))
        hearing.begin, hearing.at, hearing.since = first, first, 0
        hearing.states = self.recurrence.nothing
        hearing.classes = np.zeros((0, CLASSES), np.float32)
        yield from self._recur(frames if self._fills else frames[: end - first], end, hearing)

    def _listen_on(self, done: int, end: int, hearing: Hearing) -> Asking[None]:
        """Hear what is new as the last window was heard."""
        wanted = hearing.places - (done - hearing.first) * PLACES
        new = self.convolutions.more(_newest(wanted, hearing.loudness), hearing.norms)
        frames = np.concatenate([hearing.frames, new])
        yield from self._recur(frames, end, hearing)

    def _recur(self, frames: FloatArray, end: int, hearing: Hearing) -> Asking[None]:
        """The classes of all steps from `at` to `end`; then `at` moves to where the next hop begins.

        frames : float32 [shape=(n, 60)], from frame `begin` on; those behind `end` are silence
        """
        steps = self._steps(frames)
        old, real = (hearing.at - hearing.begin) // self.group, (end - hearing.begin) // self.group
        then = max(old + 1, real - REACH // self.group)
        hearing.frames = frames[: end - hearing.begin]
        if then >= len(steps):
            return
        new, hearing.states = yield Passage(steps[old:then], steps[then:], hearing.states)
        hearing.classes = np.concatenate([hearing.classes[:old], new[: real - old]])
        hearing.at = hearing.begin + then * self.group

    def _steps(self, frames: FloatArray) -> FloatArray:
        """What the recurrences take, float32 [shape=(steps, group * 60)]; the last frames may wait."""
        whole = frames[: len(frames) - len(frames) % self.group]
        return whole.reshape(len(whole) // self.group, -1)


def _two_networks(folder: Path, part: int, told: int, heard: int) -> ModelError:
    """What one part tells is not what the next one hears."""
    return ModelError(
        f"wanted the parts of one network in {folder}, got frames of {told} numbers in {PARTS[part]} "
        f"and of {heard} in {PARTS[part + 1]}"
    )


def _forget(places: int, blocks: deque[FloatArray]) -> None:
    """Take so many places from the front."""
    while places:
        block = blocks.popleft()
        if len(block) > places:
            blocks.appendleft(block[places:])
        places -= min(places, len(block))


def _newest(places: int, blocks: deque[FloatArray]) -> FloatArray:
    """The last so many places, float32 [shape=(places, channels)]."""
    some, count = [], 0
    for block in reversed(blocks):
        some.append(block)
        count += len(block)
        if count >= places:
            break
    return np.concatenate(some[::-1])[count - places :]


def _sums(samples: FloatArray) -> tuple[int, float, float]:
    """How many, their sum, and the sum of their squares."""
    exact = samples.astype(np.float64)
    return len(samples), float(exact.sum()), float(exact @ exact)


def _level(sums: Iterable[tuple[int, float, float]]) -> tuple[float, float]:
    """Mean and deviation of all."""
    count, total, power = (sum(column) for column in zip(*sums, strict=True))
    mean = total / count
    return mean, math.sqrt(max(0.0, power / count - mean * mean) + SMALL)
