"""What is told of diarization where somebody is enrolled, and where nobody is."""

import io
import json
import math

from rich.console import Console

from rtspk.bench.diarization_report import DiarizationReport, FileResult
from rtspk.bench.named_stream import StreamResult


def report_of(*files):
    results = [(name, FileResult(names=StreamResult(delays=own, waits=waits))) for name, own, waits in files]
    return DiarizationReport(1.0, 0.0, "file", tuple(results))


def table_of(report):
    out = io.StringIO()
    report.table(Console(file=out, width=200))
    return out.getvalue()


def test_how_soon_the_enrolled_get_their_names_is_told_of_each_recording_and_of_all():
    report = report_of(("talk", (4.0, math.inf), (6.0, math.inf)), ("tale", (1.0,), (2.5,)), ("more", (), ()))
    keys = json.loads(report.to_json())
    talk = {"enrolled": 2, "named": 1, "p50": 4.0, "p95": None, "wait_p50": 6.0, "wait_p95": None}
    total = {"enrolled": 3, "named": 2, "p50": 4.0, "p95": None, "wait_p50": 6.0, "wait_p95": None}
    assert keys["files"]["talk"]["time_to_name"].items() >= talk.items()
    assert keys["files"]["more"]["time_to_name"].items() >= {"enrolled": 0, "named": 0, "p50": None}.items()
    assert keys["total"]["time_to_name"].items() >= total.items()
    said = table_of(report)
    told = said[said.index("time to the correct name") :].splitlines()
    rows = [[cell.strip() for cell in line.split("\u2502")[1:-1]] for line in told]
    assert [row for row in rows if row] == [
        ["talk", "1 of 2", "6.00 s", "never", "4.00 s", "never"],
        ["tale", "1 of 1", "2.50 s", "2.50 s", "1.00 s", "1.00 s"],
        ["more", *"-----"],
        ["all", "2 of 3", "6.00 s", "never", "4.00 s", "never"],
    ]


def test_where_nobody_is_enrolled_nothing_is_said_of_names():
    report = report_of(("talk", (), ()))
    assert "name" not in report.to_json()
    assert "name" not in table_of(report)
