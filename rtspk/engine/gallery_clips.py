"""The sound that prints were made from, where it is kept: another model can then hear it anew."""

import zlib
from collections.abc import Sequence

import numpy as np

from rtspk.engine.gallery_file import GalleryFile
from rtspk.errors import DamagedGalleryError
from rtspk.types import FloatArray

__all__ = ["Clips", "drop_clips", "move_clips", "read_clips", "unpacked", "write_clips"]

Clips = Sequence[tuple[str, FloatArray]]  # what each was read from, and its samples at 16 kHz

TABLE = """CREATE TABLE IF NOT EXISTS clips (
    id INTEGER PRIMARY KEY,
    speaker INTEGER NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    sound BLOB NOT NULL) -- 16-bit samples at 16 kHz, little-endian, deflated"""
FULL = 32_767  # of 16 bits


def write_clips(file: GalleryFile, speaker: int, clips: Clips) -> None:
    """Inside `writing`: keep clips of a speaker."""
    if not clips:
        return
    file.write(TABLE)
    for source, samples in clips:
        steps = np.round(np.clip(samples, -1.0, 1.0) * FULL).astype("<i2")
        name = source.encode("utf-8", "backslashreplace").decode()
        sound = zlib.compress(steps.tobytes())
        values = speaker, name, sound
        if not file.read("SELECT 1 FROM clips WHERE speaker = ? AND source = ? AND sound = ?", *values):
            file.write("INSERT INTO clips (speaker, source, sound) VALUES (?, ?, ?)", *values)


def drop_clips(file: GalleryFile, speaker: int, source: str) -> None:
    """Inside `writing`: take out the clips of a speaker that were read from a source."""
    if _has_clips(file):
        file.write("DELETE FROM clips WHERE speaker = ? AND source = ?", speaker, source)


def move_clips(file: GalleryFile, gone: int, kept: int) -> None:
    """Inside `writing`: the clips of one speaker are another's."""
    if _has_clips(file):
        file.write("UPDATE clips SET speaker = ? WHERE speaker = ?", kept, gone)


def read_clips(file: GalleryFile, speaker: int) -> list[tuple[str, FloatArray]]:
    """The clips that were kept of a speaker; none in a gallery that never kept any."""
    if not _has_clips(file):
        return []
    rows = file.read("SELECT source, sound FROM clips WHERE speaker = ? ORDER BY id", speaker)
    return [(str(source), unpacked(sound, str(source), file.where)) for source, sound in rows]


def unpacked(sound: object, source: str, where: str) -> FloatArray:
    """The samples of a clip in the gallery `where`, float32 [shape=(n,)]; one that is damaged is refused."""
    try:
        steps = np.frombuffer(zlib.decompress(sound if isinstance(sound, bytes) else b""), "<i2")
    except (zlib.error, ValueError) as error:
        raise DamagedGalleryError(
            f"wanted a clip in the gallery {where}, got a damaged one: {source}"
        ) from error
    return (steps / np.float32(FULL)).astype(np.float32)


def _has_clips(file: GalleryFile) -> bool:
    return bool(file.read("SELECT 1 FROM sqlite_master WHERE name = 'clips'"))
