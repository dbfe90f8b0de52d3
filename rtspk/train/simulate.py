"""Mix conversations out of labelled utterances; the reference is exact because it was made, not heard.

The reference marks speech alone: utterances hold silence at their edges and inside, and a detector of energy
finds it before anything is mixed.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.random import Generator

from rtspk.errors import ConfigError
from rtspk.rttm import SpeakerTurn
from rtspk.train.conversation import ConversationConfig, Talk
from rtspk.train.equaliser import equaliser, long_term_spectrum
from rtspk.train.manifest import Utterance
from rtspk.train.mixing import HEARD, Track, finished, mixed
from rtspk.train.segment import Cutting, pieces
from rtspk.train.store import SampleStore
from rtspk.train.voice import Catalogue, Voice, joined
from rtspk.types import FloatArray, Segment, samples_of, seconds_of

__all__ = ["Conversation", "ConversationConfig", "by_speaker", "simulate"]

LONG: int = samples_of(30.0)  # a longer utterance is cut, so that one is never whole in memory
CUT = Cutting(20.0)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation on paper: who speaks when, and all that its sound is made of."""

    turns: list[SpeakerTurn]
    tracks: tuple[Track, ...]  # of the speakers, by name
    counts: Counter[str]  # turns, backchannels and interruptions
    config: ConversationConfig

    @classmethod
    def draw(
        cls,
        utterances: Mapping[str, Sequence[Utterance]],
        catalogue: Catalogue,
        config: ConversationConfig,
        rng: Generator,
        *,
        name: str = "conversation",
        rooms: Sequence[FloatArray] = (),
    ) -> "Conversation":
        """Draw who speaks, what, when, how loud, and where; the arguments are those of `simulate`."""
        if len(utterances) < config.speakers:
            raise ConfigError(f"wanted utterances of {config.speakers} speakers, got {len(utterances)}")
        names = sorted(rng.choice(sorted(utterances), config.speakers, replace=False).tolist())
        voices = [Voice(speaker, utterances[speaker], catalogue, rng) for speaker in names]
        talk = Talk(voices, config, rng)
        talk.run()
        # As many seats as can be, before any is taken twice.
        seats = [int(seat) for _ in voices for seat in rng.permutation(len(rooms))]
        gains = 10.0 ** (rng.uniform(-config.level_db, config.level_db, len(voices)) / 20.0)
        responses = [rooms[seats[i]] if rooms else None for i in range(len(voices))]
        if config.one_microphone:
            responses = _as_one_microphone(voices, catalogue, responses, rng)
        tracks = [
            Track(voice.pieces, float(gain), response)
            for voice, gain, response in zip(voices, gains, responses, strict=True)
        ]
        turns = [
            SpeakerTurn(name, seconds_of(run.start), seconds_of(run.end), voice.speaker)
            for voice in voices
            for run in joined(voice.said)
        ]
        turns.sort(key=lambda turn: (turn.start, turn.end, turn.speaker))
        return cls(turns, tuple(tracks), talk.counts, config)

    def blocks(
        self, catalogue: Catalogue, noise: FloatArray | None, rng: Generator, scratch: BinaryIO
    ) -> Iterator[FloatArray]:
        """The sound in blocks, float32 [shape=(n,)] each; `scratch` is an empty file or buffer."""
        length = samples_of(self.config.seconds)
        sound = mixed(self.tracks, catalogue, length)
        return finished(sound, self.active(1), noise, self.config.noise_snr_db, rng, scratch)

    def active(self, voices: int) -> list[Segment]:
        """Where so many speakers or more speak at once, by time."""
        changes: dict[int, int] = defaultdict(int)
        for turn in self.turns:
            changes[samples_of(turn.start)] += 1
            changes[samples_of(turn.end)] -= 1
        out: list[Segment] = []
        now, since = 0, 0
        for at, change in sorted(changes.items()):
            before, now = now, now + change
            if before < voices <= now:
                since = at
            elif now < voices <= before:
                out.append(Segment(since, at))
        return out

    @property
    def speech_seconds(self) -> float:
        """In how much of it somebody speaks."""
        return seconds_of(sum(run.duration for run in self.active(1)))

    @property
    def overlap(self) -> float:
        """In which share of the spoken time two or more speak."""
        return seconds_of(sum(run.duration for run in self.active(2))) / max(1e-9, self.speech_seconds)


def _as_one_microphone(
    voices: Sequence[Voice],
    catalogue: Catalogue,
    rooms: Sequence[FloatArray | None],
    rng: Generator,
) -> list[FloatArray | None]:
    """The voices' rooms behind filters that give all of them the long-term spectrum of one."""
    spectra = [long_term_spectrum(_heard(voice, catalogue)) for voice in voices]
    heard = [spectrum for spectrum in spectra if spectrum.any()]  # not everyone has spoken
    wanted = heard[int(rng.integers(len(heard)))]
    filters = [equaliser(own, wanted) for own in spectra]
    return [
        change if room is None else np.convolve(room, change).astype(np.float32)
        for room, change in zip(rooms, filters, strict=True)
    ]


def _heard(voice: Voice, catalogue: Catalogue) -> FloatArray:
    """What a voice says first, enough to tell its spectrum: float32 [shape=(n,)]."""
    sounds, length = [np.zeros(0, np.float32)], 0
    for _, piece in voice.pieces:
        sounds.append(catalogue.sound(piece))
        length += piece.length
        if length >= HEARD:
            break
    return np.concatenate(sounds)


def simulate(
    utterances: Sequence[Utterance],
    store: SampleStore,
    config: ConversationConfig,
    rng: Generator,
    *,
    name: str = "conversation",
    rooms: Sequence[FloatArray] = (),
    noise: FloatArray | None = None,
) -> tuple[FloatArray, list[SpeakerTurn]]:
    """Mix one conversation in memory; the same seed gives the same bytes.

    Args:
        utterances: of at least as many speakers as are wanted; who speaks is drawn among them
        store: holds their sound
        config: how they talk
        rng: the source of all chance here
        name: of the conversation, for the reference
        rooms: impulse responses, of which each speaker gets one; none for no room
        noise: float32 [shape=(m,)], repeated as needed; used where the config states a signal-to-noise ratio

    Returns:
        float32 [shape=(n,)] and who speaks when, by time

    Raises:
        ConfigError: too few speakers.
        FormatError: a speaker whose utterances hold no speech.
    """
    catalogue = Catalogue(store)
    made = Conversation.draw(by_speaker(utterances), catalogue, config, rng, name=name, rooms=rooms)
    return np.concatenate(list(made.blocks(catalogue, noise, rng, io.BytesIO()))), made.turns


def by_speaker(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """What each speaker says, in the order of the list; long utterances are cut.

    Left out are those of nobody known, and voices at another speed than their own.
    """
    own: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        if u.speaker and u.speed == 1.0:
            own[u.speaker] += pieces([u], CUT) if u.duration > LONG else [u]
    return dict(own)
