"""Where one simulated conversation is made: all that it takes on paper, and what makes sound of it."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtspk.files import write_atomically
from rtspk.rttm import write_rttm
from rtspk.train.codecs import random_codec
from rtspk.train.conversation import BACKCHANNEL, INTERRUPTION, TURN, ConversationConfig
from rtspk.train.far_field import far_seats, steady_noise
from rtspk.train.manifest import Utterance
from rtspk.train.recording import write_sound
from rtspk.train.rooms import room_seats
from rtspk.train.simulate import Conversation
from rtspk.train.store import SampleStore
from rtspk.train.voice import Catalogue
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["Job", "Made", "Studio", "Worker"]

NOISE_SECONDS: float = 600.0  # of one sound at most
STEADY_SECONDS: float = 60.0  # of a far room's noise, before it comes again


@dataclass(frozen=True, slots=True)
class Made:
    """One conversation that was written: a line of `conversations.csv`."""

    name: str
    speakers: int
    seconds: float
    speech: float  # seconds in which somebody speaks
    overlap: float  # share of these in which two or more do
    turns: int
    interruptions: int
    backchannels: int
    snr: float | None  # dB
    noise: str  # the file, empty for none
    room: str  # none, shared, own (one for each voice), or far
    codec: bool
    one_microphone: bool
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """All that one conversation is made of."""

    name: str
    seed: tuple[int, int, int]
    config: ConversationConfig
    cast: Mapping[str, Sequence[Utterance]]
    noise: Path | None
    room: str
    is_coded: bool


@dataclass(frozen=True, slots=True)
class Studio:
    """What every worker opens for itself."""

    out: Path
    cache: Path
    files: tuple[Path, ...]
    rooms: int
    format: str
    names: Mapping[str, str]  # of the speakers, as the reference has them

    def store(self, progress: Callable[[int, int], None]) -> SampleStore:
        """All sound, decoded."""
        return SampleStore.build(list(self.files), self.cache, progress)

    def seats(self, progress: Callable[[int, int], None]) -> list[list[FloatArray]]:
        """All rooms, simulated."""
        return room_seats(self.rooms, 0, self.cache, progress) if self.rooms else []


class Worker:
    """Makes conversations; outlines of utterances are kept from one to the next."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._store = studio.store(lambda _done, _of: None)
        self._seats = studio.seats(lambda _done, _of: None)
        self._catalogue = Catalogue(self._store)

    def make(self, job: Job) -> Made:
        """Write one conversation's sound, reference and region."""
        studio, config = self._studio, job.config
        rng = np.random.default_rng(job.seed)
        far = np.random.default_rng((*job.seed, 1))  # of its own, so that the talk is the same near and far
        rooms: list[FloatArray] = []
        if job.room == "shared":
            rooms = self._seats[int(rng.integers(len(self._seats)))]
        elif job.room == "own":
            houses = rng.integers(len(self._seats), size=config.speakers)
            rooms = [self._seats[int(house)][i] for i, house in enumerate(houses)]
        elif job.room == "far":
            rooms = far_seats(config.speakers, far)
        drawn = Conversation.draw(job.cast, self._catalogue, config, rng, name=job.name, rooms=rooms)
        turns = [replace(turn, speaker=studio.names[turn.speaker]) for turn in drawn.turns]
        noise = steady_noise(samples_of(STEADY_SECONDS), far) if job.room == "far" else None
        if job.noise is not None:
            length = self._store.offsets[job.noise][1]
            first = int(rng.integers(max(1, length - samples_of(NOISE_SECONDS))))
            noise = self._store.read(job.noise, first, first + samples_of(NOISE_SECONDS))
        with tempfile.TemporaryFile(dir=studio.out) as scratch:
            blocks: Iterable[FloatArray] = drawn.blocks(self._catalogue, noise, rng, scratch)
            if job.is_coded:
                blocks = [random_codec(np.concatenate(list(blocks)), rng)]
            length = write_sound(studio.out / f"{job.name}.{studio.format}", blocks)
        write_rttm(studio.out / f"{job.name}.rttm", turns)
        region = f"{job.name} 1 0.000 {seconds_of(length):.3f}\n"
        write_atomically(studio.out / f"{job.name}.uem", region.encode())
        who = tuple(sorted({turn.speaker for turn in turns}))
        return Made(
            name=job.name,
            speakers=len(who),
            seconds=seconds_of(length),
            speech=round(drawn.speech_seconds, 3),
            overlap=round(drawn.overlap, 4),
            turns=drawn.counts[TURN],
            interruptions=drawn.counts[INTERRUPTION],
            backchannels=drawn.counts[BACKCHANNEL],
            snr=config.noise_snr_db,
            noise="" if job.noise is None else job.noise.name,
            room=job.room,
            codec=job.is_coded,
            one_microphone=config.one_microphone,
            who=who,
        )
