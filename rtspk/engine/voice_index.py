"""Find the nearest speakers of a voice: a FAISS index over exemplars and centroids.

A speaker's score is the highest cosine over its exemplars and, where it has several, their centroid (the mean
of its unit vectors, scaled to unit length). So a voice on a phone and in a room are two exemplars, not an
average, and many poor exemplars still make one good centroid.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.types import FloatArray

__all__ = ["VoiceIndex", "centroids"]

# How many rows to fetch for each name wanted: most names have a few exemplars, more are fetched where needed.
ROWS_PER_NAME = 8
LEAST_ROWS = 64


class VoiceIndex:
    """Rows of unit vectors, each with the speaker it belongs to.

    Args:
        dimension: length of a vector.
        owners: int64 [shape=(exemplars,)], speaker id of each vector, in rising order.
        vectors: float32 [shape=(exemplars, dimension)], unit length.
    """

    def __init__(self, dimension: int, owners: NDArray[np.int64], vectors: FloatArray) -> None:
        import faiss  # 0.2 s: only who searches waits for it

        self._faiss = faiss
        self._dimension = dimension
        self._flat = faiss.IndexFlatIP(dimension)
        self._flat.add(vectors)
        speakers, counts = np.unique(owners, return_counts=True)
        several = counts > 1
        self._speakers = set(speakers.tolist())
        self._owners = np.concatenate([owners, speakers[several]])
        self._centroid_row = {
            int(speaker): len(owners) + place for place, speaker in enumerate(speakers[several])
        }
        if several.any():
            self._flat.add(centroids(owners, vectors)[1][several])

    def __len__(self) -> int:
        """How many exemplars are in it."""
        return len(self._owners) - len(self._centroid_row)

    def knows(self, owner: int) -> bool:
        """Whether a speaker has an exemplar in it."""
        return owner in self._speakers

    def add(self, owner: int, vectors: FloatArray) -> None:
        """Add exemplars of one speaker: vectors : float32 [shape=(exemplars, dimension)], unit length."""
        if not len(vectors):
            return
        self._flat.add(vectors)
        self._owners = np.append(self._owners, np.full(len(vectors), owner, dtype=np.int64))
        self._speakers.add(owner)
        own = self._owners == owner
        row = self._centroid_row.get(owner)
        if row is not None:
            own[row] = False
        exemplars = self._rows()[own]  # (exemplars, dimension), a copy
        if len(exemplars) > 1:
            _, centroid = centroids(np.full(len(exemplars), owner, np.int64), exemplars)
            if row is not None:
                self._rows()[row] = centroid
            else:
                self._centroid_row[owner] = self._flat.ntotal
                self._flat.add(centroid)
                self._owners = np.append(self._owners, np.int64(owner))

    def search(self, queries: FloatArray, k: int) -> list[list[tuple[int, float]]]:
        """For each query the k best speakers, best first, with their scores; all where there are fewer.

        queries : float32 [shape=(queries, dimension)], unit length
        """
        total = self._flat.ntotal
        wanted = min(k, len(self._speakers))
        if not wanted:
            return [[] for _ in queries]
        fetched = max(LEAST_ROWS, ROWS_PER_NAME * k)
        self._faiss.omp_set_num_threads(1)  # of this thread: on busy cores waiting for helpers takes 32 ms
        while True:
            scores, rows = self._flat.search(queries, min(fetched, total))
            found = [
                self._best(row_scores, own_rows) for row_scores, own_rows in zip(scores, rows, strict=True)
            ]
            if fetched >= total or all(len(best) >= wanted for best in found):
                return [best[:wanted] for best in found]
            fetched *= 4

    def _best(self, scores: FloatArray, rows: NDArray[np.int64]) -> list[tuple[int, float]]:
        """Speakers of rows that are sorted by score, each with its best score."""
        best: dict[int, float] = {}
        for owner, score in zip(self._owners[rows].tolist(), scores.tolist(), strict=True):
            best.setdefault(owner, min(1.0, max(-1.0, score)))  # rounding may pass 1
        return list(best.items())

    def _rows(self) -> FloatArray:
        """A view of all vectors, to be read and written in place until the next row is added."""
        flat: FloatArray = self._faiss.rev_swig_ptr(self._flat.get_xb(), self._flat.ntotal * self._dimension)
        return flat.reshape(-1, self._dimension)


def centroids(owners: NDArray[np.int64], vectors: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The middle of each speaker's vectors, scaled to unit length.

    Vectors that cancel out have no middle, and no row of zeros must enter: the first of them stands instead.

    Args:
        owners: int64 [shape=(n,)], speaker of each vector, in rising order
        vectors: float32 [shape=(n, dimension)], unit length

    Returns:
        the speakers, int64 [shape=(speakers,)], and float32 [shape=(speakers, dimension)]
    """
    speakers, starts = np.unique(owners, return_index=True)
    if not len(speakers):
        return speakers, vectors
    sums: FloatArray = np.add.reduceat(vectors, starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return speakers, np.where(norms > 1e-3, sums / np.maximum(norms, 1e-3), vectors[starts])
