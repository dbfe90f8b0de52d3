"""The windows that a session remembers of its voices."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.closeness import without
from rtspk.engine.unit import unit
from rtspk.kernels.groups import NEVER
from rtspk.types import FloatArray

__all__ = ["NOBODY", "Memory"]

NOBODY: int = -1  # the label of a window whose voice has none yet
FORGOTTEN: int = 3 * 2 * 90  # pieces in 90 s: what has no label after that is forgotten


@dataclass(slots=True)
class Memory:
    """Windows in which one voice was heard alone; the oldest of a label are joined when there are too many.

    The product of two vectors is the mean cosine of all pairs of windows behind them, however many these are:
    what was joined is their mean, and no unit vector any more.

    vectors : float32 [shape=(n, dimension)]
    products : float32 [shape=(n, n)], of all pairs of vectors; each window adds its own
    weights : float32 [shape=(n,)], seconds of speech behind each
    certainties : float32 [shape=(n,)], how surely each is speech
    labels : int64 [shape=(n,)], `NOBODY` where the voice has none yet
    pieces : int64 [shape=(n,)], the newest piece of each
    hints : float32 [shape=(n, n)], symmetric: what else speaks for two windows being one voice's
    """

    vectors: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    products: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    weights: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    certainties: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    pieces: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    hints: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def add(
        self,
        vector: FloatArray,
        weight: float,
        certainty: float,
        piece: int,
        limit: int,
        hints: Mapping[int, float],
    ) -> None:
        """Remember one more window, whose voice is not known yet; `hints` go by piece."""
        if not len(self.weights):
            self.vectors = np.zeros((0, len(vector)), np.float32)
        self._keep((self.labels != NOBODY) | (piece - self.pieces <= FORGOTTEN))
        if len(self.weights) >= limit:
            self._shrink()
        self.vectors = np.concatenate([self.vectors, vector[None]])
        self.weights = np.append(self.weights, np.float32(weight))
        self.certainties = np.append(self.certainties, np.float32(certainty))
        self.labels = np.append(self.labels, NOBODY)
        # No call of BLAS, whose threads would wake up for so little.
        self.products = _grown(self.products, np.einsum("nd,d->n", self.vectors, vector))
        told = [hints.get(other, 0.0) for other in self.pieces.tolist()]
        self.hints = _grown(self.hints, np.array([*told, 0.0], np.float32))
        self.pieces = np.append(self.pieces, piece)

    def relabel(self, gone: int, kept: int) -> None:
        """A label's windows are another's."""
        self.labels[self.labels == gone] = kept

    def centroid(self, label: int) -> FloatArray:
        """The direction of all windows of a label, float32 [shape=(dimension,)], a unit vector."""
        own = self.labels == label
        return unit(self.weights[own] @ self.vectors[own])

    def mean(self, which: NDArray[np.bool_]) -> FloatArray:
        """The mean of some windows, float32 [shape=(dimension,)], the shorter the less alike they are."""
        weights = self.weights[which]
        return np.asarray(weights @ self.vectors[which] / weights.sum())

    @property
    def likeness(self) -> float:
        """The mean cosine of two windows, whoever speaks; 1 where there are no two."""
        count = len(self.products)
        if count < 2:
            return 1.0
        return float(self.products.sum() - self.products.trace()) / (count * (count - 1))

    def alike(self, common: float = 0.0) -> FloatArray:
        """The mean cosines of all pairs and their hints, float32 [shape=(n, n)].

        `common` is what all cosines have in common, and is left out.
        """
        if not common:
            return self.products + self.hints
        return without(self.products, common) + self.hints

    def _shrink(self) -> None:
        """Make room: join two near windows of the older half of the label that has most."""
        labels, counts = np.unique(self.labels, return_counts=True)
        most = labels[int(np.argmax(counts))]
        own = np.flatnonzero(self.labels == most)
        if most == NOBODY:
            self._keep(np.arange(len(self.weights)) != own[0])
            return
        if len(own) < 2:  # no label loses its only window
            return
        own = own[: max(2, len(own) // 2)]
        products = self.products[own][:, own]
        length = np.sqrt(products.diagonal().clip(1e-18))
        cosine = products / np.outer(length, length)
        np.fill_diagonal(cosine, NEVER)
        a, b = own[list(divmod(int(np.argmax(cosine)), len(own)))]
        share = self.weights[[a, b]] / self.weights[[a, b]].sum()
        self.vectors[a] = share @ self.vectors[[a, b]]
        self.hints[a] = self.hints[:, a] = share @ self.hints[[a, b]]
        products = share @ self.products[[a, b]]
        self.products[a] = self.products[:, a] = products
        self.products[a, a] = share @ products[[a, b]]
        self.certainties[a] = share @ self.certainties[[a, b]]
        self.weights[a] += self.weights[b]
        self.pieces[a] = max(self.pieces[a], self.pieces[b])
        self._keep(np.arange(len(self.weights)) != b)

    def _keep(self, which: NDArray[np.bool_]) -> None:
        if which.all():
            return
        self.vectors, self.weights = self.vectors[which], self.weights[which]
        self.certainties = self.certainties[which]
        self.labels, self.pieces = self.labels[which], self.pieces[which]
        self.hints = self.hints[which][:, which]
        self.products = self.products[which][:, which]


def _grown(square: FloatArray, row: FloatArray) -> FloatArray:
    """A symmetric matrix with one more row, float32 [shape=(n + 1,)], which is its last column too."""
    grown = np.empty((len(row), len(row)), np.float32)
    grown[:-1, :-1] = square
    grown[-1] = grown[:, -1] = row
    return grown
