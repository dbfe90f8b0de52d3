"""How loud a stream was, for who is told nothing about it and wants to know why."""

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtspk.types import FloatArray, seconds_of

if TYPE_CHECKING:
    from rtspk.engine.events import Event

__all__ = ["Loudness", "Session"]

SOFT: float = 1e-3  # of full scale: no voice in a recording that is worth the name is softer


class Session(Protocol):
    """What takes sound and gives events, here or on a server."""

    def push(self, samples: FloatArray) -> "list[Event]":
        """Take the next samples, float32 [shape=(n,)] at 16 kHz."""

    def finish(self) -> "list[Event]":
        """End the sound."""


class Loudness:
    """A session that also notes how loud its sound is."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._samples, self._loudest = 0, 0.0

    def push(self, samples: FloatArray) -> "list[Event]":
        """Take the next samples, float32 [shape=(n,)] at 16 kHz."""
        self._samples += len(samples)
        self._loudest = max(self._loudest, float(np.abs(samples).max(initial=0.0)))
        return self._session.push(samples)

    def finish(self) -> "list[Event]":
        """End the sound."""
        return self._session.finish()

    def silence(self) -> str:
        """What the sound was like in which nobody was heard."""
        heard = f"in {seconds_of(self._samples):.1f} s of sound"
        if not self._loudest:
            return f"{heard}: every sample of it is zero"
        if self._loudest < SOFT:
            return f"{heard}: its loudest sample is {-20 * math.log10(self._loudest):.0f} dB below full scale"
        return heard
