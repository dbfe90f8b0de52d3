"""Conversations as pieces of 10 s, ready to crop: features, who speaks, and what a teacher says of it.

A folder of recordings beside RTTM files, as `rtspk simulate` makes it, is worked on once and mapped after
that; so is one of recordings alone, real talk above all, in which the teacher says who speaks. What is left
of a recording behind its last whole piece is dropped.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.audio import read_audio
from rtspk.engine.network import Network
from rtspk.engine.powerset import CLASSES, LOCAL_SPEAKERS, MEMBERS
from rtspk.engine.segmenter import ACTIVITY_HOP, ROWS
from rtspk.errors import FormatError, ModelError
from rtspk.files import make_folder, write_atomically
from rtspk.kernels.mel import MelConfig, log_mel
from rtspk.rttm import SpeakerTurn, read_rttm
from rtspk.train.store import version_of
from rtspk.types import SAMPLE_RATE, FloatArray, samples_of

__all__ = [
    "FRAMES_PER_SECOND",
    "PIECE_FRAMES",
    "ActivitySet",
    "bridged",
    "recordings",
    "speaker_bits",
]

FRAMES_PER_SECOND: int = SAMPLE_RATE // ACTIVITY_HOP
PIECE_FRAMES: int = 250  # trunk frames, 10 s: what the teacher hears at once
MOST: int = 16  # speakers of a conversation that fit the bits
SOUND = (".flac", ".wav", ".opus", ".ogg", ".m4a", ".mp3")


@dataclass(frozen=True, slots=True)
class ActivitySet:
    """All pieces of a folder, memory-mapped.

    features : float16 [shape=(pieces, 1000, mels)]
    speakers : uint16 [shape=(pieces, 250)], bit i is set where speaker i of the conversation is active
    taught : float16 [shape=(pieces, 250, 7)], the teacher's chances of the classes; of no pieces without one
    """

    features: NDArray[np.float16]
    speakers: NDArray[np.uint16]
    taught: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.speakers)

    def without_pauses(self, longest: int) -> "ActivitySet":
        """The same with pauses of up to `longest` frames filled, as `bridged` says."""
        return replace(self, speakers=np.stack([bridged(bits, longest) for bits in self.speakers]))

    @classmethod
    def build(
        cls,
        folder: Path,
        cache: Path,
        mel: MelConfig,
        teacher: Path | None,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
        *,
        labelled: bool = True,
    ) -> "ActivitySet":
        """Work on a folder, or open what was made of it before.

        Args:
            folder: recordings, each beside an RTTM file of its name where they are labelled
            cache: where the arrays are kept
            mel: the features
            teacher: an ONNX network from 10 s of sound to logarithms of the seven classes; None for none
            progress: called with recordings done and recordings in all
            labelled: whether references say who speaks, or else the teacher: its speakers hold in one piece

        Raises:
            FormatError: no recordings of 10 s with a reference, or one of more than 16 speakers.
            ModelError: no teacher there, or one of other classes.
        """
        cases = _labelled(folder) if labelled else [(path, None) for path in recordings(folder)]
        if teacher is None and not labelled:
            raise ModelError(f"wanted a teacher to say who speaks in {folder}, got none")
        if teacher is not None and not teacher.is_file():
            raise ModelError(f"wanted a teacher's ONNX file at {teacher}, got nothing there")
        stem = cache / f"activity-{_digest_of(cases, mel, teacher)}"
        done = stem.with_suffix(".json")
        if not done.exists():
            make_folder(cache)
            pieces = _write(cases, stem, mel, None if teacher is None else Network(teacher), progress)
            if not pieces:
                raise FormatError(f"wanted a recording of at least 10 s in {folder}, got shorter ones alone")
            write_atomically(done, json.dumps({"pieces": pieces}).encode())
        pieces = int(json.loads(done.read_text())["pieces"])
        rows, taught = (pieces, PIECE_FRAMES * ROWS, mel.mels), (pieces, PIECE_FRAMES, CLASSES)
        return cls(
            np.memmap(stem.with_suffix(".mel"), np.float16, "r", shape=rows),
            np.memmap(stem.with_suffix(".who"), np.uint16, "r", shape=(pieces, PIECE_FRAMES)),
            np.zeros((0, *taught[1:]), np.float16)
            if teacher is None
            else np.memmap(stem.with_suffix(".taught"), np.float16, "r", shape=taught),
        )


def bridged(bits: NDArray[np.uint16], longest: int) -> NDArray[np.uint16]:
    """Fill pauses of up to `longest` frames in which nobody else speaks either, as people who annotate do.

    Args:
        bits: uint16 [shape=(frames,)], who is active
        longest: frames

    Returns:
        uint16 [shape=(frames,)]
    """
    out = bits.copy()
    silent = np.concatenate([[False], bits == 0, [False]])
    for start, end in np.flatnonzero(np.diff(silent.astype(np.int8))).reshape(-1, 2):
        if start > 0 and end < len(bits) and end - start <= longest:
            out[start:end] = bits[start - 1] & bits[end]
    return out


def speaker_bits(turns: Sequence[SpeakerTurn], frames: int) -> NDArray[np.uint16]:
    """Who speaks in each trunk frame, uint16 [shape=(frames,)]; bits go by name.

    A turn begins and ends at the edge of a frame that is nearest to it, the later one of two as near.

    Raises:
        FormatError: more than 16 speakers.
    """
    names = sorted({turn.speaker for turn in turns})
    if len(names) > MOST:
        raise FormatError(f"wanted at most {MOST} speakers in a conversation, got {len(names)}")
    bits = np.zeros(frames, np.uint16)
    for turn in turns:
        # Halves all go up: round() would make turns as long as a frame vanish or double.
        first, last = ((samples_of(at) + ACTIVITY_HOP // 2) // ACTIVITY_HOP for at in (turn.start, turn.end))
        bits[first:last] |= np.uint16(1 << names.index(turn.speaker))
    return bits


def _bits_of(taught: FloatArray) -> NDArray[np.uint16]:
    """Who is active as the likeliest classes have it, uint16 [shape=(pieces, 250)]."""
    table = (MEMBERS @ (1 << np.arange(LOCAL_SPEAKERS))).astype(np.uint16)
    bits: NDArray[np.uint16] = table[taught.argmax(-1)]
    return bits


def _digest_of(cases: Sequence[tuple[Path, Path | None]], mel: MelConfig, teacher: Path | None) -> str:
    """Of all that the arrays depend on."""
    files = [[version_of(sound), reference and version_of(reference)] for sound, reference in cases]
    about = json.dumps([files, repr(mel), teacher and version_of(teacher)])
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def _labelled(folder: Path) -> list[tuple[Path, Path | None]]:
    cases: list[tuple[Path, Path | None]] = []
    for reference in sorted(folder.glob("*.rttm")):
        sounds = [reference.with_suffix(kind) for kind in SOUND if reference.with_suffix(kind).is_file()]
        if sounds:
            cases.append((sounds[0], reference))
    if not cases:
        raise FormatError(
            f"wanted recordings beside RTTM files in {folder}, got none; `rtspk simulate` makes some"
        )
    return cases


def recordings(folder: Path) -> list[Path]:
    """All recordings in a folder and in its folders; FormatError where there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUND)
    if not found:
        raise FormatError(f"wanted recordings ({', '.join(SOUND)}) in {folder}, got none")
    return found


