"""Diarization over a folder of recordings, streamed as a live user would hear them.

Two answers are scored. *First said* is, for each moment, what stood on the screen when it was as old as the
latency, final or not: who spoke then, if anybody. *Revised* is what later events made of the final segments.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtspk.audio import stream_audio
from rtspk.bench.diarization_report import DiarizationReport, FileResult, Score
from rtspk.bench.named_stream import NamedStream
from rtspk.bench.said import Said
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, FormatError
from rtspk.metrics import diarization_error, jaccard_error, speaker_count_error
from rtspk.people import NOT_SOUND
from rtspk.rttm import ScoredRegion, SpeakerTurn, read_rttm, read_uem, to_turns
from rtspk.timeline import draw_timeline
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["evaluate_diarization", "speakers_in"]

CHUNK_SECONDS: float = 0.1  # what a live source hands over
NAMED: int = 5  # recordings in a note
SLACK_SECONDS: float = 0.5  # by which a reference may outlast its recording, rounded as it is
REST_SECONDS: float = 1.0  # of silence behind the latency, so that the last words become final


def speakers_in(reference: Path, audio: Path, uem: Path | None) -> set[str]:
    """Who speaks in the references, which are looked for with all that belongs to them.

    Args and errors are those of `evaluate_diarization`.
    """
    return {turn.speaker for case in _cases(reference, audio, _sounds(audio), uem) for turn in case.turns}


def evaluate_diarization(
    engine: Engine,
    reference: Path,
    audio: Path,
    uem: Path | None,
    latency: float,
    collar: float,
    progress: Callable[[int, int], None],
    *,
    enrolled: Collection[str] = (),
    config: SessionConfig | None = None,
    pictures: Path | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
) -> DiarizationReport:
    """Stream every recording that has a reference through a session of its own, and score the answers.

    Args:
        engine: what is measured; its gallery's names play no part in the error rates
        reference: a folder of RTTM files, one for each recording, or one file for all
        audio: a folder of recordings of the same stems, of any kind
        uem: a folder of UEM files of the same stems, or one file for all; None scores whole files
        latency: seconds; it takes the place of that of `config`
        collar: seconds left out around each boundary of the reference, half before and half after
        progress: called with recordings done and recordings in all
        enrolled: speakers of the references whose voices the engine's gallery has: how soon each gets the
            correct name is measured too, over the whole recording
        config: all other settings of the sessions
        pictures: a folder for a picture of each recording, reference above answer; None for none
        chunk_seconds: what is handed over at once; it changes nothing but the delays

    Raises:
        FormatError: no reference, a reference of several recordings, or a recording that the UEM leaves out.
        AudioError: a recording that is missing or cannot be read.
    """
    settings = replace(config or SessionConfig(), latency=latency)
    sounds = _sounds(audio)
    cases = list(_cases(reference, audio, sounds, uem))
    notes = _left_out(sounds.keys() - {case.name for case in cases})
    files = []
    for number, case in enumerate(cases, start=1):
        result, length = _evaluate(engine, case, enrolled, settings, collar, pictures, chunk_seconds)
        files.append((case.name, result))
        notes += _too_short(case, length)
        progress(number, len(cases))
    region = "file" if uem is None else "uem"
    return DiarizationReport(latency, collar, region, tuple(files), tuple(notes))


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
    enrolled: Collection[str],
    settings: SessionConfig,
    collar: float,
    pictures: Path | None,
    chunk_seconds: float,
) -> tuple[FileResult, int]:
    """Score one recording; also its length in samples."""
    said, names = Said(samples_of(settings.latency)), NamedStream(case.turns, enrolled)
    length, seconds = 0, 0.0
    with engine.session(config=settings) as session:
        now = 0
        for samples, is_sound in _padded(case.sound, settings.latency, chunk_seconds):
            begin = time.process_time()
            events = session.push(samples)
            seconds += time.process_time() - begin
            now += len(samples)
            length += len(samples) if is_sound else 0
            said.hear(events, now)
            names.hear(events, now)
        begin = time.process_time()
        events = session.finish()
        seconds += time.process_time() - begin
        said.hear(events, now)
        names.hear(events, now)
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
            title=case.name,
            caption=f"latency {settings.latency:g} s: DER {first.error.rate:.1%} as first said, "
            f"{revised.error.rate:.1%} revised; collar {collar:g} s, overlap scored, "
            f"{'whole file' if case.regions is None else 'inside the UEM'}, own speech activity",
            reference=to_turns(case.turns),
            end=length,
        )
    result = FileResult(
        first,
        revised,
        said.said(),
        said.flipped(),
        tuple(said.delays[number] for number in sorted(said.final & said.delays.keys())),
        seconds,
        seconds_of(now),
        names.result(length),
    )
    return result, length


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


def _sounds(audio: Path) -> dict[str, list[Path]]:
    """The recordings of a folder, by stem."""
    if not audio.is_dir():
        raise FormatError(f"wanted a folder of recordings, got {audio}")
    sounds: dict[str, list[Path]] = {}
    for path in sorted(audio.iterdir()):
        if path.is_file() and path.suffix.lower() not in NOT_SOUND:
            sounds.setdefault(path.stem, []).append(path)
    return sounds


def _references(reference: Path) -> Iterator[tuple[str, list[SpeakerTurn]]]:
    """Names of recordings and who speaks in them, from a folder of RTTM files or one file for all."""
    if reference.is_file():
        by_name: dict[str, list[SpeakerTurn]] = {}
        for turn in read_rttm(reference):
            by_name.setdefault(turn.file, []).append(turn)
        if not by_name:
            raise FormatError(f"wanted turns, got none in {reference}")
        yield from sorted(by_name.items())
        return
    if not reference.is_dir():
        raise FormatError(f"wanted RTTM files in a folder, or one for all, got {reference}")
    paths = sorted(reference.glob("*.rttm"))
    if not paths:
        raise FormatError(f"wanted RTTM files, got none in {reference}")
    for path in paths:
        turns = read_rttm(path)
        if (several := len({turn.file for turn in turns})) > 1:
            raise FormatError(f"wanted one recording in {path}, got {several}: give the file, not its folder")
        yield path.stem, turns


def _cases(
    reference: Path, audio: Path, sounds: Mapping[str, list[Path]], uem: Path | None
) -> Iterator[_Case]:
    """Find what belongs together; everything is looked for before the first recording is streamed."""
    shared = read_uem(uem) if uem is not None and uem.is_file() else None
    for name, turns in _references(reference):
        own = sounds.get(name, [])
        if not own:
            raise AudioError(f"wanted a recording of {name}, got none in {audio}")
        if len(own) > 1:
            raise AudioError(f"wanted one recording of {name}, got {', '.join(p.name for p in own)}")
        regions = None
        if uem is not None:
            names = {name, *(turn.file for turn in turns)}
            lines = read_uem(uem / f"{name}.uem") if shared is None else shared
            regions = [region for region in lines if region.file in names]
            if not regions:
                raise FormatError(f"wanted a scored region for {name}, got none in {uem}")
        yield _Case(name, own[0], turns, regions)


def _left_out(names: Collection[str]) -> list[str]:
    """A note of recordings without a reference."""
    if not names:
        return []
    some = sorted(names)[:NAMED]
    return [f"not scored, without a reference: {', '.join(some)}{', ...' if len(names) > len(some) else ''}"]


def _too_short(case: _Case, length: int) -> list[str]:
    """A note of a recording that ends before what is scored of it does."""
    end, spoken = seconds_of(length), max((turn.end for turn in case.turns), default=0.0)
    if case.regions is None:
        scored, so = spoken, "what lies behind is not scored"
    else:
        scored, so = max(region.end for region in case.regions), "nobody is heard behind it"
    if scored <= end + SLACK_SECONDS:
        return []
    what = "reference" if case.regions is None else "UEM"
    return [f"{case.name} ends at {end:.1f} s and its {what} at {scored:.1f} s: {so}"]
