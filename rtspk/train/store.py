"""Decoded speech on disk: one flat file of 16-bit samples, mapped into memory by every worker."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from rtspk.audio import stream_audio
from rtspk.errors import AudioError
from rtspk.files import bytes_of, make_folder, write_atomically
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["SampleStore", "version_of"]


@dataclass(frozen=True, slots=True)
class SampleStore:
    """Every file of a list, decoded once.

    samples : int16 [shape=(all samples,)], memory-mapped
    """

    samples: NDArray[np.int16]
    offsets: dict[Path, tuple[int, int]]  # where each file begins, and its length

    @classmethod
    def build(cls, files: list[Path], folder: Path, progress: Callable[[int, int], None]) -> "SampleStore":
        """Decode what is not decoded yet, and open it; a half-written store is begun anew.

        Args:
            files: audio files of any kind
            folder: where the store lives; its name holds a digest of the list, and of when each file changed
            progress: called with files done and files in all
        """
        files = sorted(set(files))
        digest = hashlib.sha256("\n".join(map(version_of, files)).encode()).hexdigest()[:16]
        index, data = folder / f"{digest}.npy", folder / f"{digest}.s16"
        if not index.exists():
            make_folder(folder)
            lengths = np.zeros(len(files), np.int64)
            with data.open("wb") as out:
                for number, path in enumerate(files):
                    for chunk in stream_audio(path, chunk_seconds=10.0):  # a file may hold many hours
                        coded = np.round(np.clip(chunk.samples, -1.0, 1.0) * 32767.0).astype(np.int16)
                        out.write(coded.tobytes())  # on a full disk tofile() does not say what is wrong
                        lengths[number] += len(chunk.samples)
                    progress(number + 1, len(files))
            # It says that the store is whole.
            write_atomically(index, bytes_of(lambda file: np.save(file, lengths)))
        lengths = np.load(index)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        offsets = {path: (int(starts[i]), int(lengths[i])) for i, path in enumerate(files)}
        # No file, no sound: an empty file cannot be mapped.
        return cls(np.memmap(data, np.int16, "r") if starts[-1] else np.zeros(0, np.int16), offsets)

    def read(self, path: Path, start: int, end: int, speed: float = 1.0) -> FloatArray:
        """Samples [start, end) of a file, as far as it goes, played at a speed; float32 in -1..1."""
        if path not in self.offsets:
            raise AudioError(f"wanted a file of this store, got {path}")
        begin, length = self.offsets[path]
        coded = self.samples[begin + start : begin + min(end, length)]
        samples = coded.astype(np.float32) / np.float32(32768.0)
        if speed == 1.0:
            return samples
        return np.asarray(soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE, quality="LQ"), np.float32)


def version_of(path: Path) -> str:
    """A file as it is now, for what is made of it and kept: written anew, it is another."""
    try:
        found = path.stat()
    except OSError:
        return str(path)  # what reads it says why it cannot
    return f"{path} {found.st_size} {found.st_mtime_ns}"
