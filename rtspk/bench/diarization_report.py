"""What came of diarization over a folder of recordings: scores, tables, JSON."""

import json
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from rtspk.bench.named_stream import StreamResult, percentiles
from rtspk.metrics import DiarizationError, JaccardError, SpeakerCountError
from rtspk.metrics.pooled import Pooled

__all__ = ["DiarizationReport", "FileResult", "Score"]

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Score(Pooled):
    """How far one answer is from the truth; `+` pools files."""

    error: DiarizationError = field(default_factory=DiarizationError)
    jaccard: JaccardError = field(default_factory=JaccardError)
    count: SpeakerCountError = field(default_factory=SpeakerCountError)

    def to_json(self) -> Json:
        """Rates as shares of the reference speech, and by how many speakers the answer is off."""
        miss, false_alarm, confusion = self.error.rates
        return {
            "der": round(self.error.rate, 5),
            "miss": round(miss, 5),
            "false_alarm": round(false_alarm, 5),
            "confusion": round(confusion, 5),
            "jer": round(self.jaccard.rate, 5),
            "speaker_count_error": round(self.count.mean, 3),
        }


@dataclass(frozen=True, slots=True)
class FileResult(Pooled):
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
    names: StreamResult = field(default_factory=StreamResult)

    def to_json(self) -> Json:
        """The first-said rates, seconds of reference speech, and what goes with both answers."""
        delay = round(float(np.median(self.delays)), 3) if self.delays else None
        return {
            **self.first.to_json(),
            "speech": round(self.first.error.total, 3),
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
    notes: tuple[str, ...] = ()  # what does not fit together, for people

    @property
    def total(self) -> FileResult:
        """All recordings pooled."""
        return sum((result for _, result in self.files), FileResult())

    def to_json(self) -> str:
        """One object on one line; `time_to_name` is in it where anybody is enrolled."""
        total = self.total
        files: dict[str, Json] = {name: result.to_json() for name, result in self.files}
        everything = total.to_json()
        if total.names.delays:
            everything["time_to_name"] = total.names.time_to_name()
            for name, result in self.files:
                files[name]["time_to_name"] = result.names.time_to_name()
        for name, result in self.files:
            files[name]["revised"] = result.revised.to_json()
        keys: Json = {
            "latency": self.latency,
            "collar": self.collar,
            "overlap": True,
            "region": self.region,
            "speech_activity": "own",
            "files": files,
            "total": everything,
            "revised": total.revised.to_json(),
        }
        return json.dumps(keys)

    def table(self, console: Console) -> None:
        """Print a row for each recording and one for all, and say how they were scored.

        How soon the enrolled got their names is a table of its own, where anybody is enrolled.
        """
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
        if total.names.delays:
            console.print(self._names_table())

    def _names_table(self) -> Table:
        table = Table(
            title=f"latency {self.latency:g} s, time to the correct name",
            title_justify="left",
            caption="from an enrolled person's first word until something of theirs is shown under their "
            "name: time of the stream, and their own speech in it",
            caption_justify="left",
        )
        table.add_column("file")
        columns = ("named", "name after, median", "p95", "own speech until then, median", "p95")
        for column in columns:
            table.add_column(column, justify="right")
        for name, result in self.files:
            table.add_row(name, *_name_cells(result.names))
        table.add_section()
        table.add_row("all", *_name_cells(self.total.names), style="bold")
        return table


def _name_cells(names: StreamResult) -> list[str]:
    if not names.delays:
        return ["-"] * 5
    times = (*percentiles(names.waits), *percentiles(names.delays))
    cells = ("never" if seconds is None else f"{seconds:.2f} s" for seconds in times)
    return [f"{names.named} of {len(names.delays)}", *cells]


def _cells(score: Score, result: FileResult | None) -> list[str]:
    rates = (score.error.rate, *score.error.rates, score.jaccard.rate)
    cells = [*(f"{rate:.1%}" for rate in rates), f"{score.count.mean:.2g}"]
    if result is None:
        return [*cells, "", "", ""]
    delay = f"{np.median(result.delays):.2f} s" if result.delays else "-"
    return [
        *cells,
        f"{result.flipped / result.said:.1%}" if result.said else "-",
        delay,
        f"{result.processing_seconds / result.audio_seconds:.2g}" if result.audio_seconds else "-",
    ]
