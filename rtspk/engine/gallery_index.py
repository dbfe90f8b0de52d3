"""Who is near, out of what the gallery's file holds now, however large it is.

Up to `LIMIT` exemplars all vectors are in memory. Beyond, the file also holds codes of most of them, made in
the background; a search takes a short list from the codes, reads its vectors from the file and scores those
exactly. What came after the codes is in memory as before. The file stays the truth: whatever is gone from it,
or has another name or owner now, is so in the next search, whichever process changed it.
"""

import threading
from collections.abc import Collection, Iterable

import numpy as np

from rtspk.engine.gallery_codes import CodesRecord, build_codes, read_codes
from rtspk.engine.gallery_file import GalleryFile
from rtspk.engine.gallery_tables import marks
from rtspk.engine.voice_codes import VoiceCodes
from rtspk.engine.voice_index import VoiceIndex, centroids
from rtspk.errors import RtspkError
from rtspk.types import FloatArray

__all__ = ["GalleryIndex"]

LIMIT = 50_000  # exemplars that are searched exactly: 38 MB of 192-d vectors, 3 ms
SHORT = 128  # of the codes' list that is scored exactly; the nearest is behind it once in a thousand times
BEHIND = 20_000  # exemplars that the codes may lack
MANY = 500  # new exemplars at once for which the index in memory is better made anew

Scores = list[tuple[int, float]]


