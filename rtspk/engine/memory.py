"""The windows that a session remembers of its voices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.tables import held_together, let_go, nearest_two
from rtspk.kernels.vectors import multiplied, summed
from rtspk.types import FloatArray

__all__ = ["NOBODY", "Memory"]

NOBODY: int = -1  # the label of a window whose voice has none yet
SHORTEST: float = 1e-9  # length of a sum of windows that has a direction
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
        self._keep((self.labels != NOBODY) | (piece - self.pieces <= FORGOTTEN))
        gone = self._spared() if len(self.weights) >= limit else None
        if gone is None:
            self._grow(len(vector))
        else:
            self._let_go(gone)
        self.vectors[-1], self.weights[-1], self.certainties[-1] = vector, weight, certainty
        self.labels[-1], self.pieces[-1] = NOBODY, piece
        self.products[-1] = self.products[:, -1] = multiplied(self.vectors, vector[None])[:, 0]
        self.hints[-1] = self.hints[:, -1] = self._told(hints)

    def relabel(self, gone: int, kept: int) -> None:
        """A label's windows are another's."""
        self.labels[self.labels == gone] = kept

    def places(self, labels: Sequence[int]) -> NDArray[np.int64]:
        """Where each window's label is among some, int64 [shape=(n,)]; -1 for all others."""
        table = np.full(max([int(self.labels.max(initial=NOBODY)), *labels]) + 2, -1)
        table[list(labels)] = np.arange(len(labels))
        return np.asarray(table[self.labels])  # `NOBODY` is the last of the table

    def seconds(self, labels: Sequence[int]) -> dict[int, float]:
        """What is remembered of each label's speech."""
        sums = np.bincount(self.places(labels) + 1, self.weights, len(labels) + 1)
        return dict(zip(labels, sums[1:].tolist(), strict=True))

    def centroids(self, labels: Sequence[int]) -> FloatArray:
        """The directions of all windows of each label, float32 [shape=(labels, dimension)], unit vectors."""
        sums = summed(self.vectors, self.weights, self.places(labels), len(labels))
        return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(SHORTEST))

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

    def alike(self, common: float, settled: NDArray[np.int64], keep: float) -> FloatArray:
        """How alike all pairs are, float32 [shape=(n, n)]; see `held_together` for the arguments."""
        return held_together(self.products, self.hints, common, self.labels, settled, keep)

    def _told(self, hints: Mapping[int, float]) -> FloatArray:
        """Hints by window, for the one that was added last."""
        told = np.zeros(len(self.pieces), np.float32)
        for row in np.flatnonzero(self.pieces[:-1] >= min(hints, default=0)).tolist():
            told[row] = hints.get(int(self.pieces[row]), 0.0)
        return told

    def _spared(self) -> int | None:
        """Make room: what may go, for it is forgotten, or joined with a near one of the label that has most.

        Both are of its older half. No label loses its only window.
        """
        most = int(np.argmax(np.bincount(self.labels - NOBODY))) + NOBODY
        own = np.flatnonzero(self.labels == most)
        if most == NOBODY:
            return int(own[0])
        if len(own) < 2:
            return None
        a, b = nearest_two(self.products, own[: max(2, len(own) // 2)])
        share = self.weights[[a, b]] / self.weights[[a, b]].sum()
        self.vectors[a] = share @ self.vectors[[a, b]]
        self.hints[a] = self.hints[:, a] = share @ self.hints[[a, b]]
        products = share @ self.products[[a, b]]
        self.products[a] = self.products[:, a] = products
        self.products[a, a] = share @ products[[a, b]]
        self.certainties[a] = share @ self.certainties[[a, b]]
        self.weights[a] += self.weights[b]
        self.pieces[a] = max(self.pieces[a], self.pieces[b])
        return b

    def _grow(self, dimension: int) -> None:
        """Make a place behind the last window."""
        if not len(self.weights):
            self.vectors = np.zeros((0, dimension), np.float32)
        self.vectors = np.concatenate([self.vectors, np.zeros((1, dimension), np.float32)])
        self.weights = np.append(self.weights, np.float32(0.0))
        self.certainties = np.append(self.certainties, np.float32(0.0))
        self.labels, self.pieces = np.append(self.labels, NOBODY), np.append(self.pieces, 0)
        self.products, self.hints = _grown(self.products), _grown(self.hints)

    def _let_go(self, gone: int) -> None:
        """Take a window out: what is behind it moves up, and the last place is free."""
        for rows in (self.vectors, self.weights, self.certainties, self.labels, self.pieces):
            rows[gone:-1] = rows[gone + 1 :]
        let_go(self.products, gone)
        let_go(self.hints, gone)

    def _keep(self, which: NDArray[np.bool_]) -> None:
        if which.all():
            return
        self.vectors, self.weights = self.vectors[which], self.weights[which]
        self.certainties = self.certainties[which]
        self.labels, self.pieces = self.labels[which], self.pieces[which]
        self.products = np.ascontiguousarray(self.products[which][:, which])
        self.hints = np.ascontiguousarray(self.hints[which][:, which])


def _grown(square: FloatArray) -> FloatArray:
    """A square with one more row and column, whose numbers are anything."""
    grown = np.empty((len(square) + 1,) * 2, np.float32)
    grown[:-1, :-1] = square
    return grown
