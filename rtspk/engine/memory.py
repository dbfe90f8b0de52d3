"""The windows that a session remembers of its voices, and how they fall into groups."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.types import FloatArray

__all__ = ["Memory", "groups"]

NEVER: float = -9.0  # less alike than anything


@dataclass(slots=True)
class Memory:
    """Windows in which one voice was heard alone; the oldest of a label are joined when there are too many.

    vectors : float32 [shape=(n, dimension)], unit vectors
    weights : float32 [shape=(n,)], seconds of speech behind each
    labels : int64 [shape=(n,)]
    """

    vectors: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    weights: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, vector: FloatArray, weight: float, label: int, limit: int) -> None:
        """Remember one more window."""
        kept = self.vectors if len(self.weights) else np.zeros((0, len(vector)), np.float32)
        self.vectors = np.concatenate([kept, vector[None]])
        self.weights = np.append(self.weights, np.float32(weight))
        self.labels = np.append(self.labels, label)
        if len(self.weights) > limit:
            self._shrink()

    def relabel(self, gone: int, kept: int) -> None:
        """A label's windows are another's."""
        self.labels[self.labels == gone] = kept

    def _shrink(self) -> None:
        """Join the two nearest windows among the older half of the label that has most."""
        labels, counts = np.unique(self.labels, return_counts=True)
        own = np.flatnonzero(self.labels == labels[int(np.argmax(counts))])
        own = own[: max(2, len(own) // 2)]
        cosine = self.vectors[own] @ self.vectors[own].T
        np.fill_diagonal(cosine, NEVER)
        a, b = own[list(divmod(int(np.argmax(cosine)), len(own)))]
        joined = self.weights[a] * self.vectors[a] + self.weights[b] * self.vectors[b]
        self.vectors[a] = joined / max(1e-6, float(np.linalg.norm(joined)))
        self.weights[a] += self.weights[b]
        keep = np.arange(len(self.weights)) != b
        self.vectors, self.weights, self.labels = self.vectors[keep], self.weights[keep], self.labels[keep]


def groups(vectors: FloatArray, weights: FloatArray, least: float) -> NDArray[np.int64]:
    """Group vectors from the bottom up, by the mean cosine between all pairs of two groups.

    Args:
        vectors: float32 [shape=(n, dimension)], unit vectors
        weights: float32 [shape=(n,)], how much each counts
        least: groups that are less alike are not joined

    Returns:
        int64 [shape=(n,)], the number of each one's group, from 0 on without gaps
    """
    count = len(weights)
    member = np.arange(count)
    if count < 2:
        return member
    # The mean cosine of all pairs is the product of the groups' weighted sums, so that joining is adding.
    sums = (vectors * weights[:, None]).astype(np.float64)
    mass = weights.astype(np.float64)
    alike = sums @ sums.T / np.outer(mass, mass)
    np.fill_diagonal(alike, NEVER)
    for _ in range(count - 1):
        a, b = divmod(int(np.argmax(alike)), count)
        if alike[a, b] < least:
            break
        sums[a] += sums[b]
        mass[a] += mass[b]
        member[member == b] = a
        row = sums @ sums[a] / (mass * mass[a])
        gone = alike[a] == NEVER
        row[gone] = NEVER
        row[[a, b]] = NEVER
        alike[a], alike[:, a] = row, row
        alike[b], alike[:, b] = NEVER, NEVER
    return np.unique(member, return_inverse=True)[1]