def _write(
    cases: Sequence[tuple[Path, Path | None]],
    stem: Path,
    mel: MelConfig,
    teacher: Network | None,
    progress: Callable[[int, int], None],
) -> int:
    pieces = 0
    with (
        stem.with_suffix(".mel").open("wb") as features,
        stem.with_suffix(".who").open("wb") as speakers,
        stem.with_suffix(".taught").open("wb") as taught,
    ):
        for number, (sound, reference) in enumerate(cases, start=1):
            samples = read_audio(sound)
            count = len(samples) // (PIECE_FRAMES * ACTIVITY_HOP)
            samples = samples[: count * PIECE_FRAMES * ACTIVITY_HOP]
            if count:
                rows = log_mel(samples, mel)
                # The last rows would need sound behind the end.
                rows = np.pad(rows, ((0, count * PIECE_FRAMES * ROWS - len(rows)), (0, 0)), "edge")
                rows.astype(np.float16).tofile(features)
                bits = None
                if reference is not None:
                    bits = speaker_bits(read_rttm(reference), count * PIECE_FRAMES)
                if teacher is not None:
                    said = _teach(samples.reshape(count, -1), teacher)
                    said.astype(np.float16).tofile(taught)
                    bits = _bits_of(said) if bits is None else bits
                np.asarray(bits, np.uint16).tofile(speakers)
            pieces += count
            progress(number, len(cases))
    return pieces


def _teach(pieces: FloatArray, teacher: Network) -> FloatArray:
    """The teacher's chances at the middle of each trunk frame, float32 [shape=(pieces, 250, 7)]."""
    said = np.exp(np.concatenate([teacher.run({teacher.inputs[0]: one[None, None]})[0] for one in pieces]))
    if said.ndim != 3 or said.shape[1] < 2 or said.shape[2] != CLASSES:
        raise ModelError(
            f"wanted frames of {CLASSES} classes from {teacher.path.name}, got shape {said.shape[1:]}"
        )
    at = (np.arange(PIECE_FRAMES) + 0.5) / PIECE_FRAMES * said.shape[1] - 0.5
    low = np.floor(at).astype(np.int64).clip(0, said.shape[1] - 2)
    share = (at - low).clip(0.0, 1.0).astype(np.float32)[None, :, None]
    return said[:, low] * (1.0 - share) + said[:, low + 1] * share
