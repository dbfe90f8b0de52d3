"""The enrolled who may be in a stream: their prints stand among its windows before anybody is sure."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.types import FloatArray

__all__ = ["Anchors"]


def _nobody(_vector: FloatArray, _seconds: float) -> bool:
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Prints of enrolled people whom something that was heard sounded like; of nobody, unless told otherwise.

    A new voice is taken for the one that was heard last where nothing else is known; an enrolled one is
    known before it speaks.

    vectors : float32 [shape=(n, dimension)], unit vectors
    labels : int64 [shape=(n,)], the label that bears the name of each, `NOBODY` where none does
    recognises: whether a voice is surely that of an enrolled person whose name no label bears, by the mean
        of its windows, float32 [shape=(dimension,)], and the seconds of speech behind it
    """

    vectors: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    recognises: Callable[[FloatArray, float], bool] = _nobody

    def __len__(self) -> int:
        """How many they are."""
        return len(self.labels)
