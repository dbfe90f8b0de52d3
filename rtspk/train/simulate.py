"""Mix conversations out of labelled utterances; the reference is exact because it was made, not heard.

The reference marks speech alone: utterances hold silence at their edges and inside, and a detector of energy
finds it before anything is mixed.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rtspk.audio import write_wav
from rtspk.errors import ConfigError
from rtspk.files import write_atomically
from rtspk.rttm import SpeakerTurn, write_rttm
from rtspk.train.augment import with_room
from rtspk.train.manifest import Utterance, read_manifest, read_noises
from rtspk.train.rooms import room_bank
from rtspk.train.store import SampleStore
from rtspk.train.voice import PAUSE, Voice, joined
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["ConversationConfig", "simulate", "simulate_set"]

HUSH: float = 1e-4  # likewise of a recording without noise: no microphone gives zeros
PEAK: float = 0.9


@dataclass(frozen=True, slots=True)
class ConversationConfig:
    """How people talk; the defaults are near what meetings and telephone calls show."""

    speakers: int = 3
    seconds: float = 120.0
    gap_seconds: float = 0.35  # median of the log-normal pauses between turns
    gap_spread: float = 0.8  # their standard deviation in natural logarithms
    overlap_share: float = 0.15  # of the changes of speaker: the next begins before the last has ended
    overlap_seconds: tuple[float, float] = (0.2, 1.5)
    same_speaker: float = 0.1  # chance that whoever spoke goes on after the pause
    backchannel: float = 0.2  # chance that somebody says a word within a long turn
    backchannel_seconds: tuple[float, float] = (0.3, 0.9)
    short_share: float = 0.6  # of the turns
    short_seconds: tuple[float, float] = (0.8, 2.0)
    long_seconds: tuple[float, float] = (2.0, 14.0)  # log-uniform
    inner_pause_seconds: tuple[float, float] = (0.1, 0.4)  # between the utterances of one turn
    level_db: float = 6.0  # each speaker is up to this much louder or softer
    noise_snr_db: float | None = None  # None: no noise

    def __post_init__(self) -> None:
        if not 2 <= self.speakers <= 6:
            raise ConfigError(f"wanted 2 to 6 speakers, got {self.speakers}")
        if not 5.0 <= self.seconds <= 36_000.0:
            raise ConfigError(f"wanted a conversation of 5 to 36,000 seconds, got {self.seconds:g}")


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
    """Mix one conversation; the same seed gives the same bytes.

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
    own: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        own[utterance.speaker].append(utterance)
    if len(own) < config.speakers:
        raise ConfigError(f"wanted utterances of {config.speakers} speakers, got {len(own)}")
    names = sorted(rng.choice(sorted(own), config.speakers, replace=False).tolist())
    voices = [Voice(speaker, own[speaker], store, rng) for speaker in names]
    _Talk(voices, config, rng).run()
    sound = np.zeros(samples_of(config.seconds), np.float32)
    for voice in voices:
        track = voice.track(len(sound))
        if rooms:
            track = _in_room(track, rooms[int(rng.integers(len(rooms)))])
        sound += track * np.float32(10.0 ** (rng.uniform(-config.level_db, config.level_db) / 20.0))
    turns = [
        SpeakerTurn(name, seconds_of(run.start), seconds_of(run.end), voice.speaker)
        for voice in voices
        for run in joined(voice.said)
    ]
    turns.sort(key=lambda turn: (turn.start, turn.end, turn.speaker))
    sound += _background(sound, turns, noise, config.noise_snr_db, rng)
    return sound * np.float32(min(1.0, PEAK / max(1e-9, float(np.abs(sound).max())))), turns


