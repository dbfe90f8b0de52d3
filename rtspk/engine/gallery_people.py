"""People and their prints, as rows of the gallery's file; who calls it has begun to read or to write."""

from collections.abc import Collection, Sequence

import numpy as np

from rtspk.engine.gallery_file import STORED, GalleryFile, Value, vectors_of
from rtspk.engine.gallery_records import Exemplar, SpeakerDetail, SpeakerRecord, is_fresh
from rtspk.engine.gallery_tables import marks
from rtspk.errors import UnknownNameError
from rtspk.types import FloatArray

__all__ = ["People"]

MOST_VALUES = 500  # in one statement; SQLite may allow 999

RECORDS = """
    SELECT name, speakers.created, count(exemplars.id), coalesce(sum(net_speech), 0)
    FROM speakers LEFT JOIN exemplars ON exemplars.speaker = speakers.id
"""
EXEMPLARS = (
    "SELECT vector, source, net_speech, quality, created, id FROM exemplars WHERE speaker = ? ORDER BY id"
)
INSERT = "INSERT INTO exemplars (speaker, vector, source, net_speech, quality) VALUES (?, ?, ?, ?, ?)"
INSERT_DATED = (
    "INSERT INTO exemplars (speaker, vector, source, net_speech, quality, created) VALUES (?, ?, ?, ?, ?, ?)"
)


class People:
    """Not safe for threads by itself: the gallery above holds the lock.

    Args:
        file: the gallery's
        dimension: of a print
    """

    def __init__(self, file: GalleryFile, dimension: int) -> None:
        self._file, self._dimension = file, dimension

    def store(self, name: str, vectors: FloatArray, rows: Sequence[tuple[str, int, float]]) -> int:
        """Add prints to a name, new or known, but for those that it has; returns its id.

        Args:
            name: clean
            vectors: unit length, float32 [shape=(n, dimension)]
            rows: the source, net speech and quality of each
        """
        known = np.zeros((0, self._dimension), np.float32)
        speaker = self.find(name)
        if speaker is None:
            speaker = self._file.write("INSERT INTO speakers (name) VALUES (?)", name)
        else:
            known = np.array([one.vector for one in self.exemplars(speaker)], np.float32)
            known = known.reshape(-1, self._dimension)
        for vector, row, fresh in zip(vectors, rows, is_fresh(vectors, known), strict=True):
            if fresh:
                self._file.write(INSERT, speaker, _stored(vector), *row)
        return speaker

    def take(self, detail: SpeakerDetail) -> int:
        """Add somebody as another gallery shows them; returns how many prints were new."""
        insert = "INSERT INTO speakers (name, created) VALUES (?, ?)"
        speaker = self.find(detail.name) or self._file.write(insert, detail.name, detail.created)
        known = {_stored(exemplar.vector) for exemplar in self.exemplars(speaker)}
        before = len(known)
        for one in detail.exemplars:
            vector = _stored(one.vector)
            if vector not in known:
                values = one.source, one.net_speech, one.quality, one.created
                self._file.write(INSERT_DATED, speaker, vector, *values)
                known.add(vector)
        return len(known) - before

    def detail(self, name: str) -> SpeakerDetail:
        """One name with all its prints."""
        speaker = self.need(name)
        rows = self._file.read("SELECT created FROM speakers WHERE id = ?", speaker)
        if not rows:  # the index of names is not the table's
            raise self._file.damaged()
        return SpeakerDetail(name, str(rows[0][0]), self.exemplars(speaker))

    def records(self) -> list[SpeakerRecord]:
        """All names, in the order of their characters."""
        rows = self._file.read(f"{RECORDS} GROUP BY speakers.id ORDER BY name")
        return [_record_of(row) for row in rows]

    def names_of(self, speakers: Collection[int]) -> dict[int, str]:
        """Names as they are now."""
        wanted = sorted(speakers)
        names: dict[int, str] = {}
        for start in range(0, len(wanted), MOST_VALUES):
            own = wanted[start : start + MOST_VALUES]
            sql = f"SELECT id, name FROM speakers WHERE id IN ({marks(own)})"
            names.update((int(speaker), str(name)) for speaker, name in self._file.read(sql, *own))
        return names

    def exemplars(self, speaker: int) -> tuple[Exemplar, ...]:
        """All prints of an id, in the order in which they came."""
        rows = self._file.read(EXEMPLARS, speaker)
        vectors = vectors_of([row[0] for row in rows], self._dimension, self._file.where)
        return tuple(
            Exemplar(vector, str(source), int(net_speech), float(quality), str(created), int(number))
            for vector, (_, source, net_speech, quality, created, number) in zip(vectors, rows, strict=True)
        )

    def find(self, name: str) -> int | None:
        """The id of a name; None where nobody has it."""
        rows = self._file.read("SELECT id FROM speakers WHERE name = ?", name)
        return int(rows[0][0]) if rows else None

    def need(self, name: str) -> int:
        """The id of a name that somebody must have."""
        speaker = self.find(name)
        if speaker is None:
            raise UnknownNameError(f"wanted a name in the gallery, got {name!r}, which is not in it")
        return speaker

    def record(self, name: str) -> SpeakerRecord:
        """What is known of a name that somebody has."""
        return _record_of(self._file.read(f"{RECORDS} WHERE name = ? GROUP BY speakers.id", name)[0])


def _stored(vector: FloatArray) -> bytes:
    return vector.astype(STORED).tobytes()


def _record_of(row: tuple[Value, ...]) -> SpeakerRecord:
    name, created, exemplars, net_speech = row
    return SpeakerRecord(str(name), str(created), int(exemplars), int(net_speech))
