"""A folder of simulated conversations with their references, and clips to enrol their speakers from.

Each conversation has chance of its own, so that any number of workers writes the same bytes.
"""

import csv
import io
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rtspk.errors import ConfigError
from rtspk.files import write_atomically
from rtspk.train.conversation import ConversationConfig
from rtspk.train.enrolment import Clip, reserve, write_clips
from rtspk.train.manifest import Utterance, read_noises
from rtspk.train.recording import FORMATS
from rtspk.train.studio import Job, Made, Studio, Worker
from rtspk.train.voice import Catalogue
from rtspk.types import samples_of, seconds_of

__all__ = ["Made", "SetConfig", "simulate_set"]

ENOUGH_SECONDS: float = 60.0  # of utterances let a speaker take part, however long the conversation is
LEAST_SECONDS: float = 5.0  # where too few speakers have that, so much less is enough
CODEC_SECONDS: float = 3_600.0  # a coder hears a conversation as a whole

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SetConfig:
    """What conversations a set holds."""

    count: int = 10
    seconds: float = 120.0
    speakers: tuple[int, ...] = (2, 3, 4, 5, 6)  # one after the other
    overlap: float = 0.08
    rooms: int = 0  # half of the conversations are in one of these; in half of those, each voice in its own
    snr_db: tuple[float, float] = (10.0, 25.0)  # where there is noise
    one_microphone: float = 0.0  # share of the conversations whose voices get one long-term spectrum
    far: float = 0.0  # share of the conversations heard by one far microphone, over steady noise
    codec: float = 0.0  # share of the conversations that go through Opus, MP3 or a telephone
    format: str = "wav"
    enrol_seconds: float = 0.0  # 0: no clips
    strangers: float = 0.5  # share of the speakers who are not to be enrolled
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"wanted at least one conversation, got {self.count}")
        if not self.speakers:
            raise ConfigError("wanted numbers of speakers, got none")
        for size in self.speakers:
            ConversationConfig(speakers=size, seconds=self.seconds, overlap=self.overlap)
        if self.rooms < 0:
            raise ConfigError(f"wanted 0 rooms or more, got {self.rooms}")
        if not -20.0 <= self.snr_db[0] <= self.snr_db[1] <= 80.0:
            raise ConfigError(
                f"wanted a signal-to-noise ratio of -20 to 80 dB, low to high, got {self.snr_db[0]:g} to "
                f"{self.snr_db[1]:g}"
            )
        shares = {
            "by one microphone": self.one_microphone,
            "of far microphones": self.far,
            "through codecs": self.codec,
            "of strangers": self.strangers,
        }
        for what, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"wanted a share {what} of 0 to 1, got {share:g}")
        if self.codec and self.seconds > CODEC_SECONDS:
            raise ConfigError(
                f"wanted conversations of at most {CODEC_SECONDS:g} s for codecs, got {self.seconds:g} s"
            )
        if self.format not in FORMATS:
            raise ConfigError(f"wanted a format of {', '.join(FORMATS)}, got {self.format!r}")
        if self.enrol_seconds and not 1.0 <= self.enrol_seconds <= 600.0:
            raise ConfigError(f"wanted clips of 1 to 600 s for enrolment, got {self.enrol_seconds:g}")
        if self.seed < 0:
            raise ConfigError(f"wanted a seed of 0 or more, got {self.seed}")


def simulate_set(
    utterances: Mapping[str, Sequence[Utterance]],
    noise_csv: Path | None,
    cache: Path,
    out: Path,
    config: SetConfig,
    *,
    workers: int = 1,
    progress: Progress = lambda _what, _done, _of: None,
) -> tuple[list[Made], list[Clip]]:
    """Write conversations as `conv-0000.wav` (or .flac), `.rttm` and `.uem`, and `conversations.csv`.

    Half of the conversations take their speakers from one data set, so that recordings do not give the
    speakers away. With `enrol_seconds` set there are also `enrol/SPEAKER.flac` and `enrol.csv`.

    Args:
        utterances: of each speaker, as `by_speaker` gives them
        noise_csv: noises and music, of which each conversation gets one; None for none
        cache: where decoded sound and rooms are kept
        out: the folder to write to; made where it is missing
        config: what to make
        workers: processes
        progress: called with what is done ("decode", "rooms" or "mix"), how much, and of how much

    Returns:
        what was made, and the clips to enrol

    Raises:
        ConfigError: too few speakers with enough speech.
    """
    if workers < 1:
        raise ConfigError(f"wanted at least one worker, got {workers}")
    apart: dict[str, list[Utterance]] = {}
    if config.enrol_seconds:
        apart, utterances = reserve(utterances, config.enrol_seconds, config.seed)
    noises = [] if noise_csv is None else read_noises(noise_csv)
    jobs = list(_jobs(utterances, noises, config))
    cast = {speaker for job in jobs for speaker in job.cast}
    files = {u.path for job in jobs for own in job.cast.values() for u in own}
    files |= {job.noise for job in jobs if job.noise is not None}
    files |= {u.path for speaker in cast for u in apart.get(speaker, [])}
    studio = Studio(out, cache, tuple(sorted(files)), config.rooms, config.format, _words(cast))
    out.mkdir(parents=True, exist_ok=True)
    store = studio.store(lambda done, of: progress("decode", done, of))
    studio.seats(lambda done, of: progress("rooms", done, of))  # before the workers look for them
    made = []
    for one in _made(jobs, studio, workers):
        made.append(one)
        progress("mix", len(made), len(jobs))
    _write_table(out / "conversations.csv", made)
    clips = []
    if config.enrol_seconds:
        heard = {name for one in made for name in one.who}
        own = {s: apart[s] for s in sorted(cast) if studio.names[s] in heard}
        clips = write_clips(
            out, own, studio.names, Catalogue(store), config.enrol_seconds, config.strangers, config.seed
        )
    return made, clips


