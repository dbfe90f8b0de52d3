"""Manifests of lhotse: cuts, or recordings with supervisions, as utterances; and utterances as cuts.

A file of several channels is heard as their mean; one with other people on other channels is refused.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtspk.errors import FormatError
from rtspk.files import write_atomically
from rtspk.train.headers import Header
from rtspk.train.manifest import NO_LENGTH, UNREADABLE, Fault, Utterance
from rtspk.types import samples_of, seconds_of

if TYPE_CHECKING:
    from lhotse import MonoCut, MultiCut, Recording, SupervisionSegment

__all__ = ["parse_cuts", "write_cuts"]

HARMLESS: frozenset[str] = frozenset({"Speed", "Resample", "Volume"})  # changes of sound that are understood
LOST: str = "supervisions without their recording"
MIXED: str = "cuts that are no stretch of one recording"
NO_FILE: str = "recordings that are in no file"
CHANGED: str = "recordings whose sound lhotse changes by more than speed"
CHANNELS: str = "files with different people on their channels"


def parse_cuts(path: Path) -> tuple[list[Utterance], list[Fault]]:
    """Read lhotse's JSON lines as far as they can be read, and say what is wrong with the others.

    Speaker, language and gender are the supervision's; data set, licence and target are custom fields of the
    supervision or the cut (`dataset`, `licence`, `target`). A data set that is not stated has the file's
    name. A cut without supervisions is one utterance of nobody known. A file's relative path is looked for
    beside the manifest, then where lhotse would, in the working folder. Speed perturbation is kept.

    Args:
        path: a file of cuts, of recordings or of supervisions (the other is looked for beside it), or a
            folder that holds such files; `.jsonl` or `.jsonl.gz`

    Raises:
        FormatError: no manifest there, one half of a pair, or lhotse is not installed.
    """
    reader = _Reader()
    for own, other in _sets(path):
        reader.dataset = _dataset(own)
        if other is None:
            for item in reader.items(own):
                reader.add_cut(item)
        else:
            recordings = {one.id: one for one in reader.items(other, "Recording")}
            for item in reader.items(own, "SupervisionSegment"):
                reader.add_supervision(item, recordings)
    return reader.utterances, [*reader.faults, *reader.channel_faults()]


def write_cuts(path: Path, utterances: Iterable[Utterance], headers: dict[Path, Header]) -> None:
    """Write utterances as a lhotse CutSet, `.jsonl` or `.jsonl.gz`; a speed becomes lhotse's perturbation."""
    lines, files = [], dict[Path, str]()
    for number, u in enumerate(utterances):
        if u.path not in files:
            files[u.path] = str(u.path.resolve())
        lines.append(json.dumps(_as_cut(u, headers[u.path], files[u.path], number), ensure_ascii=False))
    data = ("\n".join(lines) + "\n").encode()
    write_atomically(path, gzip.compress(data) if path.suffix == ".gz" else data)


