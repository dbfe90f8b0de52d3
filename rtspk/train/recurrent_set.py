"""Windows of recordings as a recurrent segmenter hears them: frames, and what its teacher says of each."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.audio import read_audio
from rtspk.engine.powerset import CLASSES
from rtspk.engine.recurrent import FRAME, HEARD, RecurrentNetwork
from rtspk.errors import FormatError
from rtspk.files import write_atomically
from rtspk.rttm import SpeakerTurn, read_rttm
from rtspk.train.activity_set import recordings
from rtspk.train.consensus import consensus
from rtspk.train.recurrent_recipe import RecurrentDataConfig
from rtspk.types import SAMPLE_RATE, FloatArray, samples_of

__all__ = ["RecurrentSet"]

WINDOW: int = samples_of(10.0)  # what the teacher hears at once
SHORTEST: int = samples_of(0.5)  # of a stream that has just begun


@dataclass(frozen=True, slots=True)
class RecurrentSet:
    """All windows of a folder, memory-mapped.

    frames : float16 [shape=(windows, frames, width)]
    taught : float16 [shape=(windows, frames, 7)], the chances of the classes that are taught
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
        nearby: Path | None = None,
    ) -> "RecurrentSet":
        """Work on a folder, or open what was made of it before.

        Args:
            folder: recordings; those shorter than a window are heard again and again to its end
            cache: where the arrays are kept
            teacher: the network, at a frame a step
            identity: of the teacher
            config: how windows are cut, and what is taught
            progress: called with recordings done and recordings in all
            nearby: the same recordings by the same names, which the teacher hears in their place

        Raises:
            FormatError: no recordings, or one that the teacher should hear is missing or of another length.
        """
        sounds = [_Sound.find(path, folder, nearby, config.trust) for path in recordings(folder)]
        about = json.dumps([[one.stamp() for one in sounds], config.every_seconds, config.begun, identity])
        about += f" {config.trust:g}" if config.trust else ""
        stem = cache / f"recurrent-{hashlib.sha256(about.encode()).hexdigest()[:16]}"
        done = stem.with_suffix(".json")
        length = teacher.frames_of(WINDOW)
        if not done.exists():
            cache.mkdir(parents=True, exist_ok=True)
            counts = _write(sounds, stem, teacher, config, progress)
            write_atomically(done, json.dumps(counts).encode())
        counts = json.loads(done.read_text())

        def mapped(kind: str, width: int) -> NDArray[np.float16]:
            shape = (len(counts), length, width)
            return np.memmap(stem.with_suffix(kind), np.float16, "r", shape=shape)

        width = teacher.convolutions.width
        return cls(mapped(".frames", width), mapped(".taught", CLASSES), np.array(counts, np.int32))


def _write(
    sounds: "list[_Sound]",
    stem: Path,
    teacher: RecurrentNetwork,
    config: RecurrentDataConfig,
    progress: Callable[[int, int], None],
) -> list[int]:
    """Write the windows of all recordings; how many of their frames are sound."""
    rng = np.random.default_rng(0)
    every, counts = samples_of(config.every_seconds), []
    with stem.with_suffix(".frames").open("wb") as frames, stem.with_suffix(".taught").open("wb") as taught:
        for number, sound in enumerate(sounds, start=1):
            samples, clear = sound.read()
            turns = [] if sound.reference is None else read_rttm(sound.reference)
            first = int(rng.integers(min(every, len(samples) - WINDOW + 1)))
            for start in range(first, len(samples) - WINDOW + 1, every):
                window, nearer = (one[start : start + WINDOW].copy() for one in (samples, clear))
                count = WINDOW
                if rng.random() < config.begun:
                    count = int(rng.integers(SHORTEST, WINDOW))
                    window[count:] = nearer[count:] = 0.0
                heard = teacher.frames(window)
                heard.astype(np.float16).tofile(frames)
                said = teacher.told(heard if sound.nearby is None else teacher.frames(nearer))
                if turns:
                    who = _speakers(turns, start, len(said))
                    who[teacher.frames_of(count) :] = False
                    said = consensus(said, who, config.trust)
                said.astype(np.float16).tofile(taught)
                counts.append(teacher.frames_of(count))
            progress(number, len(sounds))
    return counts


@dataclass(frozen=True, slots=True)
class _Sound:
    """A recording, what the teacher hears in its place, and who speaks in it, where that is known."""

    path: Path
    nearby: Path | None
    reference: Path | None

    @classmethod
    def find(cls, path: Path, folder: Path, nearby: Path | None, trust: float) -> "_Sound":
        other = None if nearby is None else nearby / path.relative_to(folder)
        if other is not None and not other.is_file():
            raise FormatError(f"wanted what the teacher hears of {path} at {other}, got nothing there")
        reference = path.with_suffix(".rttm")
        return cls(path, other, reference if trust and reference.is_file() else None)

    def stamp(self) -> list[object]:
        """What tells it from a recording of before."""
        files = [path.stat() for path in (self.path, self.nearby, self.reference) if path is not None]
        return [str(self.path), *((own.st_size, own.st_mtime_ns) for own in files)]

    def read(self) -> tuple[FloatArray, FloatArray]:
        """The recording and what the teacher hears, float32 [shape=(n,)] each, a window or longer."""
        samples = read_audio(self.path)
        if not len(samples):
            raise FormatError(f"wanted recordings with sound, got none in {self.path}")
        clear = samples if self.nearby is None else read_audio(self.nearby)
        if len(clear) != len(samples):
            raise FormatError(
                f"wanted {len(samples)} samples in {self.nearby} as in {self.path}, got {len(clear)}"
            )
        length = max(len(samples), WINDOW)
        return np.resize(samples, length), np.resize(clear, length)


def _speakers(turns: Sequence[SpeakerTurn], start: int, frames: int) -> NDArray[np.bool_]:
    """Who speaks in each frame of a window from sample `start` on, bool [shape=(frames, speakers)]."""
    names = sorted({turn.speaker for turn in turns})
    at = (start + np.arange(frames) * FRAME + HEARD / 2) / SAMPLE_RATE
    out = np.zeros((frames, len(names)), np.bool_)
    for turn in turns:
        out[(at >= turn.start) & (at < turn.end), names.index(turn.speaker)] = True
    return out
