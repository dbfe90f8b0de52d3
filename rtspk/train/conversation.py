"""Who speaks when: turns with pauses, gaps, overlaps, backchannels and interruptions, planned without sound.

Overlap is steered: the further it lags behind what is wanted, the likelier people talk at once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from rtspk.errors import ConfigError
from rtspk.train.voice import GRID, PAUSE, Speech, Voice
from rtspk.types import Segment, samples_of

__all__ = ["BACKCHANNEL", "INTERRUPTION", "TURN", "ConversationConfig", "Talk"]

TURN, BACKCHANNEL, INTERRUPTION, EARLY = "turn", "backchannel", "interruption", "early start"
LOOSENESS: int = samples_of(1.0)  # standard deviation of how strictly overlap is steered
LAST: int = samples_of(1.0)  # what is said at least before the recording breaks off in a turn
MOST_SHARED: float = 0.8  # of a turn, with the next
BEHIND: int = samples_of(60.0)  # no turn is longer: what lies further back cannot be talked over


@dataclass(frozen=True, slots=True)
class ConversationConfig:
    """How people talk; the defaults are near what meetings and telephone calls show."""

    speakers: int = 3
    seconds: float = 120.0
    overlap: float = 0.08  # share of the spoken time in which two or more speak
    interruptions: float = 0.2  # of the overlaps, where a turn is long enough: the first gives way
    backchannels: float = 0.3  # likewise: a word within the turn of another
    overlap_seconds: tuple[float, float] = (0.2, 1.5)  # the next begins before the last has ended
    interruption_seconds: tuple[float, float] = (0.3, 1.0)  # until who is interrupted stops
    backchannel_seconds: tuple[float, float] = (0.3, 0.9)
    gap_seconds: float = 0.35  # median of the log-normal silence between two speakers
    gap_spread: float = 0.8  # its standard deviation in natural logarithms
    pause_seconds: float = 0.6  # likewise between two turns of one speaker
    pause_spread: float = 0.6
    same_speaker: float = 0.1  # chance that whoever spoke goes on after a pause
    short_share: float = 0.6  # of the turns
    short_seconds: tuple[float, float] = (0.8, 2.0)
    long_seconds: tuple[float, float] = (2.0, 14.0)  # log-uniform
    inner_pause_seconds: tuple[float, float] = (0.1, 0.4)  # between the utterances of one turn
    level_db: float = 6.0  # each speaker is up to this much louder or softer
    one_microphone: bool = False  # all voices get one long-term spectrum
    noise_snr_db: float | None = None  # None: no noise

    def __post_init__(self) -> None:
        if not 1 <= self.speakers <= 10:
            raise ConfigError(f"wanted 1 to 10 speakers, got {self.speakers}")
        if not 5.0 <= self.seconds <= 36_000.0:
            raise ConfigError(f"wanted a conversation of 5 to 36,000 seconds, got {self.seconds:g}")
        if not 0.0 <= self.overlap <= 0.2:  # more than turns of this kind can give is not promised
            raise ConfigError(f"wanted a share of overlap of 0 to 0.2, got {self.overlap:g}")
        if min(self.interruptions, self.backchannels) < 0.0 or self.interruptions + self.backchannels > 1.0:
            raise ConfigError(
                "wanted interruptions and backchannels as shares of the overlaps, "
                f"got {self.interruptions:g} and {self.backchannels:g}"
            )


class Talk:
    """Who speaks next, when, and for how long."""

    def __init__(self, voices: Sequence[Voice], config: ConversationConfig, rng: Generator) -> None:
        self.counts: Counter[str] = Counter()
        self._voices, self._config, self._rng = voices, config, rng
        self._length = samples_of(config.seconds)
        self._eagerness = rng.uniform(0.5, 1.5, len(voices))
        self._recent: list[Segment] = []  # where one or more spoke, no two overlapping
        self._both: list[Segment] = []  # where two or more did
        self._spoken = self._shared = 0  # samples in which one or more spoke, and two or more

    def run(self) -> None:
        """Let them talk until the time is over."""
        config = self._config
        at = samples_of(self._rng.uniform(0.1, 1.0))  # where the next is to be heard
        end = 0  # of all that was said
        who = self._next(0, None)
        while True:
            voice = self._voices[who]
            speech = voice.speech(self._turn(), config.inner_pause_seconds)
            start = max(0, at - speech.runs[0].start, voice.end + PAUSE if voice.said else 0) // GRID * GRID
            if start + speech.length > self._length:
                rest = speech.until(self._length - start) if self._length - start >= LAST else None
                if rest is not None:
                    self._say(voice, rest, start)
                    self.counts[TURN] += 1
                return
            then = self._next(start, who)
            kind = self._kind(speech, same=then == who)
            both = 0
            if kind == INTERRUPTION:
                speech = speech.until(int(self._rng.uniform(0.4, 0.9) * speech.length)) or speech
                both = samples_of(self._rng.uniform(*config.interruption_seconds))
            elif kind == EARLY:
                both = max(samples_of(self._rng.uniform(*config.overlap_seconds)), self._lag())
            self._say(voice, speech, start)
            self.counts[TURN] += 1
            end = max(end, start + speech.runs[-1].end)
            if kind == BACKCHANNEL:
                self._backchannel(who, start, speech.length)
            if both:
                at = end - min(both, int(MOST_SHARED * speech.length))
                if kind == INTERRUPTION:
                    self.counts[kind] += 1
            else:
                at = end + self._silence(same=then == who)
            who = then

    def _say(self, voice: Voice, speech: Speech, start: int) -> None:
        """Say it, and keep account of how much is spoken and shared."""
        runs = voice.say(speech, start)
        met = _shared(self._recent, runs)
        self._shared += _size(met) - _size(_shared(self._both, met))
        self._spoken += _size(runs) - _size(met)
        self._recent = _union([*(run for run in self._recent if run.end > start - BEHIND), *runs])
        self._both = _union([*(run for run in self._both if run.end > start - BEHIND), *met])

    def _lag(self) -> int:
        """Samples of overlap that are still missing; below zero there was too much."""
        return int(self._config.overlap * self._spoken) - self._shared

    def _next(self, now: int, last: int | None) -> int:
        if len(self._voices) == 1:
            return 0
        chance = self._eagerness.copy()
        silent = np.array([not voice.said and i != last for i, voice in enumerate(self._voices)])
        if now > self._length // 3 and silent.any():
            chance *= silent  # everyone gets to speak
        elif last is not None:
            if self._rng.random() < self._config.same_speaker:
                return last
            chance[last] = 0.0
        return int(self._rng.choice(len(chance), p=chance / chance.sum()))

    def _turn(self) -> int:
        config = self._config
        if self._rng.random() < config.short_share:
            return samples_of(self._rng.uniform(*config.short_seconds))
        return samples_of(float(np.exp(self._rng.uniform(*np.log(config.long_seconds)))))

    def _kind(self, speech: Speech, *, same: bool) -> str:
        """How a turn is talked over, if it is."""
        config, rng = self._config, self._rng
        due = self._lag() + config.overlap * speech.length
        alone = len(self._voices) == 1 or config.overlap == 0.0
        if alone or due + LOOSENESS * rng.normal() <= 0.0:
            return TURN
        draw, is_long = rng.random(), speech.length >= samples_of(config.long_seconds[0])
        if is_long and draw < config.backchannels:
            return BACKCHANNEL
        if same:  # nobody talks over themselves
            return TURN
        return INTERRUPTION if is_long and draw > 1.0 - config.interruptions else EARLY

    def _silence(self, *, same: bool) -> int:
        config = self._config
        median, spread = (
            (config.pause_seconds, config.pause_spread) if same else (config.gap_seconds, config.gap_spread)
        )
        return samples_of(float(median * np.exp(spread * self._rng.normal())))

    def _backchannel(self, who: int, start: int, length: int) -> None:
        """Somebody else says a word in the middle of a long turn."""
        config, rng = self._config, self._rng
        voice = self._voices[int(rng.choice([i for i in range(len(self._voices)) if i != who]))]
        wanted = samples_of(rng.uniform(*config.backchannel_seconds))
        speech = voice.speech(wanted, config.inner_pause_seconds)
        at = start + int(rng.uniform(0.2, 0.7) * length) // GRID * GRID
        if (not voice.said or voice.end + PAUSE <= at) and at + speech.length <= start + length:
            self._say(voice, speech, at)
            self.counts[BACKCHANNEL] += 1


def _union(runs: Sequence[Segment]) -> list[Segment]:
    """The same time as stretches of which no two overlap."""
    out: list[Segment] = []
    for run in sorted(runs, key=lambda run: run.start):
        if out and run.start <= out[-1].end:
            out[-1] = Segment(out[-1].start, max(out[-1].end, run.end))
        else:
            out.append(run)
    return out


def _shared(these: Sequence[Segment], those: Sequence[Segment]) -> list[Segment]:
    """Where both are."""
    pairs = ((max(a.start, b.start), min(a.end, b.end)) for a in these for b in those)
    return [Segment(start, end) for start, end in pairs if start < end]


def _size(runs: Sequence[Segment]) -> int:
    return sum(run.duration for run in runs)
