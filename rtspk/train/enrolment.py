"""Clips to enrol speakers from, out of utterances that occur in no conversation."""

import csv
import io
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from rtspk.errors import ConfigError
from rtspk.files import write_atomically
from rtspk.train.manifest import Utterance
from rtspk.train.mixing import Track, mixed
from rtspk.train.recording import write_sound
from rtspk.train.voice import Catalogue, Voice
from rtspk.types import samples_of, seconds_of

__all__ = ["Clip", "reserve", "write_clips"]

SILENCE: float = 1.5  # utterances are so much longer than the speech in them, and then some
PAUSES: tuple[float, float] = (0.1, 0.4)  # seconds between utterances


@dataclass(frozen=True, slots=True)
class Clip:
    """One speaker's clip: a line of `enrol.csv`."""

    speaker: str  # as the references have it
    file: str
    seconds: float
    enrolled: bool  # else a stranger, who is in conversations and not to be known
    listed: str  # as the manifest has the speaker


def reserve(
    utterances: Mapping[str, Sequence[Utterance]], seconds: float, seed: int
) -> tuple[dict[str, list[Utterance]], dict[str, list[Utterance]]]:
    """Set utterances of every speaker apart, file by file, and give those that are left.

    What overlaps with an utterance that was set apart is left as little as itself. Speakers who have nothing
    but what is set apart are in neither.

    Args:
        utterances: of each speaker
        seconds: of speech that a clip is to have
        seed: decides which
    """
    apart, rest = {}, {}
    for speaker, own in utterances.items():
        rng = np.random.default_rng((seed, zlib.crc32(speaker.encode())))
        files: dict[Path, list[Utterance]] = defaultdict(list)
        for u in own:
            files[u.path].append(u)
        order = [list(files.values())[i] for i in rng.permutation(len(files))]
        queue = [u for group in order for u in group]
        taken: list[Utterance] = []
        while queue and sum(u.duration for u in taken) < samples_of(SILENCE * seconds + 2.0):
            taken.append(queue.pop(0))
        left = [
            u
            for u in queue
            if not any((u.path == one.path and u.start < one.end and one.start < u.end) for one in taken)
        ]
        if left:
            apart[speaker], rest[speaker] = taken, left
    if not rest:
        raise ConfigError(
            f"wanted speakers with more speech than {seconds:g} s for enrolment, "
            f"got none among {len(utterances)}"
        )
    return apart, rest


def write_clips(
    out: Path,
    utterances: Mapping[str, Sequence[Utterance]],
    names: Mapping[str, str],
    catalogue: Catalogue,
    seconds: float,
    strangers: float,
    seed: int,
) -> list[Clip]:
    """Write `enrol/NAME.flac` of every speaker, and `enrol.csv`, which says who is to be enrolled.

    Args:
        out: the folder
        utterances: of each speaker, set apart
        names: of the speakers, for files
        catalogue: their sound
        seconds: of a clip; shorter where no more speech is there
        strangers: share of the speakers who are not to be enrolled
        seed: decides who
    """
    (out / "enrol").mkdir(parents=True, exist_ok=True)
    speakers = sorted(utterances)
    order = np.random.default_rng((seed, len(speakers))).permutation(len(speakers))
    unknown = {speakers[i] for i in order[: round(strangers * len(speakers))]}
    clips = []
    for speaker in speakers:
        wholes = [catalogue.whole(u) for u in utterances[speaker]]
        there = sum(piece.length for piece in wholes if piece is not None)
        rng = np.random.default_rng((seed, zlib.crc32(speaker.encode()), 1))
        voice = Voice(speaker, utterances[speaker], catalogue, rng)
        whole = voice.speech(min(samples_of(seconds), there), PAUSES)
        speech = whole.until(samples_of(seconds)) or whole
        voice.say(speech, 0)
        file = f"enrol/{names[speaker]}.flac"
        write_sound(out / file, mixed([Track(voice.pieces)], catalogue, speech.length))
        length = round(seconds_of(speech.length), 3)
        clips.append(Clip(names[speaker], file, length, speaker not in unknown, speaker))
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in fields(Clip)])
    for clip in clips:
        speaker, file, length, enrolled, listed = astuple(clip)
        table.writerow([speaker, file, length, "yes" if enrolled else "no", listed])
    write_atomically(out / "enrol.csv", text.getvalue().encode())
    return clips
