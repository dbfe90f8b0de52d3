"""Diarization over a folder of recordings, streamed as a live user would hear them.

Two answers are scored. *First said* is, for each moment, what stood on the screen when it was as old as the
latency, final or not: who spoke then, if anybody. *Revised* is what later events made of the final segments.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rtspk.audio import stream_audio
from rtspk.bench.said import Said
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig
from rtspk.errors import AudioError, FormatError
from rtspk.metrics import (
    DiarizationError,
    JaccardError,
    SpeakerCountError,
    diarization_error,
    jaccard_error,
    speaker_count_error,
)
from rtspk.rttm import ScoredRegion, SpeakerTurn, read_rttm, read_uem, to_turns
from rtspk.timeline import draw_timeline
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["DiarizationReport", "FileResult", "Score", "evaluate_diarization"]

CHUNK_SECONDS: float = 0.1  # what a live source hands over
REST_SECONDS: float = 1.0  # of silence behind the latency, so that the last words become final

# What may lie beside a recording under its name.
NOT_SOUND = frozenset(
    {".rttm", ".uem", ".ctm", ".stm", ".txt", ".json", ".csv", ".xml", ".srt", ".vtt", ".md", ".png", ".svg"}
)

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Score:
    """How far one answer is from the truth; `+` pools files."""

    error: DiarizationError = field(default_factory=DiarizationError)
    jaccard: JaccardError = field(default_factory=JaccardError)
    count: SpeakerCountError = field(default_factory=SpeakerCountError)

    def __add__(self, other: "Score") -> "Score":
        return Score(self.error + other.error, self.jaccard + other.jaccard, self.count + other.count)

    def to_json(self) -> Json:
        """Rates as shares of the reference speech, and by how many speakers the answer is off."""
        total = self.error.total or 1.0
        return {
            "der": round(self.error.rate, 5),
            "miss": round(self.error.miss / total, 5),
            "false_alarm": round(self.error.false_alarm / total, 5),
            "confusion": round(self.error.confusion / total, 5),
            "jer": round(self.jaccard.rate, 5),
            "speaker_count_error": round(self.count.mean, 3),
        }


@dataclass(frozen=True, slots=True)
class FileResult:
    """One recording: both scores, and what is measured beside them; `+` pools files.

    The flip rate is `flipped / said`: the share of all time with a label whose label another event changed
    later. A segment's delay is the time of the stream at which its first label came,
    tentative or final, less its start.
    """

    first: Score = field(default_factory=Score)
    revised: Score = field(default_factory=Score)
    said: int = 0  # samples with a label in time
    flipped: int = 0  # of these, samples whose label was changed later
    delays: tuple[float, ...] = ()  # seconds from the start of each segment to its first label
    processing_seconds: float = 0.0  # of the processor, so that a busy machine does not count
    audio_seconds: float = 0.0

    def __add__(self, other: "FileResult") -> "FileResult":
        return FileResult(
            self.first + other.first,
            self.revised + other.revised,
            self.said + other.said,
            self.flipped + other.flipped,
            self.delays + other.delays,
            self.processing_seconds + other.processing_seconds,
            self.audio_seconds + other.audio_seconds,
        )

    def to_json(self) -> Json:
        """The first-said rates, and what goes with both answers."""
        delay = round(float(np.median(self.delays)), 3) if self.delays else None
        return {
            **self.first.to_json(),
            "flip_rate": round(self.flipped / self.said, 5) if self.said else 0.0,
            "time_to_first_label": delay,
            "rtf": round(self.processing_seconds / self.audio_seconds, 5) if self.audio_seconds else 0.0,
        }


@dataclass(frozen=True, slots=True)
class DiarizationReport:
    """All recordings of a folder, and how they were scored."""

    latency: float  # seconds
    collar: float  # seconds, half before and half after each boundary
    region: str  # "uem" or "file"
    files: tuple[tuple[str, FileResult], ...]

    @property
    def total(self) -> FileResult:
        """All recordings pooled."""
        return sum((result for _, result in self.files), FileResult())

    def to_json(self) -> str:
        """One object on one line."""
        total = self.total
        keys: Json = {
            "latency": self.latency,
            "collar": self.collar,
            "overlap": True,
            "region": self.region,
            "speech_activity": "own",
            "files": {name: result.to_json() for name, result in self.files},
            "total": total.to_json(),
            "revised": total.revised.to_json(),
        }
        return json.dumps(keys)

    def table(self, console: Console) -> None:
        """Print a row for each recording and one for all, and say how they were scored."""
        region = "inside the UEM" if self.region == "uem" else "whole files"
        table = Table(
            title=f"latency {self.latency:g} s, as first said",
            title_justify="left",
            caption=f"collar {self.collar:g} s in all (half before, half after each boundary), "
            f"overlap scored, {region}, speech activity: own",
            caption_justify="left",
        )
        table.add_column("file")
        for column in (
            "DER",
            "miss",
            "false alarm",
            "confusion",
            "JER",
            "speakers off",
            "flipped",
            "delay",
            "RTF",
        ):
            table.add_column(column, justify="right")
        total = self.total
        for name, result in self.files:
            table.add_row(name, *_cells(result.first, result))
        table.add_section()
        table.add_row("all", *_cells(total.first, total), style="bold")
        table.add_row("all, revised", *_cells(total.revised, None))
        console.print(table)


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
            f"{revised.error.rate:.1%} revised",
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


def _cells(score: Score, result: FileResult | None) -> list[str]:
    total = score.error.total or 1.0
    rates = (
        score.error.rate,
        *(part / total for part in (score.error.miss, score.error.false_alarm, score.error.confusion)),
    )
    cells = [*(f"{rate:.1%}" for rate in (*rates, score.jaccard.rate)), f"{score.count.mean:.2g}"]
    if result is None:
        return [*cells, "", "", ""]
    delay = f"{np.median(result.delays):.2f} s" if result.delays else "-"
    return [
        *cells,
        f"{result.flipped / result.said:.1%}" if result.said else "-",
        delay,
        f"{result.processing_seconds / result.audio_seconds:.2g}" if result.audio_seconds else "-",
    ]
