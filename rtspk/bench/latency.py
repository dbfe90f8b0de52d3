"""How fast the whole engine is: a push of one hop during speech, a whole conversation, and its stages.

The same conversation is heard once more when people have talked for minutes: more is remembered of them.
One thread, one session, as fast as it goes. Imports and the first load are not counted.
"""

import pickle
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtspk.audio import read_audio
from rtspk.bench.report import Percentiles, Result, Timings, timed
from rtspk.data import CONVERSATION
from rtspk.engine.pipeline import Engine
from rtspk.engine.segmenter import ROWS
from rtspk.engine.session import Session
from rtspk.engine.settings import HOP, SessionConfig
from rtspk.errors import ConfigError
from rtspk.kernels.mel import StreamingLogMel, log_mel
from rtspk.types import SAMPLE_RATE, FloatArray, samples_of, seconds_of

__all__ = ["run", "voices"]

SECONDS: float = 60.0  # of sound, at most
BEFORE: int = 7  # times that it was said, until no more of it is remembered
PACKAGES = ("onnxruntime",)

# Formants of five vowels in Hz (G. E. Peterson and H. L. Barney, 1952, means of men).
VOWELS = ((270, 2290, 3010), (390, 1990, 2550), (660, 1720, 2410), (730, 1090, 2440), (300, 870, 2240))


@dataclass(slots=True)
class _Clock:
    """Seconds of one conversation: in its stages, and of each push that the network had a part in."""

    frontend: float = 0.0
    embedding: float = 0.0
    tracking: float = 0.0
    pushes: tuple[float, ...] = ()

    @property
    def whole(self) -> float:
        """All stages."""
        return self.frontend + self.embedding + self.tracking


def run(
    seed: int = 0, runs: int = 7, engine: Engine | None = None, *, model: Path | None = None
) -> list[Result]:
    """Time the engine on the bundled conversation, or on voice-like sound where it is not there.

    Args:
        seed: of the voice-like sound
        runs: of the whole conversation; medians count, and one more before them does not
        engine: the one to time; None loads one, and times that too
        model: of the engine that is loaded; None for the one in use

    Raises:
        ConfigError: no run, or a sound in which the engine hears nobody.
    """
    if runs < 1:
        raise ConfigError(f"wanted at least one run, got {runs}")
    results = []
    if engine is None:
        engine = Engine.load(":memory:", model=model)
        loads = tuple(_seconds(lambda: Engine.load(":memory:", model=model)) for _ in range(runs))
        results.append(_result("load", loads, seed))
    sound = _sound(seed)
    _play(engine, sound)
    clocks = [_play(engine, sound) for _ in range(runs)]
    pushes = [push for clock in clocks for push in clock.pushes]
    if not pushes:
        raise ConfigError("wanted sound in which the engine hears speech, got none")
    middles = tuple(statistics.median(clock.pushes) for clock in clocks)
    results.append(_result("push_500ms_speech", middles, seed, seconds_of(HOP), Percentiles.of(pushes)))
    seconds = seconds_of(len(sound))
    before = _after(engine, sound, BEFORE)
    later = [_play(engine, sound, before) for _ in range(runs)]
    stages = {
        "conversation": tuple(clock.whole for clock in clocks),
        "stage_frontend": tuple(clock.frontend for clock in clocks),
        "stage_log_mel": tuple(_seconds(lambda: _log_mel(engine, sound)) for _ in range(runs)),
        "stage_activity": tuple(_seconds(lambda: _activity(engine, sound)) for _ in range(runs)),
        "stage_trunk": tuple(_seconds(lambda: _trunk(engine, sound)) for _ in range(runs)),
        "stage_embedding": tuple(clock.embedding for clock in clocks),
        "stage_tracking": tuple(clock.tracking for clock in clocks),
        "conversation_later": tuple(clock.whole for clock in later),
        "stage_tracking_later": tuple(clock.tracking for clock in later),
    }
    results += [_result(case, times, seed, seconds) for case, times in stages.items()]
    return results


