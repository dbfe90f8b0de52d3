"""The live view: a lane a speaker over the last minute, who speaks now, and a summary at the end.

It is drawn anew eight times a second on the terminal's second screen, and leaves the first one as it was.
"""

import contextlib
import io
import math
import sys
import time
from collections import Counter, deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rtspk.cli.screen import WIDE, clock, plain
from rtspk.cli.sources import Source
from rtspk.engine.events import Event, SpeakerEvent
from rtspk.transcript import Speaker, Transcript, joined
from rtspk.types import Turn, samples_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

__all__ = ["LiveView"]

SPAN: int = samples_of(60.0)  # what a lane shows
EVERY: float = 1 / 8  # s between frames
NOW: int = samples_of(1.5)  # who spoke up to here speaks: the engine answers about a second behind
NOTICES: int = 4

# Colours that stay apart for colour-blind eyes (Okabe and Ito, 2008), on dark and on light ground.
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#D55E00", "#6F8CFF", "#CC79A7", "#B8A52E", "#9C755F")
CELLS = " \u258c\u2590\u2588"  # neither half of a cell, the left, the right, both
EMPTY = "\u2500"
MARK = "\u25b6"
PLAIN = str.maketrans({**dict.fromkeys(CELLS[1:], "#"), EMPTY: "-", MARK: ">"})  # where ASCII is all there is
SUMMARY = ("first", "turns", "sure", "share", "time")  # columns, the first to go where they do not fit


