"""Diarization over a folder of recordings, streamed as a live user would hear them.

Two answers are scored. *First said* is, for each moment, what stood on the screen when it was as old as the
latency, final or not: who spoke then, if anybody. *Revised* is what later events made of the final segments.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtspk.audio import stream_audio
from rtspk.bench.diarization_report import DiarizationReport, FileResult, Score
from rtspk.bench.said import Said
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, FormatError
from rtspk.metrics import diarization_error, jaccard_error, speaker_count_error
from rtspk.people import NOT_SOUND
from rtspk.rttm import ScoredRegion, SpeakerTurn, read_rttm, read_uem, to_turns
from rtspk.timeline import draw_timeline
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["evaluate_diarization"]

CHUNK_SECONDS: float = 0.1  # what a live source hands over
REST_SECONDS: float = 1.0  # of silence behind the latency, so that the last words become final


def evaluate_diarization(
    engine: Engine,
    reference: Path,
    audio: Path,
    uem: Path | None,
    latency: float,
    collar: float,
    progress: Callable[[int, int], None],
    *,
    config: SessionConfig | None = None,
    pictures: Path | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
) -> DiarizationReport:
    """Stream every recording that has a reference through a session of its own, and score the answers.

    Args:
        engine: what is measured; its gallery's names play no part in the score
        reference: a folder of RTTM files, one for each recording
        audio: a folder of recordings of the same stems, of any kind
        uem: a folder of UEM files of the same stems, or one file for all; None scores whole files
        latency: seconds; it takes the place of that of `config`
        collar: seconds left out around each boundary of the reference, half before and half after
        progress: called with recordings done and recordings in all
        config: all other settings of the sessions
        pictures: a folder for a picture of each recording, reference above answer; None for none
        chunk_seconds: what is handed over at once; it changes nothing but the delays

    Raises:
        FormatError: no reference, a reference of several recordings, or a recording that the UEM leaves out.
        AudioError: a recording that is missing or cannot be read.
    """
    settings = replace(config or SessionConfig(), latency=latency)
    cases = list(_cases(reference, audio, uem))
    files = []
    for number, case in enumerate(cases, start=1):
        files.append((case.name, _evaluate(engine, case, settings, collar, pictures, chunk_seconds)))
        progress(number, len(cases))
    return DiarizationReport(latency, collar, "file" if uem is None else "uem", tuple(files))


@dataclass(frozen=True, slots=True)
class _Case:
    """One recording and its truth."""

    name: str
    sound: Path
    turns: list[SpeakerTurn]
    regions: list[ScoredRegion] | None


def _evaluate(
    engine: Engine,
    case: _Case,
    settings: SessionConfig,
    collar: float,
    pictures: Path | None,
    chunk_seconds: float,
) -> FileResult:
    said, length, seconds = Said(samples_of(settings.latency)), 0, 0.0
    with engine.session(config=settings) as session:
        now = 0
        for samples, is_sound in _padded(case.sound, settings.latency, chunk_seconds):
            begin = time.process_time()
            events = session.push(samples)
            seconds += time.process_time() - begin
            now += len(samples)
            length += len(samples) if is_sound else 0
            said.hear(events, now)
        begin = time.process_time()
        events = session.finish()
        seconds += time.process_time() - begin
        said.hear(events, now)
        said.end()
    regions = case.regions or [ScoredRegion(case.name, 0.0, seconds_of(length))]
    first, revised = (
        _score(case.turns, turns, regions, collar)
        for turns in (said.first_turns(case.name), said.revised_turns(case.name))
    )
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        draw_timeline(
            to_turns(said.revised_turns(case.name)),
            pictures / f"{case.name}.png",
            title=f"{case.name}, latency {settings.latency:g} s: DER {first.error.rate:.1%} as first said, "
            f"{revised.error.rate:.1%} revised (collar {collar:g} s, overlap scored, own speech activity)",
            reference=to_turns(case.turns),
            end=length,
        )
    return FileResult(
        first,
        revised,
        said.said(),
        said.flipped(),
        tuple(said.delays[number] for number in sorted(said.final)),
        seconds,
        seconds_of(now),
    )


def _score(
    reference: list[SpeakerTurn], answer: list[SpeakerTurn], regions: list[ScoredRegion], collar: float
) -> Score:
    return Score(
        diarization_error(reference, answer, regions=regions, collar=collar),
        jaccard_error(reference, answer, regions=regions),
        speaker_count_error(reference, answer, regions=regions),
    )


def _padded(sound: Path, latency: float, chunk_seconds: float) -> Iterator[tuple[FloatArray, bool]]:
    """The chunks of a recording, then of silence; whether each is sound."""
    for chunk in stream_audio(sound, chunk_seconds=chunk_seconds):
        yield chunk.samples, True
    silence = np.zeros(samples_of(chunk_seconds), np.float32)
    for _ in range(math.ceil((latency + REST_SECONDS) / chunk_seconds)):
        yield silence, False


def _cases(reference: Path, audio: Path, uem: Path | None) -> Iterator[_Case]:
    """Find what belongs together; everything is looked for before the first recording is streamed."""
    for folder, what in ((reference, "RTTM files"), (audio, "recordings")):
        if not folder.is_dir():
            raise FormatError(f"wanted a folder of {what}, got {folder}")
    references = sorted(reference.glob("*.rttm"))
    if not references:
        raise FormatError(f"wanted RTTM files, got none in {reference}")
    sounds: dict[str, list[Path]] = {}
    for path in sorted(audio.iterdir()):
        if path.is_file() and path.suffix.lower() not in NOT_SOUND:
            sounds.setdefault(path.stem, []).append(path)
    shared = read_uem(uem) if uem is not None and uem.is_file() else None
    for path in references:
        own = sounds.get(path.stem, [])
        if not own:
            raise AudioError(f"wanted a recording of {path.stem}, got none in {audio}")
        if len(own) > 1:
            raise AudioError(f"wanted one recording of {path.stem}, got {', '.join(p.name for p in own)}")
        turns = read_rttm(path)
        if len({turn.file for turn in turns}) > 1:
            raise FormatError(f"wanted one recording in {path}, got {len({turn.file for turn in turns})}")
        regions = None
        if uem is not None:
            names = {path.stem, *(turn.file for turn in turns)}
            lines = read_uem(uem / f"{path.stem}.uem") if shared is None else shared
            regions = [region for region in lines if region.file in names]
            if not regions:
                raise FormatError(f"wanted a scored region for {path.stem}, got none in {uem}")
        yield _Case(path.stem, own[0], turns, regions)
