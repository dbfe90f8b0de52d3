"""Windows of recordings as a recurrent segmenter hears them: frames, and what its teacher says of each."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.audio import read_audio
from rtspk.engine.powerset import CLASSES
from rtspk.engine.recurrent import RecurrentNetwork
from rtspk.errors import FormatError
from rtspk.files import make_folder, write_atomically
from rtspk.train.activity_set import recordings
from rtspk.train.recurrent_recipe import RecurrentDataConfig
from rtspk.train.store import version_of
from rtspk.types import samples_of

__all__ = ["RecurrentSet"]

WINDOW: int = samples_of(10.0)  # what the teacher hears at once
SHORTEST: int = samples_of(0.5)  # of a stream that has just begun


@dataclass(frozen=True, slots=True)
class RecurrentSet:
    """All windows of a folder, memory-mapped.

    frames : float16 [shape=(windows, frames, width)]
    taught : float16 [shape=(windows, frames, 7)], the teacher's chances of the classes
    counts : int32 [shape=(windows,)], the frames of each that are sound; behind them is silence
    """

    frames: NDArray[np.float16]
    taught: NDArray[np.float16]
    counts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def build(
        cls,
        folder: Path,
        cache: Path,
        teacher: RecurrentNetwork,
        identity: str,
        config: RecurrentDataConfig,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> "RecurrentSet":
        """Work on a folder, or open what was made of it before.

        Args:
            folder: recordings; those shorter than a window are heard again and again to its end
            cache: where the arrays are kept
            teacher: the network, at a frame a step
            identity: of the teacher
            config: how windows are cut
            progress: called with recordings done and recordings in all

        Raises:
            FormatError: no recordings.
        """
        sounds = recordings(folder)
        about = json.dumps([[*map(version_of, sounds)], config.every_seconds, config.begun, identity])
        stem = cache / f"recurrent-{hashlib.sha256(about.encode()).hexdigest()[:16]}"
        done = stem.with_suffix(".json")
        length = teacher.frames_of(WINDOW)
        if not done.exists():
            make_folder(cache)
            counts = _write(sounds, stem, teacher, config, progress)
            write_atomically(done, json.dumps(counts).encode())
        counts = json.loads(done.read_text())

        def mapped(kind: str, width: int) -> NDArray[np.float16]:
            shape = (len(counts), length, width)
            return np.memmap(stem.with_suffix(kind), np.float16, "r", shape=shape)

        width = teacher.convolutions.width
        return cls(mapped(".frames", width), mapped(".taught", CLASSES), np.array(counts, np.int32))


def _write(
    sounds: list[Path],
    stem: Path,
    teacher: RecurrentNetwork,
    config: RecurrentDataConfig,
    progress: Callable[[int, int], None],
) -> list[int]:
    """Write the windows of all recordings; how many of their frames are sound."""
    rng = np.random.default_rng(0)
    every, counts = samples_of(config.every_seconds), []
    with stem.with_suffix(".frames").open("wb") as frames, stem.with_suffix(".taught").open("wb") as taught:
        for number, path in enumerate(sounds, start=1):
            samples = read_audio(path)
            if not len(samples):
                raise FormatError(f"wanted recordings with sound, got none in {path}")
            samples = np.resize(samples, max(len(samples), WINDOW))
            first = int(rng.integers(min(every, len(samples) - WINDOW + 1)))
            for start in range(first, len(samples) - WINDOW + 1, every):
                window, count = samples[start : start + WINDOW].copy(), WINDOW
                if rng.random() < config.begun:
                    count = int(rng.integers(SHORTEST, WINDOW))
                    window[count:] = 0.0
                heard = teacher.frames(window)
                heard.astype(np.float16).tofile(frames)
                teacher.told(heard).astype(np.float16).tofile(taught)
                counts.append(teacher.frames_of(count))
            progress(number, len(sounds))
    return counts
