"""What a session remembers of one voice: a few exemplars, never a running sum."""

from dataclasses import dataclass

import numpy as np

from rtspk.errors import ModelError
from rtspk.types import FloatArray

__all__ = ["Prototype"]


@dataclass(slots=True)
class Prototype:
    """Exemplars of one label and their centroid.

    exemplars : float32 [shape=(n, dimension)], unit vectors
    weights : float32 [shape=(n,)], speech behind each exemplar in seconds
    centroid : float32 [shape=(dimension,)], a unit vector
    """

    exemplars: FloatArray
    weights: FloatArray
    centroid: FloatArray
    speech: int = 0  # samples of speech given to this label so far

    @classmethod
    def of(cls, vectors: list[FloatArray], weights: list[float], limit: int) -> "Prototype":
        """A prototype of some vectors of one voice."""
        one = cls(np.stack(vectors), np.array(weights, np.float32), vectors[0])
        while len(one.weights) > limit:
            one._join_nearest()
        one._centre()
        return one

    def learn(self, vector: FloatArray, weight: float, limit: int) -> None:
        """Take in one more vector; the two nearest exemplars are joined when there are more than `limit`."""
        self.exemplars = np.concatenate([self.exemplars, vector[None]])
        self.weights = np.append(self.weights, np.float32(weight))
        if len(self.weights) > limit:
            self._join_nearest()
        self._centre()

    def absorb(self, other: "Prototype", limit: int) -> None:
        """Take in all of another prototype."""
        self.exemplars = np.concatenate([self.exemplars, other.exemplars])
        self.weights = np.concatenate([self.weights, other.weights])
        self.speech += other.speech
        while len(self.weights) > limit:
            self._join_nearest()
        self._centre()

    def _join_nearest(self) -> None:
        cosine = self.exemplars @ self.exemplars.T
        np.fill_diagonal(cosine, -2.0)
        a, b = np.unravel_index(int(np.argmax(cosine)), cosine.shape)
        joined = self.weights[a] * self.exemplars[a] + self.weights[b] * self.exemplars[b]
        self.exemplars[a] = unit(joined)
        # A weight that only grew would make one exemplar the whole voice.
        self.weights[a] = min(self.weights[a] + self.weights[b], 10.0)
        self.exemplars = np.delete(self.exemplars, b, axis=0)
        self.weights = np.delete(self.weights, b)

    def _centre(self) -> None:
        self.centroid = unit(self.weights @ self.exemplars)


def unit(vector: FloatArray) -> FloatArray:
    """Scale to unit length.

    Raises:
        ModelError: for a vector that is zero or not finite.
    """
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm < 1e-12:
        raise ModelError(f"wanted a voice, got a vector of length {norm}")
    return (vector / np.float32(norm)).astype(np.float32)