class GalleryIndex:
    """The search of one connection. Not safe for threads by itself: the gallery above holds the lock."""

    def __init__(self, file: GalleryFile, dimension: int) -> None:
        self._file, self._dimension = file, dimension
        self._exact: VoiceIndex | None = None  # None: to be made from the file
        self._codes: VoiceCodes | None = None
        self._record = CodesRecord()  # what the codes in memory are
        self._covered = 0  # highest id that has one
        self._last = 0  # highest id that is known here
        self._removals = 0  # how often something was taken out of the file
        self._seen = -1  # the file's version at the last look
        self._changed = True  # by this connection, which its version does not tell
        self._stale = True  # whether the vectors in memory are older than the last look
        self._names = 0
        self._builder: threading.Thread | None = None
        self._closing = threading.Event()

    def note_change(self) -> None:
        """The file was changed through this connection."""
        self._changed = True

    def names(self) -> int:
        """How many names there are."""
        self._look()
        return self._names

    def search(self, queries: FloatArray, k: int) -> list[Scores]:
        """For each query the k best speakers, best first, with their scores; all where there are fewer.

        queries : float32 [shape=(queries, dimension)], unit length
        """
        exact = self._fresh()
        found = exact.search(queries, k)
        if self._codes is None:
            return found
        return [
            _first(_highest(own, dict(self._by_codes(query, k))), k)
            for query, own in zip(queries, found, strict=True)
        ]

    def close(self) -> None:
        """Stop what goes on in the background."""
        self._closing.set()
        if self._builder is not None:
            self._builder.join()

    def wait(self) -> None:
        """Wait until no codes are being made."""
        if self._builder is not None:
            self._builder.join()

    def _look(self) -> None:
        """Find out whether the file may have changed since the last look."""
        seen = self._file.data_version()
        if seen != self._seen or self._changed:
            self._names = int(self._file.read("SELECT count(*) FROM speakers")[0][0])
            self._seen, self._changed, self._stale = seen, False, True

    def _fresh(self) -> VoiceIndex:
        """The index in memory of what the file holds now."""
        self._look()
        if self._stale or self._exact is None:
            with self._file.reading():
                exact = self._updated()
            self._stale = False
            self._build_where_wanted(len(exact))
            return exact
        return self._exact

    def _updated(self) -> VoiceIndex:
        record, removals = CodesRecord.of(self._file), self._file.counter("removals")
        if record != self._record:
            self._codes = read_codes(self._file, self._dimension) if record.generation else None
            self._record, self._exact = record, None
            self._covered = record.covered if self._codes else 0
        if self._exact is None or removals != self._removals:
            return self._anew(removals)
        sql = "SELECT id, speaker, vector FROM exemplars WHERE id > ? ORDER BY id LIMIT ?"
        numbers, vectors = self._file.read_vectors(sql, self._last, MANY + 1)
        if len(numbers) > MANY:
            return self._anew(removals)
        if len(numbers):
            for owner in np.unique(numbers[:, 1]).tolist():
                if self._covered and not self._exact.knows(owner):
                    self._exact.add(owner, self._covered_of(owner))
                self._exact.add(owner, vectors[numbers[:, 1] == owner])
            self._last = int(numbers[-1, 0])
        return self._exact

    def _anew(self, removals: int) -> VoiceIndex:
        """All vectors that have no codes, and the rest of their owners' own."""
        sql = "SELECT id, speaker, vector FROM exemplars"
        if self._covered:
            sql += f" WHERE speaker IN (SELECT speaker FROM exemplars WHERE id > {self._covered:d})"
        numbers, vectors = self._file.read_vectors(f"{sql} ORDER BY speaker, id")
        self._exact = VoiceIndex(self._dimension, numbers[:, 1].copy(), vectors)
        self._last = int(numbers[:, 0].max(initial=self._covered))
        self._removals = removals
        return self._exact

    def _covered_of(self, owner: int) -> FloatArray:
        """Vectors of one speaker that have codes: float32 [shape=(n, dimension)]."""
        sql = "SELECT id, speaker, vector FROM exemplars WHERE speaker = ? AND id <= ?"
        return self._file.read_vectors(sql, owner, self._covered)[1]

    def _by_codes(self, query: FloatArray, k: int) -> Scores:
        """The best speakers among those with codes, scored exactly."""
        assert self._codes is not None
        near = self._codes.nearest(query, max(SHORT, 4 * k))
        ids = [one for one in near if one > 0]
        sql = f"SELECT id, speaker, vector FROM exemplars WHERE id IN ({marks(ids)})"
        numbers, vectors = self._file.read_vectors(sql, *ids)
        best = _highest(zip(numbers[:, 1].tolist(), (vectors @ query).tolist(), strict=True), {})
        # Negative ids are speakers' centroids; those of the best may have moved since they were coded.
        likely = {-one for one in near if one < 0} | {speaker for speaker, _ in _first(best, k)}
        owners, middles = self.centroids(likely)
        return _first(_highest(zip(owners, (middles @ query).tolist(), strict=True), best), k)

    def centroids(self, likely: Collection[int]) -> tuple[list[int], FloatArray]:
        """Those of these speakers that have prints, and their centroids as they are now."""
        wanted = sorted(likely)
        which = f"speaker IN ({marks(wanted)}) ORDER BY speaker, id"
        sql = f"SELECT id, speaker, vector FROM exemplars WHERE {which}"
        numbers, vectors = self._file.read_vectors(sql, *wanted)
        speakers, middles = centroids(numbers[:, 1], vectors)
        return speakers.tolist(), middles

    def _build_where_wanted(self, held: int) -> None:
        """Have codes made where too many vectors are in memory without."""
        allowed = LIMIT if self._codes is None else BEHIND
        busy = self._builder is not None and self._builder.is_alive()
        if held <= allowed or busy or not self._file.on_disk or self._closing.is_set():
            return
        self._builder = threading.Thread(target=self._build, name="rtspk-gallery-codes", daemon=True)
        self._builder.start()

    def _build(self) -> None:
        try:
            build_codes(self._file, self._dimension, self._closing)
        except RtspkError:
            return  # the search stays exact, and the next one that finds codes wanting tries again


def _highest(scores: Iterable[tuple[int, float]], best: dict[int, float]) -> dict[int, float]:
    """Each speaker's highest score, among these and the best so far."""
    for speaker, score in scores:
        best[speaker] = max(best.get(speaker, -1.0), min(1.0, score))  # rounding may pass 1
    return best


def _first(best: dict[int, float], k: int) -> Scores:
    return sorted(best.items(), key=lambda one: -one[1])[:k]
