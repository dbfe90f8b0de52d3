"""From sound to what the engine decides on: feature rows and local speakers of the last seconds.

Sound is worked on in blocks of one hop, however it arrives, so that any chunking gives the same numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.local import LocalActivity, LocalChances, blended, decided
from rtspk.engine.recurrent import Hearing
from rtspk.engine.rows import Rows
from rtspk.engine.segmenter import ACTIVITY_HOP, ROWS, Segmenter
from rtspk.engine.settings import HOP, ActivityConfig
from rtspk.errors import AudioError
from rtspk.kernels.mel import MelConfig
from rtspk.types import FloatArray, Segment, samples_of

__all__ = ["Frontend", "FrontendState"]

KEPT_SECONDS: float = 16.0  # more than the longest latency and window together


@dataclass(slots=True)
class FrontendState:
    """What a stream remembers of its sound.

    pending : float32 [shape=(less than a hop,)], samples that wait for the rest of their block
    """

    rows: Rows  # for the embedder
    activity_rows: Rows | None  # for the segmenter, where it wants others
    hearing: Hearing | None  # the segmenter's own, where it goes on from hop to hop
    pending: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    received: int = 0  # samples
    heard: LocalChances | None = None  # of the last window


class Frontend:
    """Shared and read-only; `FrontendState` is the stream's."""

    def __init__(self, features: MelConfig, segmenter: Segmenter, config: ActivityConfig) -> None:
        self.features, self._segmenter, self._config = features, segmenter, config

    def empty(self) -> FrontendState:
        """The state before the first sample."""
        kept = samples_of(KEPT_SECONDS) // self.features.hop
        wanted = self._segmenter.features
        own = None
        if wanted is not None and wanted != self.features:
            own = Rows.empty(wanted, self._segmenter.frames * ROWS + ROWS)
        return FrontendState(Rows.empty(self.features, kept), own, self._segmenter.hearing())

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
        """Take what is left of the stream."""
        self._take(state.pending, state)
        state.pending = state.pending[:0]

    def _take(self, block: FloatArray, state: FrontendState) -> None:
        state.rows.push(block)
        if state.activity_rows is not None:
            state.activity_rows.push(block)
        if state.hearing is not None:
            self._segmenter.hear(block, state.hearing)

    def listen(self, state: FrontendState) -> LocalActivity:
        """Who of the local speakers is active, in the last seconds up to now."""
        chances = self._heard(state)
        if state.heard is not None:
            card, config = self._segmenter.card, self._config
            memory = card.memory if config.memory is None else config.memory
            chances = blended(chances, state.heard, config, memory)
        state.heard = chances
        return decided(chances, self._config)

    def _heard(self, state: FrontendState) -> LocalChances:
        if state.hearing is not None:
            return LocalChances(*self._segmenter.heard(state.hearing))
        rows = state.rows if state.activity_rows is None else state.activity_rows
        last = rows.end // ROWS
        first = max(0, -(-rows.oldest // ROWS), last - self._segmenter.frames)
        return LocalChances(first, self._segmenter.speakers(rows.between(first * ROWS, last * ROWS)))

    def window(
        self, segment: Segment, speaker: int, activity: LocalActivity, least: int, state: FrontendState
    ) -> tuple[FloatArray, FloatArray, bool]:
        """Features of a stretch, and the mask of one local speaker in it.

        Frames in which others speak too are left out, unless fewer than `least` rows would remain.

        Args:
            segment: the stretch; what lies outside the stream is silence off the mask
            speaker: 0 to 2
            activity: what the segmenter heard
            least: rows that the speaker should have alone
            state: the stream's

        Returns:
            float32 [shape=(rows, mels)], float32 [shape=(rows,)], and whether the speaker is alone there
        """
        hop = self.features.hop
        first, last = segment.start // hop, segment.end // hop
        features = state.rows.between(first, last)
        middles = np.arange(first, last) * hop + self.features.window // 2
        at = middles // ACTIVITY_HOP - activity.first
        known = (at >= 0) & (at < len(activity.active)) & (np.arange(first, last) < state.rows.end)
        alone = activity.alone[:, speaker][at.clip(0, len(activity.active) - 1)] & known
        if int(alone.sum()) >= least:
            return features, alone.astype(np.float32), True
        heard = activity.active[:, speaker][at.clip(0, len(activity.active) - 1)] & known
        return features, heard.astype(np.float32), False
