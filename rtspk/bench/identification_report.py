"""What came of open-set identification: rates of pieces and of streams, tables, JSON."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rtspk.bench.named_stream import SOON, StreamResult, percentiles
from rtspk.metrics import (
    OpenSetCounts,
    expected_calibration_error,
    open_set_at_false_alarm,
    open_set_counts,
)

__all__ = ["RATES", "IdentificationReport", "Probe"]

RATES: tuple[float, ...] = (0.001, 0.01, 0.05)  # of strangers that are given a name

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
            "time_to_name": stream.time_to_name(),
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
        delays = percentiles(stream.delays)
        lines = [
            f"calibration error of the best name's probability: {self.calibration_error:.3f}",
            f"streams at latency {self.latency:g} s, {len(stream.delays)} voices of enrolled people:",
            f"  correct name after {_text(delays[0])} (p50) and {_text(delays[1])} (p95) of their speech, "
            f"within {SOON:g} s for {stream.named_within(SOON):.1%}, "
            f"ever for {stream.named / (len(stream.delays) or 1):.1%}",
            f"  detection error {stream.detection_error:.1%} of their speech as first said, "
            f"{stream.revised_detection_error:.1%} as revised",
            f"  strangers: {stream.stranger_named / (stream.stranger_speech or 1.0):.1%} of their speech "
            f"had a name; {stream.strangers_named} of {stream.strangers} voices ever had one",
        ]
        if self.refused:
            lines.append(f"not enrolled for want of speech in their clips: {', '.join(self.refused)}")
        for line in lines:
            console.print(line)


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


def _text(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"
