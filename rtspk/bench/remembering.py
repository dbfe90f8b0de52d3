"""Networks that answer the same question once: what is tuned behind them costs little."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.cohort import Cohort
from rtspk.engine.embedder import Embedder, EmbedderCard
from rtspk.engine.recurrence import Asking, Passage, Told
from rtspk.engine.recurrent import Hearing
from rtspk.engine.segmenter import Segmenter, SegmenterCard
from rtspk.engine.trunk import Trunk
from rtspk.engine.voicing import Voicing
from rtspk.types import Embedding, FloatArray, Window

__all__ = ["RememberingEmbedder", "RememberingSegmenter"]


class RememberingEmbedder:
    """An embedder before another, which is asked only what was never asked."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[bytes, FloatArray] = {}
        self.trunk = None if embedder.trunk is None else RememberingTrunk(embedder.trunk)

    @property
    def card(self) -> EmbedderCard:
        """That of the other."""
        return self._embedder.card

    @property
    def cohort(self) -> Cohort | None:
        """That of the other."""
        return self._embedder.cohort

    @property
    def voicing(self) -> Voicing | None:
        """That of the other."""
        return self._embedder.voicing

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


class RememberingTrunk(Trunk):
    """The trunk of an embedder before another, likewise."""

    def __init__(self, trunk: Trunk) -> None:  # the network is the other's
        self._trunk, self.group = trunk, trunk.group
        self._known: dict[bytes, FloatArray] = {}

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Frames of a picture."""
        key = _digest(rows)
        if key not in self._known:
            self._known[key] = self._trunk(rows)
        return self._known[key]


@dataclass(slots=True)
class RememberedHearing(Hearing):
    """A stream's state that is behind by the blocks whose answer was known; `key` stands for all so far."""

    key: bytes = b""
    late: list[FloatArray] = field(default_factory=list)


class RememberingSegmenter(Segmenter):
    """A segmenter before another, likewise: in a stream, what it hears behind the same sound is the same."""

    def __init__(self, segmenter: Segmenter) -> None:  # the network is the other's
        self._segmenter = segmenter
        self.frames = segmenter.frames
        self._known: dict[bytes, FloatArray] = {}
        self._heard: dict[bytes, tuple[int, FloatArray]] = {}

    @property
    def card(self) -> SegmenterCard:  # type: ignore[override] # read-only here
        """That of the other."""
        return self._segmenter.card

    def hearing(self) -> Hearing | None:
        """That of the other, with the name of what was heard."""
        own = self._segmenter.hearing()
        if own is None:
            return None
        return RememberedHearing(**{one.name: getattr(own, one.name) for one in fields(Hearing)})

    def take(self, block: FloatArray, hearing: Hearing) -> Asking[None]:
        """Take the next samples of a stream; asks what is in passages where it is not known."""
        assert isinstance(hearing, RememberedHearing)
        hearing.key = _digest(np.frombuffer(hearing.key, np.uint8), block)
        hearing.late.append(block)
        if hearing.key in self._heard:
            return
        for one in hearing.late:
            yield from self._segmenter.take(one, hearing)
        hearing.late.clear()
        self._heard[hearing.key] = self._segmenter.heard(hearing)

    def tell(self, passages: Sequence[Passage]) -> list[Told]:
        """What is in passages, as the other tells it."""
        return self._segmenter.tell(passages)

    def heard(self, hearing: Hearing) -> tuple[int, FloatArray]:
        """The chance of each local speaker to be active in the last seconds of a stream."""
        assert isinstance(hearing, RememberedHearing)
        first, chances = self._heard[hearing.key]
        return first, chances.copy()

    def speakers(self, rows: FloatArray) -> FloatArray:
        """The chance of each local speaker to be active, in one window."""
        key = _digest(rows)
        if key not in self._known:
            self._known[key] = self._segmenter.speakers(rows)
        return self._known[key]


def _digest(*arrays: NDArray[np.generic]) -> bytes:
    digest = blake2b(digest_size=16)
    for array in arrays:
        digest.update(array.tobytes())
    return digest.digest()
