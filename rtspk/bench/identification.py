"""Open-set identification on conversations: whose voice is it, among the enrolled, or nobody's?

Two protocols over the same people. *Segments*: pieces of speech of one person, as the reference has them, are
looked up one by one; thresholds are chosen on the strangers' pieces. *Streams*: each conversation goes
through a session, and the names that it says are held against the truth, at the thresholds of the product.
"""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rtspk.audio import read_audio
from rtspk.bench.named_stream import NamedStream, StreamResult
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, FormatError
from rtspk.metrics import (
    OpenSetCounts,
    expected_calibration_error,
    open_set_at_false_alarm,
    open_set_counts,
)
from rtspk.people import NOT_SOUND, people_in
from rtspk.rttm import SpeakerTurn, read_rttm
from rtspk.types import FloatArray, Segment, samples_of, seconds_of

__all__ = ["RATES", "IdentificationReport", "Probe", "evaluate_identification", "pieces_alone"]

RATES: tuple[float, ...] = (0.001, 0.01, 0.05)  # of strangers that are given a name
SOON: float = 3.0  # seconds of speech within which a name should come
CHUNK: int = samples_of(0.1)  # what a live source hands over
SCRAP: int = samples_of(0.5)  # a shorter stretch of speech is no part of a piece
REST: int = samples_of(1.0)  # of silence behind the latency, so that the last words become final

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Probe:
    """One piece of speech and what was thought of it; no name where too little speech was heard in it."""

    speaker: str
    enrolled: bool
    name: str | None  # the best, however improbable
    probability: float
    score: float

    @property
    def correct(self) -> bool:
        """Whether the best name is the speaker's own."""
        return self.enrolled and self.name == self.speaker


@dataclass(frozen=True, slots=True)
class IdentificationReport:
    """What came of both protocols."""

    enrolled: int  # people
    refused: tuple[str, ...]  # of the enrolled, whose clips hold too little speech: every miss counts
    strangers: int
    segment: float  # seconds of a piece
    latency: float
    probability: float  # from which the product says a name
    probes: tuple[Probe, ...]
    stream: StreamResult

    def at_false_alarm(self, rate: float) -> tuple[float, OpenSetCounts]:
        """The lowest probability at which at most this share of strangers' pieces is named, and its rates."""
        scores, known, right = self._arrays()
        return open_set_at_false_alarm(scores, known, right, rate)

    @property
    def as_shipped(self) -> OpenSetCounts:
        """What the product's own threshold gives."""
        return open_set_counts(*self._arrays(), self.probability)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of the best name's probability, over all pieces."""
        scores, _, right = self._arrays()
        return expected_calibration_error(scores, right)

    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Probabilities, who is enrolled, and whose best name is right: each [shape=(probes,)]."""
        return (
            np.array([probe.probability for probe in self.probes], np.float64),
            np.array([probe.enrolled for probe in self.probes], np.bool_),
            np.array([probe.correct for probe in self.probes], np.bool_),
        )

    def to_json(self) -> str:
        """One object on one line; a time that more than half (or 5 %) never reach is null."""
        far: Json = {}
        for rate in RATES:
            threshold, counts = self.at_false_alarm(rate)
            far[str(rate)] = {"threshold": round(max(0.0, threshold), 5), **_rates(counts)}
        stream = self.stream
        delays, waits = _percentiles(stream.delays), _percentiles(stream.waits)
        keys: Json = {
            "enrolled": self.enrolled,
            "refused": list(self.refused),
            "strangers": self.strangers,
            "segment": self.segment,
            "probes": {
                "enrolled": sum(p.enrolled for p in self.probes),
                "strangers": sum(not p.enrolled for p in self.probes),
            },
            "far": far,
            "as_shipped": {"threshold": self.probability, **_rates(self.as_shipped)},
            "ece": round(self.calibration_error, 5),
            "time_to_name": {
                "p50": delays[0],
                "p95": delays[1],
                "within_3s": round(stream.named_within(SOON), 4),
                "ever": round(stream.named_within(1e12), 4),
                "wait_p50": waits[0],
                "wait_p95": waits[1],
            },
            "stream": {
                "latency": self.latency,
                "detection_error": round(stream.detection_error, 4),
                "missed": round(stream.missed / (stream.enrolled_speech or 1.0), 4),
                "wrong": round(stream.wrong / (stream.enrolled_speech or 1.0), 4),
                "revised_detection_error": round(stream.revised_detection_error, 4),
                "stranger_speech_named": round(stream.stranger_named / (stream.stranger_speech or 1.0), 4),
                "revised_stranger_speech_named": round(
                    stream.revised_stranger_named / (stream.stranger_speech or 1.0), 4
                ),
                "strangers": stream.strangers,
                "strangers_ever_named": stream.strangers_named,
            },
        }
        return json.dumps(keys)

    def table(self, console: Console) -> None:
        """Print the segments' rates, then what was said of the streams."""
        own, other = sum(p.enrolled for p in self.probes), sum(not p.enrolled for p in self.probes)
        table = Table(
            title=f"{self.enrolled} enrolled, {self.strangers} strangers; "
            f"{own} and {other} pieces of {self.segment:g} s of one voice",
            title_justify="left",
        )
        for column in ("strangers named", "probability", "detected", "under their own name", "named in fact"):
            table.add_column(column, justify="right")
        for rate in RATES:
            threshold, counts = self.at_false_alarm(rate)
            table.add_row(f"at most {rate:.1%}", f"{max(0.0, threshold):.3f}", *_cells(counts))
        table.add_row("as shipped", f"{self.probability:.3f}", *_cells(self.as_shipped))
        console.print(table)
        stream = self.stream
        delays = _percentiles(stream.delays)
        lines = [
            f"calibration error of the best name's probability: {self.calibration_error:.3f}",
            f"streams at latency {self.latency:g} s, {len(stream.delays)} voices of enrolled people:",
            f"  correct name after {_text(delays[0])} (p50) and {_text(delays[1])} (p95) of their speech, "
            f"within {SOON:g} s for {stream.named_within(SOON):.1%}, "
            f"ever for {stream.named_within(1e12):.1%}",
            f"  detection error {stream.detection_error:.1%} of their speech as first said, "
            f"{stream.revised_detection_error:.1%} as revised",
            f"  strangers: {stream.stranger_named / (stream.stranger_speech or 1.0):.1%} of their speech "
            f"had a name; {stream.strangers_named} of {stream.strangers} voices ever had one",
        ]
        if self.refused:
            lines.append(f"not enrolled for want of speech in their clips: {', '.join(self.refused)}")
        for line in lines:
            console.print(line)


def evaluate_identification(
    engine: Engine,
    gallery_audio: Path,
    audio: Path,
    reference: Path,
    progress: Callable[[str, int, int], None],
    *,
    latency: float = 1.0,
    segment: float = 3.0,
    config: SessionConfig | None = None,
) -> IdentificationReport:
    """Enrol people from clips, and look for them in conversations.

    Args:
        engine: what is measured, with an empty gallery, which is filled
        gallery_audio: clips of the people to enrol, as `people_in` reads them
        audio: a folder of conversations
        reference: a folder with an RTTM of the same stem for each; who is not enrolled is a stranger
        progress: called with what is done, how much of it, and of how much
        latency: seconds, of the sessions
        segment: seconds of the pieces that are looked up one by one
        config: all other settings of the sessions

    Raises:
        FormatError: nobody to enrol, no reference, no strangers or no enrolled people in the references.
        AudioError: a recording or a clip that is missing or cannot be read.
    """
    settings = replace(config or SessionConfig(), latency=latency)
    people = people_in(gallery_audio)
    cases = [(path, _sound_of(path, audio)) for path in _references(reference)]
    truths = [read_rttm(path) for path, _ in cases]
    who = {turn.speaker for turns in truths for turn in turns}
    known = who & set(people)
    if not known or known == who:
        raise FormatError(
            f"wanted enrolled people and strangers in {reference}, got {len(known)} of {len(who)} enrolled"
        )
    refused = []
    for number, (name, clips) in enumerate(people.items(), start=1):
        sounds = [read_audio(clip) for clip in clips]
        try:
            engine.enroll(name, *sounds)
        except AudioError:
            refused.append(name)
        progress("enrolling", number, len(people))
    probes: list[Probe] = []
    stream = StreamResult()
    for number, ((_, sound), turns) in enumerate(zip(cases, truths, strict=True), start=1):
        samples = read_audio(sound)
        for speaker, piece in pieces_alone(turns, segment):
            own = np.concatenate([samples[part.start : part.end] for part in piece])
            probes.append(_probe(engine, speaker, own, known))
        stream += _streamed(engine, samples, turns, known, settings)
        progress("conversations", number, len(cases))
    for kind in (True, False):
        if not any(probe.enrolled == kind for probe in probes):
            whose = "an enrolled person" if kind else "a stranger"
            raise FormatError(f"wanted a piece of {segment:g} s of {whose} alone, got none in {reference}")
    threshold = settings.identity.probability
    return IdentificationReport(
        len(known), tuple(refused), len(who - known), segment, latency, threshold, tuple(probes), stream
    )


def pieces_alone(turns: Sequence[SpeakerTurn], seconds: float) -> list[tuple[str, list[Segment]]]:
    """Pieces of speech of one person each, while nobody else speaks, none overlapping another.

    A piece is so many seconds in all: what a person says alone, in the order in which it is said, passing
    over stretches shorter than `SCRAP`; what is left at the end is no piece.
    """
    edges = sorted({edge for turn in turns for edge in (samples_of(turn.start), samples_of(turn.end))})
    runs: dict[str, list[Segment]] = {}
    for start, end in itertools.pairwise(edges):
        middle = seconds_of(start + end) / 2
        talking = {turn.speaker for turn in turns if turn.start <= middle < turn.end}
        if len(talking) != 1:
            continue
        own = runs.setdefault(talking.pop(), [])
        if own and own[-1].end == start:
            own[-1] = Segment(own[-1].start, end)
        else:
            own.append(Segment(start, end))
    length, pieces = samples_of(seconds), []
    for speaker, own in runs.items():
        piece: list[Segment] = []
        for run in own:
            start = run.start
            while run.end - start >= SCRAP:
                end = min(run.end, start + length - sum(part.duration for part in piece))
                piece.append(Segment(start, end))
                start = end
                if sum(part.duration for part in piece) >= length:
                    pieces.append((speaker, piece))
                    piece = []
    return pieces


def _probe(engine: Engine, speaker: str, samples: FloatArray, known: set[str]) -> Probe:
    try:
        found = engine.identify(samples, count=1)
    except AudioError:  # too little of it was heard as speech
        return Probe(speaker, speaker in known, None, 0.0, -1.0)
    best = found.candidates[0]
    return Probe(speaker, speaker in known, best.name, best.probability, best.score)


def _streamed(
    engine: Engine,
    samples: FloatArray,
    turns: Sequence[SpeakerTurn],
    known: set[str],
    settings: SessionConfig,
) -> StreamResult:
    heard, now = NamedStream(turns, known), 0
    padded = np.concatenate([samples, np.zeros(samples_of(settings.latency) + REST, np.float32)])
    with engine.session(config=settings) as session:
        for start in range(0, len(padded), CHUNK):
            chunk = padded[start : start + CHUNK]
            now += len(chunk)
            heard.hear(session.push(chunk), now)
        heard.hear(session.finish(), now)
    return heard.result(len(samples))


def _references(reference: Path) -> list[Path]:
    found = sorted(reference.glob("*.rttm")) if reference.is_dir() else []
    if not found:
        raise FormatError(f"wanted a folder of RTTM files, got none in {reference}")
    return found


def _sound_of(path: Path, audio: Path) -> Path:
    if not audio.is_dir():
        raise FormatError(f"wanted a folder of recordings, got {audio}")
    own = [p for p in sorted(audio.iterdir()) if p.stem == path.stem and p.suffix.lower() not in NOT_SOUND]
    own = [p for p in own if p.is_file()]
    if len(own) != 1:
        names = ", ".join(p.name for p in own) or "none"
        raise AudioError(f"wanted one recording of {path.stem} in {audio}, got {names}")
    return own[0]


def _rates(counts: OpenSetCounts) -> Json:
    return {
        "detection_rate": round(counts.detection_rate, 5),
        "identification_rate": round(counts.identification_rate, 5),
        "stranger_named": round(counts.false_alarm_rate, 5),
    }


def _cells(counts: OpenSetCounts) -> tuple[str, str, str]:
    return (
        f"{counts.detection_rate:.1%}",
        f"{counts.identification_rate:.1%}",
        f"{counts.false_alarm_rate:.2%}",
    )


def _percentiles(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The value that half, and that 95 %, stay at or below; None where that is never."""
    if not values:
        return None, None
    order = sorted(values)
    found = [order[math.ceil(share * len(order)) - 1] for share in (0.5, 0.95)]
    half, most = (round(value, 3) if math.isfinite(value) else None for value in found)
    return half, most


def _text(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"
