"""What is wrong with the sound itself: silence that goes on, and a level that clips."""

import numpy as np

from rtspk.server.messages import WarningMessage
from rtspk.types import FloatArray, samples_of

__all__ = ["Watch"]

SILENT: float = 1e-4  # of full scale, -80 dB: a microphone that is on has more noise than this
SILENCE: int = samples_of(10.0)
CLIPPED: float = 0.985  # of full scale
CLIPPED_SHARE: float = 0.005  # of the samples of a stretch
STRETCH: int = samples_of(5.0)


class Watch:
    """Says each fault once, and again only after it was gone."""

    def __init__(self) -> None:
        self._silent = self._heard = self._clipped = 0
        self._said_silence = self._said_clipping = False

    def hear(self, samples: FloatArray) -> list[WarningMessage]:
        """Take the next samples, float32 [shape=(n,)] at 16 kHz."""
        if not len(samples):
            return []
        return [*self._silence(samples), *self._clipping(samples)]

    def _silence(self, samples: FloatArray) -> list[WarningMessage]:
        loud = np.flatnonzero(np.abs(samples) > SILENT)
        if len(loud):
            self._silent, self._said_silence = len(samples) - 1 - int(loud[-1]), False
        else:
            self._silent += len(samples)
        if self._silent < SILENCE or self._said_silence:
            return []
        self._said_silence = True
        return [WarningMessage(code="silence", message="10 s of silence: is the microphone muted?")]

    def _clipping(self, samples: FloatArray) -> list[WarningMessage]:
        self._heard += len(samples)
        self._clipped += int(np.count_nonzero(np.abs(samples) >= CLIPPED))
        if self._heard < STRETCH:
            return []
        share, self._heard, self._clipped = self._clipped / self._heard, 0, 0
        if share < CLIPPED_SHARE:
            self._said_clipping = False
            return []
        if self._said_clipping:
            return []
        self._said_clipping = True
        return [
            WarningMessage(code="clipping", message="the sound is too loud and clips: turn the level down")
        ]
