"""Networks that answer the same question once: what is tuned behind them costs little."""

from collections.abc import Sequence
from hashlib import blake2b

from rtspk.engine.cohort import Cohort
from rtspk.engine.embedder import Embedder, EmbedderCard
from rtspk.engine.segmenter import Segmenter, SegmenterCard
from rtspk.types import Embedding, FloatArray, Window

__all__ = ["RememberingEmbedder", "RememberingSegmenter"]


class RememberingEmbedder:
    """An embedder before another, which is asked only what was never asked."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[bytes, FloatArray] = {}

    @property
    def card(self) -> EmbedderCard:
        """That of the other."""
        return self._embedder.card

    @property
    def cohort(self) -> Cohort | None:
        """That of the other."""
        return self._embedder.cohort

    def embed(self, windows: Sequence[Window]) -> list[Embedding]:
        """One unit vector for each window, in order."""
        keys = [_digest(window.features, window.mask) for window in windows]
        for key, window in zip(keys, windows, strict=True):
            if key not in self._known:
                self._known[key] = self._embedder.embed([window])[0].vector
        return [
            Embedding(self._known[key], window.segment, window.net_speech)
            for key, window in zip(keys, windows, strict=True)
        ]


class RememberingSegmenter(Segmenter):
    """A segmenter before another, likewise."""

    def __init__(self, segmenter: Segmenter) -> None:  # the network is the other's
        self._segmenter = segmenter
        self.frames = segmenter.frames
        self._known: dict[bytes, FloatArray] = {}

    @property
    def card(self) -> SegmenterCard:  # type: ignore[override] # read-only here
        """That of the other."""
        return self._segmenter.card

    def speakers(self, rows: FloatArray) -> FloatArray:
        """The chance of each local speaker to be active, in one window."""
        key = _digest(rows)
        if key not in self._known:
            self._known[key] = self._segmenter.speakers(rows)
        return self._known[key]


def _digest(*arrays: FloatArray) -> bytes:
    digest = blake2b(digest_size=16)
    for array in arrays:
        digest.update(array.tobytes())
    return digest.digest()