class LiveView:
    """Listens to events and draws; the transcript is kept by another listener, which hears them first."""

    def __init__(self, console: "Console", source: Source, transcript: Transcript) -> None:
        from rich.live import Live

        self._console, self._source, self._transcript = console, source, transcript
        self._live = Live(
            self,
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stack = contextlib.ExitStack()
        self._log = io.StringIO()  # what others say on stderr meanwhile
        self._notices: deque[str] = deque(maxlen=NOTICES)
        self._names: dict[str, str | None] = {}
        self._colours: dict[str, int] = {}
        self._position = 0
        self._started = self._drawn = time.monotonic()
        self._begun = math.inf  # clock at the stream's beginning, as the quickest answer shows it
        self._took = 0.0

    def __enter__(self) -> Self:
        self._stack.enter_context(self._live)
        self._stack.enter_context(contextlib.redirect_stderr(self._log))
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._took = time.monotonic() - self._started
        self._stack.close()
        sys.stderr.write(self._log.getvalue())

    def hear(self, events: list[Event], position: int) -> None:
        """Take what there is to say, and draw when it is time."""
        now = time.monotonic()
        self._position = position
        self._begun = min(self._begun, now - seconds_of(position))
        for event in events:
            if isinstance(event, SpeakerEvent):
                self._notice(event)
        if now - self._drawn >= EVERY:
            self._drawn = now
            self._live.update(self, refresh=True)

    def print_summary(self) -> None:
        """Leave a table of who spoke how long."""
        from rich.measure import Measurement
        from rich.text import Text

        speakers = self._transcript.speakers()
        unbounded = self._console.options.update(max_width=WIDE)
        for kept in range(len(SUMMARY), -1, -1):
            table = self._summary(speakers, SUMMARY[len(SUMMARY) - kept :])
            if Measurement.get(self._console, unbounded, table).maximum <= self._console.width:
                break
        length = seconds_of(self._position)
        many = "1 speaker" if len(speakers) == 1 else f"{len(speakers) or 'no'} speakers"
        speed = "" if self._source.is_live or not self._took else f", {length / self._took:.1f}x real time"
        self._console.print(Text(f"{plain(self._source.name)}: {clock(length)}, {many}{speed}"))
        if speakers:
            self._console.print(table)

    def _summary(self, speakers: list[Speaker], columns: "Sequence[str]") -> "Table":
        """Who spoke how long, in these columns."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        turns: Counter[str] = Counter()
        spoken: Counter[str] = Counter()  # nobody speaks twice at once, as joined labels at times seem to
        for turn in joined(self._transcript.turns()):
            turns[turn.label] += 1
            spoken[turn.label] += turn.segment.duration
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
        table.add_column("speaker", overflow="fold", max_width=max(7, self._console.width // 3))
        shown = [column for column in ("time", "share", "turns", "first", "sure") if column in columns]
        for column in shown:
            table.add_column(column, justify="right")
        for speaker in speakers:
            values = {
                "time": clock(seconds_of(spoken[speaker.label])),
                "share": f"{spoken[speaker.label] / max(1, spoken.total()):.0%}",
                "turns": str(turns[speaker.label]),
                "first": clock(seconds_of(speaker.first)),
                "sure": f"{speaker.confidence:.0%}",
            }
            table.add_row(
                Text(plain(speaker.shown), self._style(speaker)), *(values[column] for column in shown)
            )
        return table

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        width, height = options.max_width, options.height or console.height
        notices = [*self._notices]
        if self._source.lost:
            notices.append(self._source.lost)
        logged = self._log.getvalue().splitlines()
        notices += logged[-1:]
        room = max(1, height - 4)
        notices = notices[-max(1, min(NOTICES, room // 3)) :]
        speakers = self._transcript.speakers()
        lanes = max(1, room - len(notices))
        yield self._header(width)
        yield from self._lanes(speakers, width, lanes, ascii_only=options.ascii_only)
        for text in ["", *notices]:
            yield _line(plain(text), width, "dim")

    def _header(self, width: int) -> "Text":
        length = seconds_of(self._position)
        took = time.monotonic() - self._started
        if self._source.is_live:
            lag = max(0.0, time.monotonic() - self._begun - length) if self._position else 0.0
            state = f"{clock(length)}  lag {lag:.1f} s"
        else:
            of = "" if self._source.duration is None else f" / {clock(self._source.duration)}"
            state = f"{clock(length)}{of}  {length / max(took, 0.1):.1f}x"
        left = _line(f"rtspk  {plain(self._source.name)}", max(0, width - len(state) - 1), "bold")
        left.append(f" {state}")
        return left

    def _lanes(self, speakers: list[Speaker], width: int, room: int, *, ascii_only: bool) -> "RenderResult":
        """The lanes that fit; of too many those that were heard last."""
        from rich.cells import cell_len

        if not speakers:
            yield _line("", width, "")
            yield _line("  listening ...", width, "dim")
            return
        turns = self._transcript.turns_since(self._position - SPAN)
        last = {turn.label: turn for turn in sorted(turns, key=lambda turn: turn.segment.end)}
        everyone, hidden = speakers, 0
        if len(speakers) > room:
            order = sorted(speakers, key=lambda s: last[s.label].segment.end if s.label in last else -1)
            gone = {s.label for s in order[: len(speakers) - room + 1]}
            speakers = [s for s in speakers if s.label not in gone]
            hidden = len(gone)
        spoken = sum(s.spoken for s in everyone)
        names = min(max([6, *(cell_len(plain(s.shown)) for s in speakers)]), max(6, width // 4))
        yield self._ruler(width, names)
        for speaker in speakers:
            lane = self._lane(speaker, turns, last.get(speaker.label), width, names, spoken)
            if ascii_only:
                lane.plain = lane.plain.translate(PLAIN)
            yield lane
        if hidden:
            yield _line(f"  and {hidden} more, silent for longer", width, "dim")

    def _ruler(self, width: int, names: int) -> "Text":
        lane, columns = _columns(width, names)
        heads = "".join(f" {head:>{size}}" for head, size in columns)
        begin = self._begin()
        left, right = clock(seconds_of(begin)), clock(seconds_of(begin + SPAN))
        ruler = f"{left}{right:>{max(0, lane - len(left))}}"
        return _line(f"{' ' * (names + 3)}{ruler}{heads}", width, "dim")

    def _lane(
        self, speaker: Speaker, turns: list[Turn], last: Turn | None, width: int, names: int, spoken: int
    ) -> "Text":
        from rich.cells import set_cell_size
        from rich.text import Text

        style = self._style(speaker)
        speaks = last is not None and last.segment.end > self._position - NOW
        lane, columns = _columns(width, names)
        values = {
            "sure": "" if last is None else f"{last.confidence:.0%}",
            "time": clock(seconds_of(speaker.spoken)),
            "share": f"{speaker.spoken / max(1, spoken):.0%}",
        }
        text = Text(no_wrap=True, overflow="crop")
        text.append(f"{MARK if speaks else ' '} ", style)
        text.append(set_cell_size(plain(speaker.shown), names), f"{style} reverse" if speaks else style)
        text.append(" ")
        cells = self._cells([turn for turn in turns if turn.label == speaker.label], lane)
        heard = math.ceil(lane * (self._position - self._begin()) / SPAN)
        for place, cell in enumerate(cells):
            empty = EMPTY if place < heard else " "
            text.append(
                CELLS[cell] if cell else empty, self._colour(speaker.label) if cell else "bright_black"
            )
        for head, size in columns:
            text.append(f" {values[head]:>{size}}")
        return text

    def _cells(self, turns: list[Turn], lane: int) -> list[int]:
        """For each cell of a lane whether its left half (1), its right half (2) or both (3) have speech."""
        half = max(1, SPAN // (2 * lane))
        first = -(-self._begin() // half)  # halves lie still on the stream: nothing shimmers
        cells = [0] * lane
        for turn in turns:
            begin = round(turn.segment.start / half)
            end = max(begin + 1, round(turn.segment.end / half))
            for place in range(max(begin - first, 0), min(end - first, 2 * lane)):
                cells[place // 2] |= 1 << place % 2
        return cells

    def _begin(self) -> int:
        """Where the lanes begin: they fill from the left, and then move."""
        return max(0, self._position - SPAN)

    def _notice(self, event: SpeakerEvent) -> None:
        shown = self._names.get(event.label)
        who = event.label if shown is None else f"{event.label} ({shown})"
        if event.event == "new":
            said = f"{who} is a new voice"
        elif event.event == "merged":
            said = f"{who} was {event.into} all along"
        else:
            said = (
                f"{event.label} is {event.name}"
                if event.name is not None
                else f"{event.label} is not {shown}"
            )
            self._names[event.label] = event.name
        self._notices.append(f"{clock(seconds_of(self._position)):>5}  {said}")

    def _colour(self, label: str) -> str:
        number = self._colours.setdefault(label, len(self._colours))
        return COLOURS[number % len(COLOURS)]

    def _style(self, speaker: Speaker) -> str:
        return (
            f"bold {self._colour(speaker.label)}" if speaker.name is not None else self._colour(speaker.label)
        )


def _columns(width: int, names: int) -> tuple[int, list[tuple[str, int]]]:
    """Cells of a lane, and the columns of numbers that leave it wide enough."""
    columns = [("sure", 4), ("time", 7 if width >= 70 else 5), ("share", 5)]
    for dropped in ("sure", "share", "time"):
        lane = width - names - 3 - sum(size + 1 for _, size in columns)
        if lane >= 18:
            break
        columns = [column for column in columns if column[0] != dropped]
    return max(1, width - names - 3 - sum(size + 1 for _, size in columns)), columns


def _line(text: str, width: int, style: str) -> "Text":
    from rich.cells import set_cell_size
    from rich.text import Text

    return Text(set_cell_size(text, width), style, no_wrap=True, overflow="crop")