class _Reader:
    """What has been read so far."""

    def __init__(self) -> None:
        self.dataset = ""
        self.utterances: list[Utterance] = []
        self.faults: list[Fault] = []
        self._files: dict[str, Path] = {}
        self._channels: dict[Path, set[int]] = defaultdict(set)

    def items(
        self, path: Path, wanted: str = ""
    ) -> "Iterator[MonoCut | MultiCut | Recording | SupervisionSegment]":
        """What lhotse makes of each line; a line that it does not take, or of another kind, is a fault."""
        self._folder = path.parent
        try:
            from lhotse.serialization import deserialize_item
        except ImportError as error:
            raise FormatError(f"wanted lhotse to read {path}, got {error}: pip install lhotse") from error
        for number, line in enumerate(_lines(path), start=1):
            try:
                item = deserialize_item(json.loads(line))
            except Exception as error:  # lhotse raises whatever a missing key leads to
                said = f"{type(error).__name__} {' '.join(str(error).split())[:100]}"
                self.faults.append(Fault(UNREADABLE, f"{path} line {number}: {said}"))
                continue
            if wanted and type(item).__name__ != wanted:
                said = f"wanted a {wanted}, got a {type(item).__name__}"
                self.faults.append(Fault(UNREADABLE, f"{path} line {number}: {said}"))
                continue
            yield item

    def add_cut(self, cut: "MonoCut | MultiCut") -> None:
        """One utterance for each supervision; the whole cut where it has none."""
        name = str(getattr(cut, "id", cut))
        recording = getattr(cut, "recording", None)
        if recording is None:
            self.faults.append(Fault(MIXED, f"{name} ({type(cut).__name__})"))
            return
        begin, end = cut.start, cut.start + cut.duration
        for said in cut.supervisions:
            stretch = max(begin, begin + said.start), min(end, begin + said.end)
            channel = said.channel if isinstance(said.channel, int) else cut.channel
            self._add(f"{name} {said.id}", recording, stretch, channel, said, cut.custom or {})
        if not cut.supervisions:
            self._add(name, recording, (begin, end), cut.channel, None, cut.custom or {})

    def add_supervision(self, said: "SupervisionSegment", recordings: "dict[str, Recording]") -> None:
        """One utterance of a recording."""
        recording = recordings.get(said.recording_id)
        if recording is None:
            self.faults.append(Fault(LOST, f"{said.id} of {said.recording_id}"))
            return
        self._add(said.id, recording, (said.start, said.end), said.channel, said, {})

    def channel_faults(self) -> list[Fault]:
        """Files of which the manifest names several channels: their mean would mix the people."""
        return [
            Fault(CHANNELS, f"{path} (channels {', '.join(map(str, sorted(channels)))})")
            for path, channels in self._channels.items()
            if len(channels) > 1
        ]

    def _add(
        self,
        name: str,
        recording: "Recording",
        stretch: tuple[float, float],
        channel: int | list[int],
        said: "SupervisionSegment | None",
        about: dict[str, object],
    ) -> None:
        first = channel if isinstance(channel, int) else channel[0]
        source = next((s for s in recording.sources if first in s.channels), recording.sources[0])
        if source.type != "file":
            self.faults.append(Fault(NO_FILE, f"{recording.id} ({source.type})"))
            return
        changes = [t if isinstance(t, dict) else t.to_dict() for t in recording.transforms or ()]
        other = sorted({str(change["name"]) for change in changes} - HARMLESS)
        if other:
            self.faults.append(Fault(CHANGED, f"{recording.id} ({', '.join(other)})"))
            return
        speed, rate = _as_recorded(changes, recording.sampling_rate)
        start, end = samples_of(stretch[0] * speed), samples_of(stretch[1] * speed)
        if not 0 <= start < end:
            case = f"{name} ({stretch[0]:.3f} to {stretch[1]:.3f} s of {recording.id})"
            self.faults.append(Fault(NO_LENGTH, case))
            return
        custom = {**about, **((said.custom or {}) if said else {})}
        target, path = custom.get("target", -1), self._path(str(source.source))
        if not isinstance(target, int):
            self.faults.append(Fault(UNREADABLE, f"{name}: wanted a whole number as target, got {target!r}"))
            return
        if isinstance(channel, int) and len(source.channels) > 1:
            self._channels[path].add(channel)
        dataset = str(custom.get("dataset") or self.dataset)
        speaker = f"{dataset}/{said.speaker}" if said and said.speaker else ""
        self.utterances.append(
            Utterance(
                path=path,
                start=start,
                end=end,
                speaker=speaker if not speaker or speed == 1.0 else f"{speaker}@{speed:g}",
                dataset=dataset,
                language=(said.language or "") if said else "",
                gender=(said.gender or "") if said else "",
                licence=str(custom.get("licence") or custom.get("license") or "not stated"),
                target=max(-1, target),
                speed=speed,
                name=name,
                rate=rate,
            )
        )

    def _path(self, source: str) -> Path:
        key = f"{self._folder}\n{source}"
        if key not in self._files:
            beside = self._folder / source
            self._files[key] = Path(source) if not beside.exists() and Path(source).exists() else beside
        return self._files[key]


