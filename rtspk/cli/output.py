"""The formats: events as JSON lines when they happen; RTTM, SRT and JSON of the whole at the end."""

import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rtspk.container import local_path
from rtspk.engine.events import Event
from rtspk.errors import ConfigError, StorageError
from rtspk.rttm import format_rttm, to_rttm_turns
from rtspk.transcript import Transcript, joined
from rtspk.types import seconds_of

__all__ = [
    "FORMATS",
    "AtEnd",
    "JsonLines",
    "check_apart",
    "check_picture",
    "check_writable",
    "format_of",
    "rendered",
]

SUFFIXES: dict[str, str] = {".jsonl": "jsonl", ".rttm": "rttm", ".srt": "srt", ".json": "json"}
DATABASE: bytes = b"SQLite format 3\0"  # what a gallery begins with
FORMATS: tuple[str, ...] = ("live", "jsonl", "rttm", "srt", "json")


class JsonLines:
    """Writes each event as one line of JSON, at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def hear(self, events: list[Event], position: int) -> None:  # noqa: ARG002 - other listeners want it
        """Take what there is to say."""
        for event in events:
            self._stream.write(json.dumps(event.to_json(), ensure_ascii=False) + "\n")
        if events:
            self._stream.flush()


class AtEnd:
    """Keeps the transcript for what is written at the end."""

    def __init__(self) -> None:
        self.transcript = Transcript()

    def hear(self, events: list[Event], position: int) -> None:  # noqa: ARG002 - other listeners want it
        """Take what there is to say."""
        self.transcript.apply_all(events)


def format_of(wanted: str | None, output: Path | None, *, is_terminal: bool) -> str:
    """Choose the format: what is asked for, else the output file's suffix, else what stdout is."""
    if wanted is not None and wanted not in FORMATS:
        raise ConfigError(f"wanted --format as one of {', '.join(FORMATS)}, got {wanted!r}")
    if wanted == "live" and output is None and not is_terminal:
        raise ConfigError(
            "wanted a terminal for --format live, got a pipe or file: use jsonl, rttm, srt or json"
        )
    if wanted is not None and (wanted != "live" or output is None):
        return wanted
    if output is None:
        return "live" if is_terminal else "jsonl"
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"wanted --format, or --output ending in {', '.join(SUFFIXES)}, got {output.name!r}"
        )
    return SUFFIXES[suffix]


def check_writable(path: Path) -> None:
    """Find out before the work, not behind it, that a file cannot be written."""
    if path.is_dir():
        raise ConfigError(f"wanted a file to write, got the folder {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"wanted a file in an existing folder, got {path}")
    is_stream = path.exists() and not path.is_file()  # a pipe such as /dev/stdout is only at its own path
    target = path if is_stream else Path(os.path.realpath(path))
    wanted = [target] if target.exists() else []
    if target.is_file() or not wanted:  # it is made or replaced as a whole, which its folder has to allow
        wanted.append(target.parent)
    if not all(os.access(one, os.W_OK) for one in wanted):
        raise StorageError(f"wanted to write {path}, got permission denied")
    if target.is_file() and os.access(target, os.R_OK):
        with target.open("rb") as file:
            if file.read(len(DATABASE)) == DATABASE:
                raise ConfigError(f"wanted a file to write, got a database, such as a gallery: {path}")


def check_picture(path: Path) -> None:
    """Likewise for a picture, whose suffix says of which kind."""
    from rtspk.timeline import KINDS

    if path.suffix.lower()[1:] not in KINDS:
        raise ConfigError(f"wanted a picture ending in .{', .'.join(KINDS)}, got {path.name!r}")
    check_writable(path)


def check_apart(source: str, output: Path | None, picture: Path | None) -> None:
    """Refuse to write over what is listened to, or two outputs to one file, under whatever names."""
    heard = Path("/dev/stdin") if source == "-" else local_path(source)
    for option, path in (("--output", output), ("--picture", picture)):
        if path is not None and heard is not None and path.is_file() and _is_same(path, heard):
            raise ConfigError(f"wanted {option} to be another file than the source, got {path}")
    if None not in (output, picture) and os.path.realpath(str(output)) == os.path.realpath(str(picture)):
        raise ConfigError(f"wanted two files as --output and --picture, got {output} as both")


def _is_same(path: Path, other: Path) -> bool:
    with suppress(OSError, ValueError):  # of a name that cannot be opened the source itself tells
        return path.samefile(other)
    return False


def rendered(format_: str, transcript: Transcript, stem: str) -> str:
    """The whole as text: rttm, srt or json."""
    match format_:
        case "rttm":
            return format_rttm(to_rttm_turns(stem, joined(transcript.turns(final=True))))
        case "srt":
            return _srt(transcript)
        case _:
            return _json(transcript, stem)


def _srt(transcript: Transcript) -> str:
    cues = [
        f"{number}\n{_srt_time(turn.segment.start)} --> {_srt_time(turn.segment.end)}\n"
        f"{turn.label if turn.name is None else turn.name}\n"
        for number, turn in enumerate(joined(transcript.turns(final=True)), start=1)
    ]
    return "\n".join(cues)


def _json(transcript: Transcript, stem: str) -> str:
    turns = joined(transcript.turns(final=True))
    spoken: Counter[str] = Counter()  # nobody speaks twice at once, as joined labels at times seem to
    for turn in turns:
        spoken[turn.label] += turn.segment.duration
    speakers = [
        {
            "speaker": s.label,
            "name": s.name,
            "seconds": _seconds(spoken[s.label]),
            "confidence": round(s.confidence, 3),
        }
        for s in transcript.speakers()
    ]
    segments = [
        {
            "start": _seconds(turn.segment.start),
            "end": _seconds(turn.segment.end),
            "speaker": turn.label,
            "name": turn.name,
            "score": round(turn.score, 3),
            "confidence": round(turn.confidence, 3),
            "overlap": turn.overlap,
        }
        for turn in turns
    ]
    whole = {
        "file": stem,
        "audio_ms": round(seconds_of(transcript.samples or 0) * 1000),
        "speakers": speakers,
        "segments": segments,
    }
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _seconds(samples: int) -> float:
    return round(seconds_of(samples), 3)


def _srt_time(samples: int) -> str:
    """Time as SRT has it.

    >>> _srt_time(16000 * 3661 + 8000)
    '01:01:01,500'
    """
    milliseconds = round(seconds_of(samples) * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{milliseconds:03d}"
