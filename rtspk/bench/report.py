"""What a bench says: one result with its machine and its peer, as a JSON line or as a row of a table."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rtspk.errors import ConfigError

__all__ = ["Percentiles", "Result", "Timings", "compare", "machine", "print_table", "timed", "versions"]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How a value spreads over its many occurrences, such as the time of one push."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Percentiles":
        """Measure the spread of at least one value."""
        if not values:
            raise ConfigError("wanted at least one value for percentiles, got none")
        p50, p95, p99 = np.percentile(np.asarray(values, dtype=np.float64), [50, 95, 99])
        return cls(float(p50), float(p95), float(p99))


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a bench; `ratio` says how many times better we are than the peer, above 1 where we win."""

    bench: str
    case: str
    value: float
    unit: str
    peer: str | None
    peer_value: float | None
    ratio: float | None
    runs: int
    machine: str
    seed: int
    versions: tuple[tuple[str, str], ...]
    spread: Percentiles | None = None
    rtf: float | None = None  # seconds of work per second of sound

    def json_line(self) -> str:
        """One line of JSON; keys that do not apply are left out, but for the peer's, which are null."""
        keys = asdict(self)
        keys["versions"] = dict(self.versions)
        keys.update(keys.pop("spread") or {})
        if self.rtf is None:
            del keys["rtf"]
        return json.dumps({key: _rounded(value) for key, value in keys.items()})


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of each run of ours and of the peer's; `peer` is empty where there is none."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object] | None,
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Timings:
    """Time two callables in turn, so that a busy machine disturbs both alike; a first run is free.

    Args:
        ours: what is timed
        peer: likewise, if there is one
        runs: of each
        clock: seconds; `time.process_time` leaves out what other processes had of the processor
    """
    if runs < 1:
        raise ConfigError(f"wanted at least one run, got {runs}")
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(-1, runs):
        for call, seconds in zip((ours, peer), times, strict=True):
            if call is None:
                continue
            begin = clock()
            call()
            if run >= 0:
                seconds.append(clock() - begin)
    return Timings(tuple(times[0]), tuple(times[1]))


def timed(
    bench: str,
    case: str,
    timings: Timings,
    peer: str | None,
    seed: int,
    packages: Sequence[str],
    audio_seconds: float | None = None,
    spread: Percentiles | None = None,
) -> Result:
    """Make a result in seconds out of the medians of timings; without the peer's runs the peer stays null."""
    value = statistics.median(timings.ours)
    peer_value = statistics.median(timings.peer) if timings.peer else None
    return Result(
        bench=bench,
        case=case,
        value=value,
        unit="s",
        peer=peer if timings.peer else None,
        peer_value=peer_value,
        ratio=None if peer_value is None else peer_value / value,
        runs=len(timings.ours),
        machine=machine(),
        seed=seed,
        versions=versions(*packages),
        spread=spread,
        rtf=None if audio_seconds is None else value / audio_seconds,
    )


@cache
def machine() -> str:
    """The processor and how many cores of it this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()}, {cores} {'core' if cores == 1 else 'cores'}"


def versions(*packages: str) -> tuple[tuple[str, str], ...]:
    """Versions of Python, of numpy and numba, and of those of the packages that are installed.

    >>> [name for name, _ in versions("no-such-package")]
    ['python', 'numpy', 'numba']
    """
    found = [("python", platform.python_version())]
    for package in ("numpy", "numba", *packages):
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)


def print_table(results: Sequence[Result], console: Console) -> None:
    """Print results as a table, one row each."""
    table = Table(title=machine(), title_justify="left")
    for column, justify in (
        ("bench", "left"),
        ("case", "left"),
        ("value", "right"),
        ("peer", "left"),
        ("peer value", "right"),
        ("ratio", "right"),
        ("p50 / p95 / p99", "right"),
        ("RTF", "right"),
    ):
        table.add_column(column, justify="right" if justify == "right" else "left")
    for result in results:
        spread = result.spread
        table.add_row(
            result.bench,
            result.case,
            _quantity(result.value, result.unit),
            result.peer or "-",
            "-" if result.peer_value is None else _quantity(result.peer_value, result.unit),
            "-" if result.ratio is None else f"{result.ratio:.2f}x",
            "-" if spread is None else " / ".join(f"{p:.3g}" for p in (spread.p50, spread.p95, spread.p99)),
            "-" if result.rtf is None else f"{result.rtf:.2g}",
        )
    console.print(table)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _quantity(value: float, unit: str) -> str:
    if unit == "s" and value < 1.0:
        return f"{value * 1000:.3g} ms"
    return f"{value:.4g} {unit}"


def _rounded(value: object) -> object:
    """Six significant digits are more than any timing holds."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
