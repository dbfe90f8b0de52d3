"""The codes of a large gallery, in its own file: made in the background, kept in step with what is taken out.

They lie in the file and not beside it, so that one transaction changes both and a deleted voice leaves
nothing behind.
"""

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.gallery_file import GalleryFile
from rtspk.engine.gallery_tables import marks
from rtspk.engine.voice_codes import TRAINED_ON, VoiceCodes
from rtspk.engine.voice_index import centroids
from rtspk.errors import GalleryError
from rtspk.types import FloatArray

__all__ = ["CodesRecord", "build_codes", "drop_codes", "read_codes"]

CHUNK = 8_192  # vectors that are read and coded at once
GROUP = 500  # speakers whose centroids are made at once

Part = tuple[NDArray[np.int64], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class CodesRecord:
    """Which codes a file holds: none where the generation is 0."""

    generation: int = 0
    covered: int = 0  # highest exemplar id that has codes

    @classmethod
    def of(cls, file: GalleryFile) -> "CodesRecord":
        """What the file says now."""
        rows = file.read("SELECT generation, covered FROM codes")
        return cls(int(rows[0][0]), int(rows[0][1])) if rows else cls()


def read_codes(file: GalleryFile, dimension: int) -> VoiceCodes | None:
    """The codes in a file; None where there are none, or where they are damaged: then they are made again."""
    rows = file.read("SELECT ids, codes, codebook FROM codes")
    try:
        (ids, codes, codebook) = (bytes(value) for value in rows[0] if isinstance(value, bytes))
        numbers = np.frombuffer(ids, "<i8").astype(np.int64)
        table = np.frombuffer(codes, np.uint8).reshape(len(numbers), -1)
        return VoiceCodes(dimension, numbers, table, np.frombuffer(codebook, "<f4").astype(np.float32))
    except (IndexError, ValueError, GalleryError):
        return None


def drop_codes(file: GalleryFile, dimension: int, ids: Collection[int]) -> None:
    """Inside `writing`: take codes out of the file, so that nothing of these voices is left."""
    record = CodesRecord.of(file)
    if not record.generation:
        return
    codes = read_codes(file, dimension)
    if codes is None:
        file.write("DELETE FROM codes")
    elif np.isin(codes.ids, np.fromiter(ids, np.int64, len(ids))).any():
        _write(file, codes.without(ids), record.covered, record.generation + 1)


def build_codes(file: GalleryFile, dimension: int, stop: threading.Event) -> None:
    """Make the codes that a file lacks, through a connection of its own, beside whoever reads and writes.

    Args:
        file: the gallery's; only its name is used
        dimension: of a vector
        stop: ends the work at its next step, with nothing changed
    """
    import faiss

    faiss.omp_set_num_threads(1)  # of this thread alone: the others want the rest of the machine
    own = file.another()
    try:
        removals, record = own.counter("removals"), CodesRecord.of(own)
        before = read_codes(own, dimension) if record.generation else None
        codes = before or VoiceCodes.train(dimension, _sample(own, dimension))
        since = record.covered if before else 0
        parts: list[Part] = []
        covered = since
        for ids, vectors in _chunks(own, since):
            parts.append((ids, codes.encode(vectors)))
            covered = int(ids[-1])
            if stop.is_set():
                return
        for part in _centroid_parts(own, codes, since):
            parts.append(part)
            if stop.is_set():
                return
        codes = codes.extended(parts)
        with own.writing():
            now = CodesRecord.of(own)
            if now.covered >= covered and now != record:
                return  # another process was faster
            if own.counter("removals") != removals:
                codes = codes.without(_gone(own, codes))
            _write(own, codes, covered, now.generation + 1)
    finally:
        own.close()


def _write(file: GalleryFile, codes: VoiceCodes, covered: int, generation: int) -> None:
    ids, codebook = codes.ids.astype("<i8").tobytes(), codes.codebook.astype("<f4").tobytes()
    columns = "id, generation, covered, ids, codes, codebook"
    sql = f"INSERT OR REPLACE INTO codes ({columns}) VALUES (1, ?, ?, ?, ?, ?)"
    file.write(sql, generation, covered, ids, codes.codes.tobytes(), codebook)


def _sample(file: GalleryFile, dimension: int) -> FloatArray:
    """Vectors from all over the gallery, by chance of a fixed seed."""
    last = int(file.read("SELECT coalesce(max(id), 0) FROM exemplars")[0][0])
    rng = np.random.default_rng(0)
    wanted = np.unique(rng.integers(1, last + 1, 2 * TRAINED_ON)).tolist()
    parts = [np.zeros((0, dimension), np.float32)]
    for start in range(0, len(wanted), GROUP):
        ids = wanted[start : start + GROUP]
        sql = f"SELECT id, speaker, vector FROM exemplars WHERE id IN ({marks(ids)})"
        parts.append(file.read_vectors(sql, *ids)[1])
    found: FloatArray = np.concatenate(parts)
    return found[rng.permutation(len(found))[:TRAINED_ON]]


def _chunks(file: GalleryFile, since: int) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
    """Ids and vectors of the exemplars behind an id, in their order.

    Each chunk is a read of its own: one long read would keep a deletion from wiping the file.
    """
    while True:
        sql = "SELECT id, speaker, vector FROM exemplars WHERE id > ? ORDER BY id LIMIT ?"
        numbers, vectors = file.read_vectors(sql, since, CHUNK)
        if not len(numbers):
            return
        since = int(numbers[-1, 0])
        yield numbers[:, 0], vectors


def _centroid_parts(file: GalleryFile, codes: VoiceCodes, since: int) -> Iterator[Part]:
    """Codes of the centroids of speakers with several exemplars, some of them behind an id."""
    sql = """SELECT speaker FROM exemplars WHERE speaker IN (SELECT speaker FROM exemplars WHERE id > ?)
        GROUP BY speaker HAVING count(*) > 1"""
    several = [int(row[0]) for row in file.read(sql, since)]
    for start in range(0, len(several), GROUP):
        group = several[start : start + GROUP]
        which = f"speaker IN ({marks(group)}) ORDER BY speaker, id"
        sql = f"SELECT id, speaker, vector FROM exemplars WHERE {which}"
        numbers, vectors = file.read_vectors(sql, *group)
        speakers, middles = centroids(numbers[:, 1], vectors)
        if len(speakers):
            yield -speakers, codes.encode(middles)


def _gone(file: GalleryFile, codes: VoiceCodes) -> list[int]:
    """Ids with codes whose exemplars or speakers are in the file no more."""
    there = [int(row[0]) for row in file.read("SELECT id FROM exemplars")]
    there += [-int(row[0]) for row in file.read("SELECT id FROM speakers")]
    gone: list[int] = codes.ids[~np.isin(codes.ids, np.array(there, np.int64))].tolist()
    return gone
