"""Read and write RTTM (who spoke when) and read UEM (what is scored); times are seconds, as in the files.

The columns are those of the NIST RT-09 evaluation plan, appendix A.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rtspk.errors import FormatError
from rtspk.files import write_atomically
from rtspk.types import Segment, Turn, samples_of, seconds_of

__all__ = [
    "ScoredRegion",
    "SpeakerTurn",
    "as_word",
    "format_rttm",
    "parse_rttm",
    "parse_uem",
    "read_rttm",
    "read_uem",
    "to_rttm_turns",
    "to_turns",
    "write_rttm",
]

# Lines that RTTM may hold beside who spoke when; they are passed over.
OTHER_TYPES = frozenset(
    {
        *("SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT"),
        *("IP", "SU", "CB", "A/P", "SPKR-INFO"),
    }
)

# What float() takes and a person would not write (1_0, nan, other scripts' digits) is no number here.
NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """One line of RTTM: in `file`, `speaker` speaks from `start` to `end`, in seconds."""

    file: str
    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class ScoredRegion:
    """One line of UEM: of `file`, what lies from `start` to `end` is scored, in seconds."""

    file: str
    start: float
    end: float


def read_rttm(path: Path) -> list[SpeakerTurn]:
    """Read the turns of an RTTM file, in the order of its lines."""
    return parse_rttm(_read_text(path, "an RTTM file"), where=str(path))


def parse_rttm(text: str, *, where: str = "RTTM") -> list[SpeakerTurn]:
    """Read the turns of RTTM text; an error says where and in which line.

    >>> parse_rttm("SPEAKER talk 1 0.500 1.250 <NA> <NA> Anna <NA> <NA>")
    [SpeakerTurn(file='talk', start=0.5, end=1.75, speaker='Anna')]
    """
    turns = []
    for place, fields in _lines_of(text, where):
        if fields[0] in OTHER_TYPES:
            continue
        if fields[0] != "SPEAKER":
            raise FormatError(f"{place}: wanted a line of type SPEAKER, got {fields[0]!r}")
        if len(fields) not in {9, 10}:  # the tenth, signal lookahead, came with RT-09
            raise FormatError(f"{place}: wanted 9 or 10 fields, got {len(fields)}")
        start = _seconds(fields[3], f"{place}: wanted a start in seconds")
        duration = _seconds(fields[4], f"{place}: wanted a duration in seconds")
        turns.append(SpeakerTurn(fields[1], start, start + duration, fields[7]))
    return turns


def format_rttm(turns: Iterable[SpeakerTurn]) -> str:
    r"""Write turns as RTTM text, by file and time, with three decimals.

    Starts and ends are rounded, not durations, so that turns that touch still touch. A turn that rounds to
    nothing is left out. Blanks in names become underscores, and what is no character a question mark; of two
    names that become one word so, the later one gets a number behind it ("Anna B" and "Anna_B": `Anna_B`,
    `Anna_B_2`).

    >>> format_rttm([SpeakerTurn("talk", 0.5, 1.75, "Anna Bell")])
    'SPEAKER talk 1 0.500 1.250 <NA> <NA> Anna_Bell <NA> <NA>\n'
    """
    lines = []
    files, speakers = _Words("file"), _Words("speaker")
    for turn in sorted(turns, key=lambda turn: (turn.file, turn.start, turn.end, turn.speaker)):
        if not (math.isfinite(turn.end) and 0 <= turn.start <= turn.end):
            raise FormatError(f"wanted a turn with 0 <= start <= end, got {turn.start} to {turn.end}")
        start, end = round(turn.start * 1000), round(turn.end * 1000)  # ms
        if end > start:
            times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
            file, speaker = files.word(turn.file), speakers.word(turn.speaker)
            lines.append(f"SPEAKER {file} 1 {times} <NA> <NA> {speaker} <NA> <NA>\n")
    return "".join(lines)


def write_rttm(path: Path, turns: Iterable[SpeakerTurn]) -> None:
    """Write turns to an RTTM file, whole or not at all."""
    write_atomically(path, format_rttm(turns).encode())


def read_uem(path: Path) -> list[ScoredRegion]:
    """Read the scored regions of a UEM file, in the order of its lines."""
    return parse_uem(_read_text(path, "a UEM file"), where=str(path))


def parse_uem(text: str, *, where: str = "UEM") -> list[ScoredRegion]:
    """Read the scored regions of UEM text; an error says where and in which line.

    >>> parse_uem("talk 1 0.000 30.000")
    [ScoredRegion(file='talk', start=0.0, end=30.0)]
    """
    regions = []
    for place, fields in _lines_of(text, where):
        if len(fields) != 4:
            raise FormatError(f"{place}: wanted 4 fields (file, channel, start, end), got {len(fields)}")
        start = _seconds(fields[2], f"{place}: wanted a start in seconds")
        end = _seconds(fields[3], f"{place}: wanted an end in seconds")
        if end <= start:
            raise FormatError(f"{place}: wanted an end after the start {start}, got {end}")
        regions.append(ScoredRegion(fields[0], start, end))
    return regions


def as_word(name: str) -> str:
    """A name as RTTM has it, where no other name is written so.

    >>> as_word("Anna Bell")
    'Anna_Bell'
    """
    return re.sub(r"\s", "_", name).encode("utf-8", "replace").decode()


def to_rttm_turns(file: str, turns: Iterable[Turn]) -> list[SpeakerTurn]:
    """Turns of the engine as RTTM has them: the enrolled name where there is one, else the label.

    Nobody speaks twice at once: what turns of one speaker share stands in the first of them alone.
    """
    out = []
    said: dict[str, int] = {}  # where each speaker's turns end
    for turn in sorted(turns, key=lambda turn: (turn.segment.start, turn.segment.end)):
        speaker = turn.label if turn.name is None else turn.name
        start, end = max(turn.segment.start, said.get(speaker, 0)), turn.segment.end
        if start < end:
            out.append(SpeakerTurn(file, seconds_of(start), seconds_of(end), speaker))
            said[speaker] = end
    return out


def to_turns(turns: Iterable[SpeakerTurn]) -> list[Turn]:
    """Turns of RTTM as the engine has them: the speaker is the label, certain, and has no enrolled name."""
    return [
        Turn(Segment(samples_of(turn.start), samples_of(turn.end)), turn.speaker, None, 1.0, 1.0)
        for turn in turns
    ]


def _read_text(path: Path, wanted: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"wanted {wanted} in UTF-8, got other bytes in {path}") from error
    except OSError as error:
        raise FormatError(f"wanted {wanted}, got {error.strerror or error}: {path}") from error


def _lines_of(text: str, where: str) -> Iterator[tuple[str, list[str]]]:
    """Give the place and the fields of each line that is neither blank nor a comment."""
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if fields and not fields[0].startswith(";;"):
            yield f"{where}, line {number}", fields


def _seconds(field: str, wanted: str) -> float:
    value = float(field) if NUMBER.fullmatch(field) else math.inf
    if math.isinf(value):
        raise FormatError(f"{wanted}, 0 or more, got {field!r}")
    return value


class _Words:
    """Names as single words, each name another word."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._words: dict[str, str] = {}

    def word(self, name: str) -> str:
        """The word of a name."""
        if not name:
            raise FormatError(f"wanted a name for the {self._what}, got an empty one")
        if name not in self._words:
            plain = as_word(name)
            numbered = (f"{plain}_{number}" for number in itertools.count(2))
            taken = set(self._words.values())
            self._words[name] = next(word for word in itertools.chain([plain], numbered) if word not in taken)
        return self._words[name]
