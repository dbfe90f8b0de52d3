"""The enrolled voices: names with several prints each, kept in SQLite, found by FAISS.

The file is the truth and the index follows it: a name that another process stores is found by the next
search.
"""

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery_clips import Clips, drop_clips, move_clips, read_clips, write_clips
from rtspk.engine.gallery_codes import drop_codes
from rtspk.engine.gallery_file import GalleryFile
from rtspk.engine.gallery_index import GalleryIndex
from rtspk.engine.gallery_people import People
from rtspk.engine.gallery_records import (
    Exemplar,
    Print,
    SpeakerDetail,
    SpeakerRecord,
    clean_name,
    new_name,
    print_rows,
    unit_vectors,
)
from rtspk.errors import ConfigError, DamagedGalleryError, GalleryError, TakenNameError
from rtspk.types import FloatArray

__all__ = ["Exemplar", "Gallery", "Print", "SpeakerDetail", "SpeakerRecord", "clean_name"]

# A name, vectors, and what else is stored of them.
Prints = tuple[str, FloatArray, list[tuple[str, int, float]]]


class Gallery:
    """Enrolled voices of one model. Safe for threads; several processes may use one file at a time."""

    def __init__(self, file: GalleryFile, model_id: str, dimension: int) -> None:
        self.model_id = model_id
        self.dimension = dimension
        self._file = file
        self._people = People(file, dimension)
        self._lock = threading.RLock()
        self._index = GalleryIndex(file, dimension)

    @classmethod
    def open(
        cls,
        path: Path | None,
        model_id: str,
        dimension: int,
        *,
        create: bool = True,
        busy_seconds: float = 5.0,
    ) -> Self:
        """Open a gallery, or make an empty one.

        Args:
            path: the SQLite file; None keeps the voices in memory.
            model_id: the model that makes the prints; a gallery of another one is refused.
            dimension: length of a print.
            create: make the file and its folders where they are missing.
            busy_seconds: how long to wait for another program that is writing.
        """
        file = GalleryFile(path, model_id, dimension, create=create, busy_seconds=busy_seconds)
        return cls(file, model_id, dimension)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._index.close()
        with self._lock:
            self._file.close()

    @property
    def on_disk(self) -> bool:
        """Whether it is a file, which other processes can open too."""
        return self._file.on_disk

    def __len__(self) -> int:
        """How many names are enrolled."""
        with self._lock:
            return self._index.names()

    def add(
        self,
        name: str,
        prints: Sequence[Print],
        source: str | Sequence[str],
        *,
        qualities: Sequence[float] | None = None,
        clips: Clips = (),
    ) -> SpeakerRecord:
        """Store prints under a name, new or known; returns what is now known of it.

        A print that the name has already is not stored twice, nor is a clip.

        Args:
            name: any text that `new_name` allows.
            prints: one or more.
            source: what they were made from, such as a file name; one for all or one for each.
            qualities: how good each print is, 0 to 1; 1 where not said.
            clips: the sound itself, where it is to be kept: what it was read from, and its samples.
        """
        return self._store([self._checked(name, prints, source, qualities)], clips)[0]

    def add_many(
        self,
        people: Iterable[tuple[str, Sequence[Print], str | Sequence[str], Sequence[float] | None]],
    ) -> list[SpeakerRecord]:
        """`add` for several names at once, all or none; each is a name, its prints, sources and qualities."""
        return self._store([self._checked(*one) for one in people], ())

    def _store(self, people: list[Prints], clips: Clips) -> list[SpeakerRecord]:
        """Write people whose prints were checked, and clips that are all of theirs."""
        with self._lock:
            with self._file.writing():
                for name, vectors, rows in people:
                    speaker = self._people.store(name, vectors, rows)
                    write_clips(self._file, speaker, clips)
                records = [self._people.record(name) for name, _, _ in people]
            self._index.note_change()
        return records

    def _checked(
        self,
        name: str,
        prints: Sequence[Print],
        source: str | Sequence[str],
        qualities: Sequence[float] | None,
    ) -> Prints:
        return new_name(name), *print_rows(prints, source, qualities, self.dimension)

    def speakers(self) -> list[SpeakerRecord]:
        """All names, in the order of their characters."""
        with self._lock:
            return self._people.records()

    def show(self, name: str) -> SpeakerDetail:
        """One name with all its prints."""
        with self._lock, self._file.reading():
            return self._people.detail(clean_name(name))

    def clips(self, name: str) -> list[tuple[str, FloatArray]]:
        """The sound that was kept of a name: what each clip was read from, and its samples at 16 kHz."""
        with self._lock, self._file.reading():
            return read_clips(self._file, self._people.need(clean_name(name)))

    def rename(self, old: str, new: str) -> SpeakerRecord:
        """Give a speaker another name that nobody has yet."""
        old, new = clean_name(old), new_name(new)
        with self._lock, self._file.writing():
            speaker = self._people.need(old)
            if new != old and self._people.find(new):
                raise TakenNameError(f"wanted a name that is free, got {new!r}: merge the two instead")
            self._file.write("UPDATE speakers SET name = ? WHERE id = ?", new, speaker)
            return self._people.record(new)

    def merge(self, source: str, into: str) -> SpeakerRecord:
        """Move all prints of one name to another, and forget the first name."""
        source, into = clean_name(source), clean_name(into)
        if source == into:
            raise GalleryError(f"wanted two names to merge, got {into!r} twice")
        with self._lock:
            with self._file.writing():
                gone, kept = self._people.need(source), self._people.need(into)
                self._file.write("UPDATE exemplars SET speaker = ? WHERE speaker = ?", kept, gone)
                move_clips(self._file, gone, kept)
                self._file.write("DELETE FROM speakers WHERE id = ?", gone)
                drop_codes(self._file, self.dimension, [-gone])
                self._file.count_up("removals")
                record = self._people.record(into)
            self._index.note_change()
        return record

    def delete(self, name: str) -> None:
        """Forget a name and its prints; nothing of them is left in the file or its log."""
        name = clean_name(name)
        with self._lock:
            with self._file.writing():
                speaker = self._people.need(name)
                rows = self._file.read("SELECT id FROM exemplars WHERE speaker = ?", speaker)
                self._file.write("DELETE FROM speakers WHERE id = ?", speaker)
                drop_codes(self._file, self.dimension, [-speaker, *(int(row[0]) for row in rows)])
                self._file.count_up("removals")
                self._file.mark_unclean()
            self._index.note_change()
            self._file.wipe()

    def forget(self, name: str, number: int) -> SpeakerRecord:
        """Forget one print of a name, and the clip that it alone is from; nothing is left of them.

        Args:
            name: whose
            number: of the print, as `show` tells it; the last one goes with its name alone
        """
        name = clean_name(name)
        with self._lock:
            with self._file.writing():
                speaker = self._people.need(name)
                sources = {one.number: one.source for one in self._people.exemplars(speaker)}
                if number not in sources:
                    numbers = ", ".join(map(str, sources))
                    raise GalleryError(f"wanted a print of {name!r}, one of {numbers}, got {number}")
                if len(sources) == 1:
                    raise GalleryError(f"wanted one of several prints of {name!r}, got the only one")
                self._file.write("DELETE FROM exemplars WHERE id = ?", number)
                source = sources.pop(number)
                if source not in sources.values():
                    drop_clips(self._file, speaker, source)
                drop_codes(self._file, self.dimension, [-speaker, number])
                self._file.count_up("removals")
                self._file.mark_unclean()
                record = self._people.record(name)
            self._index.note_change()
            self._file.wipe()
        return record

    def search(self, vector: FloatArray, k: int) -> list[tuple[str, float]]:
        """The k nearest names, best first, each with its score.

        vector : float32 [shape=(dimension,)], finite and not zero, of any length

        A name scores its highest cosine over its exemplars and their centroid (see `VoiceIndex`).
        """
        return self.search_many([vector], k)[0]

    def search_many(self, vectors: Sequence[FloatArray], k: int) -> list[list[tuple[str, float]]]:
        """`search` for several vectors in one pass."""
        if k < 1:
            raise GalleryError(f"wanted one or more names to search for, got {k}")
        queries = unit_vectors(vectors, self.dimension)
        with self._lock:
            found = self._index.search(queries, k)
            names = self._people.names_of({speaker for best in found for speaker, _ in best})
        return [[(names[speaker], score) for speaker, score in best if speaker in names] for best in found]

    def centroids(self, names: Sequence[str]) -> dict[str, FloatArray]:
        """The middle of the prints of each name that there is, a unit vector float32 [shape=(dimension,)]."""
        if not names:
            return {}
        with self._lock, self._file.reading():
            speakers = {self._people.find(name): name for name in names}
            owners, middles = self._index.centroids([one for one in speakers if one is not None])
        return {speakers[owner]: middle for owner, middle in zip(owners, middles, strict=True)}

    def calibration(self) -> Calibration | None:
        """What scores mean in this deployment, where `calibrate` was told."""
        with self._lock:
            rows = self._file.read("SELECT value FROM meta WHERE key = 'calibration'")
        if not rows:
            return None
        try:
            return Calibration(**json.loads(str(rows[0][0])))
        except (TypeError, ValueError, ConfigError) as error:
            raise DamagedGalleryError(
                f"wanted a calibration in the gallery {self._file.where}, got {error}"
            ) from error

    def calibrate(self, calibration: Calibration | None) -> None:
        """Keep what scores mean in this deployment; None goes back to the model's own."""
        with self._lock, self._file.writing():
            self._file.write("DELETE FROM meta WHERE key = 'calibration'")
            if calibration is not None:
                value = json.dumps(asdict(calibration))
                self._file.write("INSERT INTO meta VALUES ('calibration', ?)", value)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, nobody else changes the gallery: who wants to waits, or is told that it is locked."""
        with self._lock, self._file.writing():
            yield

    def settle(self) -> None:
        """Wait until the index of a large gallery, made in the background, is as it should be."""
        self._index.wait()

    def export(self, path: Path, *, key: bytes | None = None) -> int:
        """Write all voices to a JSON file that only its owner may read; returns how many names.

        With a key the file is signed: who imports it with the same key knows that it was not changed.
        """
        from rtspk.engine.gallery_exchange import write_export  # pydantic takes a while to import

        with self._lock, self._file.reading():
            speakers = [self._people.detail(record.name) for record in self._people.records()]
        write_export(path, self.model_id, self.dimension, speakers, key)
        return len(speakers)

    def import_(self, path: Path, *, key: bytes | None = None) -> int:
        """Add the voices of an exported file, all or none; returns how many prints were new.

        A name that is known gains the prints that it does not have yet: importing twice changes nothing.
        """
        from rtspk.engine.gallery_exchange import read_export  # pydantic takes a while to import

        return self.take(read_export(path, self.model_id, self.dimension, key))

    def take(self, details: Iterable[SpeakerDetail]) -> int:
        """Add voices as another gallery shows them, all or none; returns how many prints were new."""
        with self._lock:
            with self._file.writing():
                added = sum(self._people.take(one) for one in details)
            self._index.note_change()
        return added
