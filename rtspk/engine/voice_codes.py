"""A million voices in 48 bytes each: product codes that find who could be near, for an exact look afterwards.

Pairs of dimensions are coded in 4 bits, and all codes are compared with a query by table look-up in registers
(FAISS calls it fast scan). At a million vectors that takes about 2 ms on one core and leaves nothing out; an
inverted file had to look into a quarter of its lists for the same recall, and a graph takes ten times the
memory.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import GalleryError
from rtspk.types import FloatArray

if TYPE_CHECKING:
    import faiss

__all__ = ["TRAINED_ON", "VoiceCodes"]

BITS = 4
TRAINED_ON = 16_384  # vectors; 16 centres for each pair of dimensions need no more


@dataclass(frozen=True, slots=True, eq=False)
class VoiceCodes:
    """Codes of vectors, each with the id of what it stands for.

    ids : int64 [shape=(n,)]
    codes : uint8 [shape=(n, bytes)]
    codebook : float32 [shape=(pairs of dimensions * 16 * 2,)]
    """

    dimension: int
    ids: NDArray[np.int64]
    codes: NDArray[np.uint8]
    codebook: FloatArray
    _index: "faiss.IndexPQFastScan" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pairs = _pairs(self.dimension)
        whole = self.codes.shape == (len(self.ids), _code_size(self.dimension))
        if not whole or len(self.codebook) != pairs * 2**BITS * 2:
            raise GalleryError(
                f"wanted codes of {self.dimension} dimensions, "
                f"got shapes {self.codes.shape}, {self.ids.shape}"
            )
        object.__setattr__(self, "_index", self._scanned())

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def train(cls, dimension: int, sample: FloatArray) -> "VoiceCodes":
        """No codes yet, but the codebook that fits a sample: float32 [shape=(n, dimension)], n from 16 on."""
        import faiss

        coder = _coder(dimension)
        coder.pq.cp.min_points_per_centroid = 1  # a small sample is no reason for words on stderr
        coder.train(_padded(np.ascontiguousarray(sample)))
        codebook = faiss.vector_to_array(coder.pq.centroids)
        empty = np.zeros((0, _code_size(dimension)), np.uint8)
        return cls(dimension, np.zeros(0, np.int64), empty, codebook)

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        """Codes of vectors: float32 [shape=(n, dimension)] to uint8 [shape=(n, bytes)]."""
        coder = _coder(self.dimension, self.codebook)
        codes: NDArray[np.uint8] = coder.sa_encode(_padded(np.ascontiguousarray(vectors)))
        return codes

    def extended(self, parts: Iterable[tuple[NDArray[np.int64], NDArray[np.uint8]]]) -> "VoiceCodes":
        """These and more: ids and their codes; an id that is known already gets the newer code."""
        more = list(parts)
        if not more:
            return self
        ids = np.concatenate([one for one, _ in more])
        kept = ~np.isin(self.ids, ids)
        return VoiceCodes(
            self.dimension,
            np.concatenate([self.ids[kept], ids]),
            np.concatenate([self.codes[kept], *(codes for _, codes in more)]),
            self.codebook,
        )

    def without(self, ids: Collection[int]) -> "VoiceCodes":
        """These, but for some ids."""
        kept = ~np.isin(self.ids, np.fromiter(ids, np.int64, len(ids)))
        return VoiceCodes(self.dimension, self.ids[kept], self.codes[kept], self.codebook)

    def nearest(self, query: FloatArray, count: int) -> list[int]:
        """Ids that are probably nearest to a query: float32 [shape=(dimension,)]; best first, roughly."""
        count = min(count, len(self))
        if not count:
            return []
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread: on busy cores waiting for helpers takes longer
        _, rows = self._index.search(_padded(query[None]), count)
        found: list[int] = self.ids[rows[0][rows[0] >= 0]].tolist()
        return found

    def _scanned(self) -> "faiss.IndexPQFastScan":
        import faiss

        coder = _coder(self.dimension, self.codebook)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.codes).reshape(-1), coder.codes)
        coder.ntotal = len(self.ids)
        return faiss.IndexPQFastScan(coder)  # type: ignore[arg-type]  # its stubs know one constructor of four


def _pairs(dimension: int) -> int:
    return -(-dimension // 2)


def _code_size(dimension: int) -> int:
    return -(-_pairs(dimension) * BITS // 8)


def _coder(dimension: int, codebook: FloatArray | None = None) -> "faiss.IndexPQ":
    import faiss

    pairs = _pairs(dimension)
    coder = faiss.IndexPQ(2 * pairs, pairs, BITS, faiss.METRIC_INNER_PRODUCT)
    if codebook is not None:
        faiss.copy_array_to_vector(np.ascontiguousarray(codebook, np.float32), coder.pq.centroids)
        coder.is_trained = True
    return coder


def _padded(vectors: FloatArray) -> FloatArray:
    """Vectors of an even dimension."""
    missing = vectors.shape[1] % 2
    return np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors
