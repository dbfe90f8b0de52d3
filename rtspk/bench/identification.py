"""Open-set identification on conversations: whose voice is it, among the enrolled, or nobody's?

Two protocols over the same people. *Segments*: pieces of speech of one person, as the reference has them, are
looked up one by one; thresholds are chosen on the strangers' pieces. *Streams*: each conversation goes
through a session, and the names that it says are held against the truth, at the thresholds of the product.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtspk.audio import read_audio
from rtspk.bench.enrolled import enrol_all, enrolled_among, people_to_enrol, word_of
from rtspk.bench.identification_report import IdentificationReport, Probe
from rtspk.bench.named_stream import NamedStream, StreamResult
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, FormatError
from rtspk.people import NOT_SOUND
from rtspk.rttm import SpeakerTurn, read_rttm
from rtspk.types import FloatArray, Segment, samples_of, seconds_of

__all__ = ["evaluate_identification", "pieces_alone"]

CHUNK: int = samples_of(0.1)  # what a live source hands over
SCRAP: int = samples_of(0.5)  # a shorter stretch of speech is no part of a piece
REST: int = samples_of(1.0)  # of silence behind the latency, so that the last words become final


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
        reference: a folder with an RTTM of the same stem for each, with names as RTTM has them; who is not
            enrolled is a stranger
        progress: called with what is done, how much of it, and of how much
        latency: seconds, of the sessions
        segment: seconds of the pieces that are looked up one by one
        config: all other settings of the sessions

    Raises:
        FormatError: nobody to enrol, no reference, no strangers or no enrolled people in the references.
        AudioError: a recording or a clip that is missing or cannot be read; clips without speech of anybody.
    """
    settings = replace(config or SessionConfig(), latency=latency)
    people = people_to_enrol(gallery_audio)
    cases = [(path, _sound_of(path, audio)) for path in _references(reference)]
    truths = [[replace(turn, speaker=word_of(turn.speaker)) for turn in read_rttm(path)] for path, _ in cases]
    who = {turn.speaker for turns in truths for turn in turns}
    known = enrolled_among(people, who)
    if not known or known == who:
        raise FormatError(
            f"wanted enrolled people and strangers in {reference}, got {len(known)} of {len(who)} enrolled"
        )
    refused = enrol_all(engine, people, gallery_audio, progress)
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
        len(known), refused, len(who - known), segment, latency, threshold, tuple(probes), stream
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