def _as_recorded(changes: list[dict[str, Any]], rate: int) -> tuple[float, int]:
    """How much faster a recording is played than it was made, and the rate of its file."""
    speed = 1.0
    for change in reversed(changes):
        if change["name"] == "Speed":
            speed *= change["kwargs"]["factor"]
        elif change["name"] == "Resample":
            rate = change["kwargs"]["source_sampling_rate"]
    return speed, rate


def _sets(path: Path) -> list[tuple[Path, Path | None]]:
    """The manifests of a path: (cuts, None), or (supervisions, recordings)."""
    if not path.is_dir():
        return [_set(path)]
    files = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
    cuts = [file for file in files if "cuts" in file.name]
    pairs = [file for file in files if "supervisions" in file.name]
    if bool(cuts) == bool(pairs):
        got = "both" if cuts else "neither"
        raise FormatError(
            f"wanted cuts, or recordings with supervisions (.jsonl, .jsonl.gz), in {path}, got {got}"
        )
    return [_set(file) for file in cuts or pairs]


def _set(path: Path) -> tuple[Path, Path | None]:
    line = next(_lines(path), "")
    try:
        first = json.loads(line)
    except ValueError:
        first = None
    if not isinstance(first, dict):
        raise FormatError(f"wanted a manifest of lhotse at {path}, got no object of JSON in its first line")
    if "type" in first and "sources" not in first:
        return path, None
    own, other = ("recordings", "supervisions") if "sources" in first else ("supervisions", "recordings")
    beside = path.with_name(path.name.replace(own, other))
    if beside == path or not beside.is_file():
        raise FormatError(f"wanted {other} beside {path}, got no {beside.name}")
    return (beside, path) if own == "recordings" else (path, beside)


def _lines(path: Path) -> Iterator[str]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as file
        ):
            yield from (line for line in file if line.strip())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise FormatError(f"wanted a manifest of lhotse at {path}, got {error}") from error


def _dataset(path: Path) -> str:
    """A data set's name from its manifest's, as lhotse's recipes give them.

    >>> _dataset(Path("librispeech_cuts_train-clean-5.jsonl.gz")), _dataset(Path("ami/cuts.jsonl"))
    ('librispeech_train-clean-5', 'ami')
    """
    stem = re.sub(r"\.jsonl(\.gz)?$", "", path.name)
    words = [word for word in stem.split("_") if word not in {"cuts", "supervisions", "recordings"}]
    return "_".join(words) or path.parent.resolve().name


def _as_cut(u: Utterance, header: Header, file: str, number: int) -> dict[str, object]:
    channels = list(range(header.channels))
    channel: int | list[int] = 0 if len(channels) == 1 else channels
    seconds, duration = seconds_of(header.samples) / u.speed, round(seconds_of(u.end - u.start) / u.speed, 6)
    speaker = u.voice.removeprefix(f"{u.dataset}/")
    said: dict[str, object] = {
        "id": f"{u.path.stem}-{number}",
        "recording_id": file,
        "start": 0.0,
        "duration": duration,
        "channel": channel,
        **{key: value for key, value in (("language", u.language), ("gender", u.gender)) if value},
        "speaker": speaker,
    }
    recording: dict[str, object] = {
        "id": file,
        "sources": [{"type": "file", "channels": channels, "source": file}],
        "sampling_rate": header.rate,
        "num_samples": round(seconds * header.rate),
        "duration": round(seconds * header.rate) / header.rate,
        "channel_ids": channels,
    }
    if u.speed != 1.0:
        recording["id"] = said["recording_id"] = f"{file}_sp{u.speed:g}"
        recording["transforms"] = [{"name": "Speed", "kwargs": {"factor": u.speed}}]
    return {
        "id": f"{u.path.stem}-{number}",
        "start": round(seconds_of(u.start) / u.speed, 6),
        "duration": duration,
        "channel": channel,
        "supervisions": [said] if speaker else [],
        "recording": recording,
        "custom": {
            "dataset": u.dataset,
            "licence": u.licence,
            **({"target": u.target} if u.target >= 0 else {}),
        },
        "type": "MonoCut" if len(channels) == 1 else "MultiCut",
    }
