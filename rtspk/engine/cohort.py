"""A cohort of other voices: what a score means for these two voices, not for voices at large."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtspk.errors import ModelError
from rtspk.types import FloatArray

__all__ = ["Cohort"]

NEAREST: int = 200  # of the cohort; with fewer their spread is chance, with more the tail is not theirs

FEW: int = 20  # likewise, for one voice alone: those that could be taken for it


@dataclass(frozen=True, slots=True)
class Cohort:
    """Unit vectors of speakers that nobody enrols, one for each.

    vectors : float32 [shape=(speakers, dimension)]
    """

    vectors: FloatArray

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) < 2:
            raise ModelError(f"wanted a cohort of two voices or more, got shape {self.vectors.shape}")
        if not np.isfinite(self.vectors).all():
            raise ModelError("wanted a cohort of finite vectors, got NaN or infinity")

    @classmethod
    def read(cls, path: Path) -> "Cohort":
        """Read a table of vectors from a .npy file, in any precision; they are scaled to unit length."""
        try:
            table = np.load(path, allow_pickle=False).astype(np.float32)
            length = np.linalg.norm(table, axis=-1, keepdims=True)
        except (OSError, EOFError, ValueError) as error:
            raise ModelError(f"wanted a cohort in {path}, got {error}") from error
        return cls(table / length.clip(1e-9))

    def standing(self, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How near the cohort's nearest voices are to each vector: their mean and their deviation.

        vectors : float32 [shape=(n, dimension)], of unit length

        Returns:
            two of float32 [shape=(n,)]
        """
        scores = vectors @ self.vectors.T  # (n, speakers)
        count = min(NEAREST, len(self.vectors))
        nearest = np.partition(scores, -count, axis=1)[:, -count:]
        return nearest.mean(axis=1), nearest.std(axis=1).clip(1e-4)

    def nearness(self, vectors: FloatArray) -> FloatArray:
        """How near the few nearest voices of the cohort are to each vector: their mean cosine.

        vectors : float32 [shape=(n, dimension)], of unit length; returns float32 [shape=(n,)]

        A voice that many strangers are near to needs a higher score to be somebody. For naming this did
        better than AS-norm (see bench/LOG.md), and the enrolled need no standing of their own.
        """
        # No call of BLAS, whose threads would wake up for a stream's one vector.
        scores = np.einsum("nd,sd->ns", vectors, self.vectors)  # (n, speakers)
        count = min(FEW, len(self.vectors))
        nearest: FloatArray = np.partition(scores, -count, axis=1)[:, -count:].mean(axis=1)
        return nearest

    def normalise(self, scores: FloatArray, one: FloatArray, other: FloatArray) -> FloatArray:
        """Scores in deviations from what each side scores against its own nearest strangers.

        Adaptive symmetric normalisation (AS-norm; Matejka et al., Interspeech 2017).

        Args:
            scores: cosines, float32 [shape=(n,)]
            one: unit vectors of one side, float32 [shape=(n, dimension)]
            other: of the other, the same shape
        """
        parts = [(scores - mean) / deviation for mean, deviation in map(self.standing, (one, other))]
        return np.asarray(0.5 * (parts[0] + parts[1]), np.float32)
