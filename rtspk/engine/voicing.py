"""Whether a vector is a voice's at all: a barking dog and a song get vectors too."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtspk.errors import ModelError
from rtspk.types import FloatArray

__all__ = ["Voicing"]


@dataclass(frozen=True, slots=True)
class Voicing:
    """A plane between the vectors of voices and those of other sounds, from logistic regression.

    normal : float32 [shape=(dimension,)]
    offset : what is added to a vector's product with it; sums from 0 on are voices
    """

    normal: FloatArray
    offset: float

    def __post_init__(self) -> None:
        if self.normal.ndim != 1 or not np.isfinite(self.normal).all() or not np.isfinite(self.offset):
            raise ModelError(f"wanted a plane of finite numbers, got shape {self.normal.shape}")

    @classmethod
    def read(cls, path: Path) -> "Voicing":
        """Read a plane from a .npy file of dimension + 1 numbers, the last of which is the offset."""
        try:
            plane = np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, EOFError, ValueError) as error:
            raise ModelError(f"wanted a plane between voices and sounds in {path}, got {error}") from error
        if plane.ndim != 1 or len(plane) < 2:
            raise ModelError(f"wanted a row of numbers in {path}, got shape {plane.shape}")
        return cls(plane[:-1], float(plane[-1]))

    def score(self, vector: FloatArray) -> float:
        """How far a vector is on the voices' side, in log odds: float32 [shape=(dimension,)], any length."""
        length = float(np.linalg.norm(vector))
        return float(self.normal @ vector) / max(length, 1e-9) + self.offset