def _jobs(
    utterances: Mapping[str, Sequence[Utterance]], noises: Sequence[Path], config: SetConfig
) -> Iterator[Job]:
    amount = {who: seconds_of(sum(u.duration for u in own)) for who, own in utterances.items()}
    for number in range(config.count):
        rng = np.random.default_rng((config.seed, number))
        size = config.speakers[number % len(config.speakers)]
        snr = round(float(rng.uniform(*config.snr_db)), 2)
        noise = noises[int(rng.integers(len(noises)))] if noises else None
        room = str(rng.choice(["none", "none", "shared", "own"])) if config.rooms else "none"
        talk = ConversationConfig(
            speakers=size,
            seconds=config.seconds,
            overlap=config.overlap,
            noise_snr_db=snr if noise is not None else None,
        )
        share = config.seconds / size
        able = _able(
            amount, min(0.5 * share, ENOUGH_SECONDS), size, one_set=bool(rng.random() < 0.5), rng=rng
        )
        cast = sorted(rng.choice(able, size, replace=False).tolist())
        some = {who: _some(utterances[who], 2.0 * share + ENOUGH_SECONDS, rng) for who in cast}
        is_coded = bool(rng.random() < config.codec)
        talk = replace(talk, one_microphone=bool(rng.random() < config.one_microphone))
        if rng.random() < config.far:
            talk, noise, room = replace(talk, noise_snr_db=snr), None, "far"
        yield Job(
            name=f"conv-{number:04d}",
            seed=(config.seed, number, 1),
            config=talk,
            cast=some,
            noise=noise,
            room=room,
            is_coded=is_coded,
        )


def _able(
    amount: Mapping[str, float], least: float, size: int, *, one_set: bool, rng: Generator
) -> list[str]:
    """Who has enough speech not to repeat it much; of one data set alone where wanted and possible."""
    enough = sorted(speaker for speaker, seconds in amount.items() if seconds >= least)
    if len(enough) < size and least > LEAST_SECONDS:  # then they have to repeat themselves more
        return _able(amount, max(LEAST_SECONDS, 0.5 * least), size, one_set=one_set, rng=rng)
    if len(enough) < size:
        raise ConfigError(f"wanted {size} speakers with {least:g} s of speech each, got {len(enough)}")
    by_set: dict[str, list[str]] = defaultdict(list)
    for speaker in enough:
        by_set[speaker.partition("/")[0]].append(speaker)
    sets = sorted(own for own, members in by_set.items() if len(members) >= size)
    return by_set[sets[int(rng.integers(len(sets)))]] if one_set and sets else enough


def _some(utterances: Sequence[Utterance], seconds: float, rng: Generator) -> list[Utterance]:
    """So much of them, drawn at random: nothing is decoded that nobody says."""
    out, held = [], 0
    for i in rng.permutation(len(utterances)):
        out.append(utterances[i])
        held += utterances[i].duration
        if held >= samples_of(seconds):
            break
    return out


def _words(speakers: Collection[str]) -> dict[str, str]:
    """Names that are fit for RTTM and for files, no two the same."""
    words: dict[str, str] = {}
    taken: set[str] = set()
    for speaker in sorted(speakers):
        plain = "".join(c if c.isalnum() or c in "-_.@" else "_" for c in speaker).lstrip(".") or "_"
        word = plain[:100]
        number = 2
        while word.lower() in taken:  # some file systems do not tell A from a
            word, number = f"{plain[:100]}_{number}", number + 1
        taken.add(word.lower())
        words[speaker] = word
    return words


def _made(jobs: Sequence[Job], studio: Studio, workers: int) -> Iterator[Made]:
    if workers == 1 or len(jobs) == 1:
        worker = Worker(studio)
        yield from map(worker.make, jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork copies locks that other threads hold
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _open, (studio,))
    try:
        yield from pool.map(_make, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


_workers: list[Worker] = []  # this process's own, where it is one of several


def _open(studio: Studio) -> None:
    _workers[:] = [Worker(studio)]


def _make(job: Job) -> Made:
    return _workers[0].make(job)


def _write_table(path: Path, made: Sequence[Made]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in fields(Made)])
    for one in made:
        *values, codec, one_microphone, who = astuple(one)
        flags = ["yes" if flag else "no" for flag in (codec, one_microphone)]
        table.writerow([*values, *flags, " ".join(who)])
    write_atomically(path, text.getvalue().encode())
