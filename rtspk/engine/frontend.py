"""From sound to what the engine decides on: feature frames and speech activity of the last seconds.

Sound is worked on in blocks of one hop, however it arrives, so that any chunking gives the same numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.segmenter import ACTIVITY_HOP, Segmenter, SegmenterState
from rtspk.engine.settings import HOP, ActivityConfig
from rtspk.errors import AudioError
from rtspk.kernels.mel import MelConfig, StreamingLogMel
from rtspk.types import FloatArray, Segment, samples_of

__all__ = ["Frontend", "FrontendState", "focus", "speech_runs"]

KEPT_SECONDS: float = 16.0  # more than the longest latency and window together


@dataclass(slots=True)
class FrontendState:
    """What a stream remembers of its sound.

    pending : float32 [shape=(less than a hop,)], samples that wait for the rest of their block
    unheard : float32 [shape=(less than 512,)], samples that wait for the rest of their activity frame
    frames : float32 [shape=(kept frames, mels)], the last at the end
    activity : float32 [shape=(kept activity frames,)], probability of speech, the last at the end
    """

    log_mel: StreamingLogMel
    frames: FloatArray
    activity: FloatArray
    segmenter: SegmenterState = field(default_factory=SegmenterState)
    pending: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    unheard: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    frames_end: int = 0  # feature frames made so far
    activity_end: int = 0  # activity frames made so far
    received: int = 0  # samples

    @classmethod
    def empty(cls, features: MelConfig) -> "FrontendState":
        """The state before the first sample."""
        kept = samples_of(KEPT_SECONDS)
        return cls(
            log_mel=StreamingLogMel(features),
            frames=np.zeros((kept // features.hop, features.mels), np.float32),
            activity=np.zeros(kept // ACTIVITY_HOP, np.float32),
        )


class Frontend:
    """Shared and read-only; `FrontendState` is the stream's."""

    def __init__(self, features: MelConfig, segmenter: Segmenter, config: ActivityConfig) -> None:
        self.features, self._segmenter, self._config = features, segmenter, config

    def blocks(self, samples: FloatArray, state: FrontendState) -> Iterator[int]:
        """Take samples; yields the stream time, in samples, behind each block that they complete.

        Raises:
            AudioError: not float32 of one dimension, or not finite; the stream stays as it was.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise AudioError(f"wanted mono float32 samples, got {samples.dtype} of shape {samples.shape}")
        if not np.isfinite(samples).all():
            bad = state.received + int(np.flatnonzero(~np.isfinite(samples))[0])
            raise AudioError(f"wanted finite samples, got {samples[bad - state.received]} at sample {bad}")
        state.received += len(samples)
        sound = np.concatenate([state.pending, samples])
        whole = len(sound) - len(sound) % HOP
        state.pending = sound[whole:].copy()
        end = state.received - len(state.pending)
        for start in range(0, whole, HOP):
            self._take(sound[start : start + HOP], state)
            yield end - whole + start + HOP

    def flush(self, state: FrontendState) -> None:
        """Take what is left of the stream; the last activity frame is filled with silence."""
        self._take(state.pending, state)
        state.pending = state.pending[:0]
        if len(state.unheard):
            self._hear(np.zeros(ACTIVITY_HOP - len(state.unheard), np.float32), state)

    def _take(self, block: FloatArray, state: FrontendState) -> None:
        rows = state.log_mel.push(block).values
        state.frames = _append(state.frames, rows)
        state.frames_end += len(rows)
        self._hear(block, state)

    def _hear(self, samples: FloatArray, state: FrontendState) -> None:
        sound = np.concatenate([state.unheard, samples])
        whole = len(sound) - len(sound) % ACTIVITY_HOP
        state.unheard = sound[whole:].copy()
        heard = self._segmenter.activity(sound[:whole], state.segmenter)
        state.activity = _append(state.activity, heard)
        state.activity_end += len(heard)

    def speech(self, start: int, end: int, state: FrontendState) -> NDArray[np.bool_]:
        """Whether there is speech in each activity frame that begins in samples [start, end).

        Pauses and blips are judged with all that has been heard so far on both sides.
        """
        oldest = max(0, state.activity_end - len(state.activity))
        known = state.activity[len(state.activity) - (state.activity_end - oldest) :]
        spoken = speech_runs(known, self._config)
        first, last = start // ACTIVITY_HOP, -(-end // ACTIVITY_HOP)
        out = np.zeros(max(0, last - first), bool)
        low, high = max(first, oldest), min(last, state.activity_end)
        if high > low:
            out[low - first : high - first] = spoken[low - oldest : high - oldest]
        return out

    def window(self, segment: Segment, state: FrontendState) -> tuple[FloatArray, FloatArray]:
        """Features and speech mask of a stretch; what lies outside the stream is silence off the mask.

        Returns:
            float32 [shape=(frames, mels)] and float32 [shape=(frames,)]; frames = duration / 10 ms
        """
        hop = self.features.hop
        first, last = segment.start // hop, segment.end // hop
        features = np.zeros((last - first, self.features.mels), np.float32)
        mask = np.zeros(last - first, np.float32)
        oldest = max(0, state.frames_end - len(state.frames))
        low, high = max(first, oldest), min(last, state.frames_end)
        if high <= low:
            return features, mask
        base = state.frames_end - len(state.frames)
        features[low - first : high - first] = state.frames[low - base : high - base]
        speech = self.speech(low * hop, high * hop + self.features.window, state)
        middles = np.arange(low, high) * hop + self.features.window // 2
        at = middles // ACTIVITY_HOP - (low * hop) // ACTIVITY_HOP
        mask[low - first : high - first] = speech[at.clip(0, len(speech) - 1)]
        return features, mask


def focus(mask: FloatArray, first: int, last: int, gap: int, least: int) -> FloatArray:
    """Keep the speech around frames [first, last) up to the next pause on each side.

    Whoever speaks behind a pause is likelier to be somebody else.

    Args:
        mask: float32 [shape=(frames,)], 1 where there is speech
        first: of the frames that the window is about
        last: behind them
        gap: frames without speech that make a pause
        least: frames of speech that must be left; where fewer are, the mask stays as it is
    """
    silent = np.concatenate([[False], mask == 0.0, [False]])
    edges = np.flatnonzero(np.diff(silent.astype(np.int8)))
    pauses = [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= gap]
    low = max((b for a, b in pauses if a < first and b < last), default=0)
    high = min((a for a, b in pauses if b > last and a > first), default=len(mask))
    near = np.zeros_like(mask)
    near[low:high] = mask[low:high]
    return near if near.sum() >= least else mask


def speech_runs(probability: FloatArray, config: ActivityConfig) -> NDArray[np.bool_]:
    """Speech by hysteresis, short pauses filled, short blips dropped.

    Args:
        probability: float32 [shape=(frames,)], one for each 32 ms
        config: the thresholds and the shortest lengths
    """
    if not len(probability):
        return np.zeros(0, bool)
    # Hysteresis without a loop: each frame takes the last decision that was clear.
    clear = np.where(probability >= config.onset, 1, np.where(probability < config.offset, 0, -1))
    last = np.maximum.accumulate(np.where(clear >= 0, np.arange(len(clear)), -1))
    spoken = (last >= 0) & (clear[last.clip(0)] == 1)
    hop_seconds = ACTIVITY_HOP / 16_000
    spoken = _drop_short(spoken, config.gap_seconds / hop_seconds, value=False)
    return _drop_short(spoken, config.shortest_seconds / hop_seconds, value=True)


def _drop_short(spoken: NDArray[np.bool_], shortest: float, *, value: bool) -> NDArray[np.bool_]:
    """Flip the runs of `value` that are shorter, but for those at the ends: there the rest is not known."""
    edges = np.flatnonzero(np.diff(spoken)) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(spoken)]])
    out = spoken.copy()
    for start, end in zip(starts, ends, strict=True):
        if spoken[start] == value and end - start < shortest and start > 0 and end < len(spoken):
            out[start:end] = not value
    return out


def _append(kept: FloatArray, new: FloatArray) -> FloatArray:
    """The last len(kept) rows of both."""
    if len(new) >= len(kept):
        return new[-len(kept) :].copy()
    return np.concatenate([kept[len(new) :], new])
