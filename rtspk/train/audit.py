"""Look a manifest over before anything is decoded: all that is wrong with it, in one report."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtspk.errors import AudioError, FormatError, ReportError
from rtspk.train.headers import Header, read_headers
from rtspk.train.manifest import MISSING, NO_SOUND, Fault, Utterance, parse_manifest
from rtspk.types import samples_of, seconds_of

__all__ = ["Audit", "Finding", "audit", "audit_manifest", "read_audited"]

SLACK: int = samples_of(0.1)  # how far beyond a file's end an utterance may claim to be: headers round
FRAME: int = samples_of(0.025)  # what is shorter has no features
EXAMPLES: int = 4
OPUS_RATES = frozenset({8_000, 12_000, 16_000, 24_000, 48_000})  # it decodes at any (RFC 6716)


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of problem: how often, and the first few cases."""

    kind: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        more = "; ..." if self.count > len(self.examples) else ""
        return f"- {self.kind}: {self.count} ({'; '.join(self.examples)}{more})"


@dataclass(frozen=True, slots=True)
class Audit:
    """What a manifest holds, and what is wrong with it."""

    utterances: int
    files: int
    speakers: int
    hours: float
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]  # worth knowing, and no error

    @property
    def totals(self) -> str:
        """The problems in one line."""
        count, kinds = sum(finding.count for finding in self.problems), len(self.problems)
        return (
            f"{count} problem{'s' * (count != 1)} of {kinds} kind{'s' * (kinds != 1)} "
            f"among {self.utterances} utterances in {self.files} files"
        )


def audit(
    utterances: Sequence[Utterance], faults: Iterable[Fault], progress: Callable[[int, int], None]
) -> Audit:
    """Compare utterances with the files that they are in; only headers are read.

    Args:
        utterances: what could be read of a manifest
        faults: what could not
        progress: called with files done and files in all
    """
    headers = read_headers((u.path for u in utterances), progress)
    found = [*faults, *_of_files(headers), *_of_utterances(utterances, headers), *_twice(utterances)]
    amounts = Counter(u.speaker for u in utterances if u.speaker)
    alone = [Fault("speakers with one utterance", who) for who, count in amounts.items() if count == 1]
    return Audit(
        utterances=len(utterances),
        files=len(headers),
        speakers=len(amounts),
        hours=seconds_of(sum(u.duration for u in utterances)) / 3600.0,
        problems=_findings(found),
        notes=_findings(alone),
    )


def audit_manifest(path: Path, progress: Callable[[int, int], None]) -> Audit:
    """Read a manifest and look it over."""
    return audit(*parse_manifest(path), progress)


def read_audited(path: Path, progress: Callable[[int, int], None]) -> list[Utterance]:
    """Read a manifest that is fit for training.

    Raises:
        ReportError: with all that is wrong with it; the first line says how much.
        FormatError: there is no table, or nothing in it.
    """
    utterances, faults = parse_manifest(path)
    report = audit(utterances, faults, progress)
    if report.problems:
        lines = [f"wanted a sound manifest at {path}, got {report.totals}"]
        raise ReportError("\n".join([*lines, *map(str, report.problems)]))
    if not utterances:
        raise FormatError(f"wanted utterances in {path}, got none")
    return utterances


def _of_files(headers: dict[Path, Header | AudioError]) -> list[Fault]:
    faults = []
    for path, header in headers.items():
        if isinstance(header, Header):
            continue
        if path.is_file():
            faults.append(Fault(NO_SOUND, str(path)))
        else:
            faults.append(Fault(MISSING, str(path)))
    return faults


def _of_utterances(utterances: Sequence[Utterance], headers: dict[Path, Header | AudioError]) -> list[Fault]:
    faults, wrong = [], dict[Path, Fault]()
    for u in utterances:
        header = headers[u.path]
        if not isinstance(header, Header):
            continue
        if u.end > header.samples + SLACK:
            case = f"{u.path} {seconds_of(u.start):.2f} to {seconds_of(u.end):.2f} s"
            length = f"of {seconds_of(header.samples):.2f} s"
            faults.append(Fault("utterances beyond their file's end", f"{case} {length}"))
        elif u.end <= u.start:
            faults.append(Fault("utterances without length", f"{u.path} {seconds_of(u.start):.2f} s"))
        elif (heard := min(u.end, header.samples) - u.start) < FRAME * u.speed:
            case = f"{u.path} {seconds_of(u.start):.2f} s, {1000.0 * seconds_of(max(0, heard)):.0f} ms"
            faults.append(Fault("utterances shorter than a frame", case))
        any_rate = header.codec in {"opus", "libopus"} and u.rate in OPUS_RATES
        if u.rate not in {0, header.rate} and not any_rate:
            case = f"{u.path} {u.rate} Hz for a file of {header.rate} Hz"
            wrong[u.path] = Fault("files of another sampling rate than claimed", case)
    return [*faults, *wrong.values()]


def _twice(utterances: Sequence[Utterance]) -> list[Fault]:
    """Utterances that come again: by id where the manifest has ids, else by file, start, end and speed."""
    ids = Counter(u.name for u in utterances if u.name)
    faults = [Fault("ids that come more than once", name) for name, count in ids.items() if count > 1]
    stretches = Counter((u.path, u.start, u.end, u.speed) for u in utterances if not u.name)
    for (path, start, end, speed), count in stretches.items():
        if count > 1:
            at = f" at speed {speed:g}" if speed != 1.0 else ""
            case = f"{path} {seconds_of(start):.2f} to {seconds_of(end):.2f} s{at}"
            faults.append(Fault("utterances that come more than once", case))
    return faults


def _findings(faults: Iterable[Fault]) -> tuple[Finding, ...]:
    cases: dict[str, list[str]] = {}
    for fault in faults:
        cases.setdefault(fault.kind, []).append(fault.case)
    return tuple(Finding(kind, len(own), tuple(own[:EXAMPLES])) for kind, own in cases.items())