def simulate_set(
    manifest_csv: Path,
    noise_csv: Path | None,
    cache: Path,
    out: Path,
    speakers: Collection[str] | None,
    count: int,
    seconds: float,
    seed: int,
    *,
    sizes: Sequence[int] = (2, 3, 4, 5),
    snrs_db: Sequence[float | None] = (None, 25.0, 20.0, 15.0),
    rooms: int = 400,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Path]:
    """Write conversations as `conv-0000.wav`, `.rttm` and `.uem`; half of them are in rooms.

    Sizes and noise levels are gone through in such a way that every size meets every level. Half of the
    conversations take their speakers from one data set, so that recordings do not give the speakers away.

    Args:
        manifest_csv: the utterances
        noise_csv: the noises; None for no noise
        cache: where decoded sound and rooms are kept
        out: the folder to write to; made where it is missing
        speakers: who may speak, as "data set/speaker"; None is everyone
        count: of conversations
        seconds: of each
        seed: decides everything
        sizes: numbers of speakers
        snrs_db: signal-to-noise ratios, None for no noise
        rooms: size of the bank of rooms; 0 for no rooms
        progress: called with what is done ("decoded", "rooms" or "mixed"), how many, and of how many

    Returns:
        the sound files

    Raises:
        ConfigError: too few speakers with enough speech.
    """
    everything = read_manifest(manifest_csv)
    store = SampleStore.build([u.path for u in everything], cache, _part(progress, "decoded"))
    noises = None
    if noise_csv is not None:
        paths = read_noises(noise_csv)
        noises = paths, SampleStore.build(paths, cache, _part(progress, "decoded"))
    bank = room_bank(rooms, 0, cache, _part(progress, "rooms")) if rooms else []
    amount: dict[str, float] = defaultdict(float)
    wanted = None if speakers is None else frozenset(speakers)
    utterances = [u for u in everything if wanted is None or u.speaker in wanted]
    for u in utterances:
        amount[u.speaker] += seconds_of(u.duration)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        size = sizes[number % len(sizes)]
        snr = snrs_db[(number // len(sizes) + number) % len(snrs_db)] if noises is not None else None
        config = ConversationConfig(speakers=size, seconds=seconds, noise_snr_db=snr)
        able = _able(amount, 0.5 * seconds / size, size, one_set=bool(rng.random() < 0.5), rng=rng)
        noise = None
        if noises is not None:
            path = noises[0][rng.integers(len(noises[0]))]
            noise = noises[1].read(path, 0, noises[1].offsets[path][1])
        in_rooms = bank if (number // len(sizes)) % 2 else []
        name = f"conv-{number:04d}"
        mine = [u for u in utterances if u.speaker in able]
        sound, turns = simulate(mine, store, config, rng, name=name, rooms=in_rooms, noise=noise)
        write_wav(out / f"{name}.wav", sound)
        write_rttm(out / f"{name}.rttm", turns)
        write_atomically(out / f"{name}.uem", f"{name} 1 0.000 {seconds_of(len(sound)):.3f}\n".encode())
        written.append(out / f"{name}.wav")
        if progress is not None:
            progress("mixed", number + 1, count)
    return written


class _Talk:
    """Who speaks next, when, and for how long."""

    def __init__(self, voices: list[Voice], config: ConversationConfig, rng: Generator) -> None:
        self.voices, self.config, self.rng = voices, config, rng
        self.length = samples_of(config.seconds)
        self.eagerness = rng.uniform(0.5, 1.5, len(voices))

    def run(self) -> None:
        """Let them talk until the time is over."""
        now = samples_of(self.rng.uniform(0.1, 1.0))
        last: int | None = None
        before = 0  # length of the turn before
        while True:
            who = self._next(now, last)
            voice = self.voices[who]
            speech = voice.speech(self._turn(), self.config.inner_pause_seconds)
            start = now if last is None else now + self._gap(before, same=who == last)
            start = max(start, voice.end + PAUSE if voice.end else 0)
            if start + len(speech.samples) > self.length:
                return
            voice.say(speech, start)
            self._backchannel(who, start, len(speech.samples))
            now, last, before = max(now, start + len(speech.samples)), who, len(speech.samples)

    def _next(self, now: int, last: int | None) -> int:
        chance = self.eagerness.copy()
        silent = np.array([not voice.said for voice in self.voices])
        if now > self.length // 3 and silent.any():
            chance *= silent  # everyone gets to speak
        elif last is not None:
            if self.rng.random() < self.config.same_speaker:
                return last
            chance[last] = 0.0
        return int(self.rng.choice(len(chance), p=chance / chance.sum()))

    def _turn(self) -> int:
        config = self.config
        if self.rng.random() < config.short_share:
            return samples_of(self.rng.uniform(*config.short_seconds))
        return samples_of(float(np.exp(self.rng.uniform(*np.log(config.long_seconds)))))

    def _gap(self, before: int, *, same: bool) -> int:
        """Samples from the end of one turn to the next; below zero where they overlap."""
        config, rng = self.config, self.rng
        if not same and rng.random() < config.overlap_share:
            return -min(samples_of(rng.uniform(*config.overlap_seconds)), before // 2)
        return samples_of(float(config.gap_seconds * np.exp(config.gap_spread * rng.normal())))

    def _backchannel(self, who: int, start: int, length: int) -> None:
        """Somebody else says a word in the middle of a long turn."""
        config, rng = self.config, self.rng
        if length < samples_of(config.long_seconds[0]) or rng.random() >= config.backchannel:
            return
        other = int(rng.choice([i for i in range(len(self.voices)) if i != who]))
        voice = self.voices[other]
        speech = voice.speech(
            samples_of(rng.uniform(*config.backchannel_seconds)), config.inner_pause_seconds
        )
        at = start + int(rng.uniform(0.2, 0.7) * length)
        if voice.end + PAUSE <= at and at + len(speech.samples) <= start + length:
            voice.say(speech, at)


def _in_room(track: FloatArray, response: FloatArray) -> FloatArray:
    """A track in a room, as loud as before."""
    wet = with_room(track, response)
    before, after = float(np.square(track).sum()), float(np.square(wet).sum())
    return wet * np.float32(np.sqrt(before / after)) if after > 0.0 else wet


def _background(
    sound: FloatArray,
    turns: list[SpeakerTurn],
    noise: FloatArray | None,
    snr_db: float | None,
    rng: Generator,
) -> FloatArray:
    """Noise at its level below the mean level of speech, over a hush that is always there."""
    hush = rng.normal(0.0, HUSH, len(sound)).astype(np.float32)
    if noise is None or snr_db is None or not len(noise):
        return hush
    spoken_now = np.zeros(len(sound), bool)
    for turn in turns:
        spoken_now[samples_of(turn.start) : samples_of(turn.end)] = True
    long = np.resize(np.roll(noise, int(rng.integers(len(noise)))), len(sound))
    power = float(np.square(long, dtype=np.float64).mean())
    if power == 0.0 or not spoken_now.any():
        return hush
    speech = float(np.square(sound[spoken_now], dtype=np.float64).mean())
    return hush + long * np.float32(np.sqrt(speech / power) * 10.0 ** (-snr_db / 20.0))


def _able(
    amount: dict[str, float], least: float, size: int, *, one_set: bool, rng: Generator
) -> frozenset[str]:
    """Who has enough speech not to repeat it much; of one data set alone where wanted and possible."""
    enough = sorted(speaker for speaker, seconds in amount.items() if seconds >= least)
    if len(enough) < size:
        raise ConfigError(f"wanted {size} speakers with {least:g} s of speech each, got {len(enough)}")
    by_set: dict[str, list[str]] = defaultdict(list)
    for speaker in enough:
        by_set[speaker.partition("/")[0]].append(speaker)
    sets = sorted(own for own, members in by_set.items() if len(members) >= size)
    return frozenset(by_set[sets[rng.integers(len(sets))]] if one_set and sets else enough)


def _part(progress: Callable[[str, int, int], None] | None, what: str) -> Callable[[int, int], None]:
    return lambda done, total: None if progress is None else progress(what, done, total)