def voices(seconds: float, seed: int) -> FloatArray:
    """Voice-like sound: two voices in turn, vowels with formants in syllables, pauses between phrases.

    Returns: float32 [shape=(n,)] in -1..1
    """
    rng = np.random.default_rng(seed)
    parts: list[FloatArray] = []
    while sum(map(len, parts)) < samples_of(seconds):
        pitch, throat = ((110.0, 1.0), (205.0, 1.17))[len(parts) // 2 % 2]
        phrase = [_syllable(pitch, throat, rng) for _ in range(int(rng.integers(6, 16)))]
        parts += [np.concatenate(phrase), np.zeros(samples_of(rng.uniform(0.3, 0.8)), np.float32)]
    sound = np.concatenate(parts)[: samples_of(seconds)]
    sound *= np.float32(0.5 / np.abs(sound).max())
    return (sound + rng.normal(0.0, 3e-4, len(sound))).astype(np.float32)


def _syllable(pitch: float, throat: float, rng: np.random.Generator) -> FloatArray:
    """A breath of noise and a vowel: harmonics, each as loud as the formants near it make it."""
    length = samples_of(rng.uniform(0.12, 0.25))
    at = np.arange(length) / SAMPLE_RATE
    glide = pitch * (1.0 + rng.uniform(-0.15, 0.15) + rng.uniform(-0.8, 0.4) * (at - at[-1] / 2))
    phase = 2.0 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    formants = np.array(VOWELS[int(rng.integers(len(VOWELS)))]) * throat
    vowel = np.zeros(length)
    for harmonic in range(1, int(3800.0 / pitch)):
        frequency = harmonic * pitch
        loud = sum(1.0 / (1.0 + ((frequency - formant) / 90.0) ** 2) for formant in formants)
        vowel += (loud + 0.02) / np.sqrt(harmonic) * np.sin(harmonic * phase)
    vowel *= np.minimum(1.0, np.minimum(at, at[::-1]) / 0.03)
    breath = rng.normal(0.0, 0.15, samples_of(rng.uniform(0.02, 0.07)))
    return np.concatenate([breath, vowel]).astype(np.float32)


def _sound(seed: int) -> FloatArray:
    if CONVERSATION.is_file():
        return read_audio(CONVERSATION)[: samples_of(SECONDS)]
    return voices(SECONDS, seed)


def _after(engine: Engine, sound: FloatArray, times: int) -> bytes:
    """The state of a session, pickled, that heard sound so often."""
    session = Session(engine.parts(SessionConfig()))
    for start in range(0, times * len(sound), HOP):
        session.receive_audio(np.take(sound, range(start, start + HOP), mode="wrap"))
        _answer(engine, session, _Clock())
    return pickle.dumps(session.state)


def _play(engine: Engine, sound: FloatArray, state: bytes | None = None) -> _Clock:
    """Stream sound hop by hop, by the very verbs that a local session uses, with a clock between them.

    `state` is what the session has heard before, as `_after` has it.
    """
    known = None if state is None else pickle.loads(state)
    session = Session(engine.parts(SessionConfig()), known)
    clock = _Clock()
    pushes = []
    for start in range(0, len(sound), HOP):
        before = clock.whole
        with _running(clock, "frontend"):
            session.receive_audio(sound[start : start + HOP])
        if _answer(engine, session, clock):
            pushes.append(clock.whole - before)
    with _running(clock, "frontend"):
        session.finish()
    _answer(engine, session, clock)
    clock.pushes = tuple(pushes)
    return clock


def _answer(engine: Engine, session: Session, clock: _Clock) -> bool:
    """Embed what the session wants and hand it back; whether it wanted anything."""
    asked = False
    while True:
        with _running(clock, "embedding"):
            windows = session.windows_to_embed()
            vectors = engine.embedder.embed(windows)
        if not windows:
            break
        asked = True
        with _running(clock, "tracking"):
            session.receive_embeddings(vectors)
    with _running(clock, "tracking"):
        session.events_to_send()
    return asked


@contextmanager
def _running(clock: _Clock, stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    setattr(clock, stage, getattr(clock, stage) + time.perf_counter() - begin)


def _log_mel(engine: Engine, sound: FloatArray) -> None:
    stream = StreamingLogMel(engine.embedder.card.features)
    for start in range(0, len(sound), HOP):
        stream.push(sound[start : start + HOP])


def _activity(engine: Engine, sound: FloatArray) -> None:
    """The segmenter at every hop, features left out."""
    hearing = engine.segmenter.hearing()
    if hearing is not None:
        for start in range(0, len(sound), HOP):
            engine.segmenter.hear(sound[start : start + HOP], hearing)
        return
    rows = engine.segmenter.rows(sound)
    longest = engine.segmenter.frames * ROWS
    for end in range(HOP // 160, len(rows), HOP // 160):
        last = end // ROWS * ROWS
        engine.segmenter.speakers(rows[max(0, last - longest) : last])


def _trunk(engine: Engine, sound: FloatArray) -> None:
    """The embedder's trunk at every hop, as if somebody spoke all the time; nothing where there is none."""
    trunk = engine.embedder.trunk
    if trunk is None:
        return
    rows = log_mel(sound, engine.embedder.card.features)
    hop = HOP // engine.embedder.card.features.hop
    wide = hop // trunk.group * trunk.group
    for first in range(0, len(rows) - wide + 1, hop):
        trunk(rows[first : first + wide])


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _result(
    case: str,
    seconds: tuple[float, ...],
    seed: int,
    audio: float | None = None,
    spread: Percentiles | None = None,
) -> Result:
    return timed("latency", case, Timings(seconds, ()), None, seed, PACKAGES, audio, spread)
