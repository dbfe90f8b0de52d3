"""Draw who spoke when: one lane a speaker, names in bold, the truth above where it is known."""

import math
import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtspk.assignment import assign
from rtspk.errors import ConfigError
from rtspk.files import bytes_of, write_atomically
from rtspk.types import Segment, Turn, clock, seconds_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_timeline"]

KINDS = ("png", "svg", "pdf")

# Six colours that stay apart for colour-blind eyes (Okabe and Ito, 2008, without yellow and black: the one is
# faint on white, the other heavy) and a brown. Further speakers take them again, lighter and then darker.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C6D31")
SHADES = ((0.0, 1.0), (0.5, 1.0), (0.4, 0.0))  # how much to mix in, of white (1) or black (0)
INK, FAINT, BAND = "#22272E", "#68707A", "#F2F4F6"

LONGEST_NAME = 22  # characters of a name that are shown
LONGEST_TITLE = 80
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # s between marks of the time axis
MOST_TICKS = 12
NO_SIGN = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # what neither a font nor SVG has
LEAST_ROWS = 3.0  # so that a single speaker is no wall of colour

# Fonts that know the scripts that matplotlib's own does not; those that the machine has are tried in turn.
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Segoe UI",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Nirmala UI",
    "WenQuanYi Zen Hei",
    "Unifont",
)


@dataclass(frozen=True, slots=True)
class _Lane:
    """One speaker of one side: turns that touch or overlap are one stretch."""

    name: str
    enrolled: bool
    stretches: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Lanes below one heading, with the number of each one's colour."""

    heading: str
    lanes: Sequence[_Lane]
    colours: Sequence[int]


def draw_timeline(
    turns: Sequence[Turn],
    path: Path,
    *,
    title: str,
    caption: str = "",
    reference: Sequence[Turn] | None = None,
    end: int | None = None,
) -> None:
    """Draw turns as a picture, 1200 pixels wide and at least 400 high.

    Lanes follow in the order in which speakers are first heard, with how long each speaks. A dark line under
    a bar says that somebody else speaks at the same time. A reference speaker has the colour of the speaker
    that shares most time with it, so that agreement is seen.

    Args:
        turns: who spoke when; a turn with a name stands in the lane of that name, in bold.
        path: where to; a file ending in .png, .svg or .pdf.
        title: stands above the picture.
        caption: stands below it, such as how the answer was scored.
        reference: the truth, drawn above the answer.
        end: where the time axis ends, in samples; behind the last turn where it is not said.
    """
    kind = path.suffix.lower()[1:]
    if kind not in KINDS:
        raise ConfigError(f"wanted a picture ending in .{', .'.join(KINDS)}, got {path.name!r}")
    answer = _lanes(turns)
    truth = _lanes(reference or ())
    last = max([end or 0, *(lane.stretches[-1].end for lane in (*answer, *truth))])
    groups = [_Group("", answer, _colours_of(answer))]
    if reference is not None:
        groups[0] = _Group("Answer", answer, groups[0].colours)
        groups.insert(0, _Group("Reference", truth, _matched_colours(truth, answer)))
    write_atomically(path, _render(groups, max(seconds_of(last), 1.0), title, caption, kind))


def _lanes(turns: Sequence[Turn]) -> list[_Lane]:
    """One lane for each name, or label without a name, in the order of their first turns."""
    stretches: dict[tuple[str, bool], list[Segment]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.segment.start, turn.segment.end)):
        if turn.segment.duration > 0:
            key = (turn.label, False) if turn.name is None else (turn.name, True)
            own = stretches.setdefault(key, [])
            if own and turn.segment.start <= own[-1].end:
                own[-1] = Segment(own[-1].start, max(own[-1].end, turn.segment.end))
            else:
                own.append(turn.segment)
    return [_Lane(name, enrolled, tuple(own)) for (name, enrolled), own in stretches.items()]


def _shared(one: _Lane, other: _Lane) -> list[Segment]:
    """Where both speak, in order of time."""
    found = []
    i = j = 0
    while i < len(one.stretches) and j < len(other.stretches):
        a, b = one.stretches[i], other.stretches[j]
        if a.overlap(b):
            found.append(Segment(max(a.start, b.start), min(a.end, b.end)))
        if a.end <= b.end:
            i += 1
        else:
            j += 1
    return found


def _colours_of(lanes: Sequence[_Lane]) -> list[int]:
    return list(range(len(lanes)))


def _matched_colours(lanes: Sequence[_Lane], others: Sequence[_Lane]) -> list[int]:
    """For each lane the number of the other lane that it belongs to, or one that no other lane has."""
    shared = np.array(
        [[sum(part.duration for part in _shared(lane, other)) for other in others] for lane in lanes],
        dtype=np.float64,
    ).reshape(len(lanes), len(others))
    paired = {row: column for row, column in assign(-shared) if shared[row, column] > 0}
    free = iter(range(len(others), len(others) + len(lanes)))
    return [paired[row] if row in paired else next(free) for row in range(len(lanes))]


def _render(groups: Sequence[_Group], seconds: float, title: str, caption: str, kind: str) -> bytes:
    """Make the picture's bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.text import Text

    # Units of height: a lane is 1, a heading 0.8.
    rows = sum(len(group.lanes) + (0.8 if group.heading else 0.0) for group in groups)
    height = max(4.0, 1.4 + 0.42 * rows)  # inches
    layout = ConstrainedLayoutEngine(w_pad=0.16, h_pad=0.14)  # inches
    figure = Figure(figsize=(12.0, height), dpi=100, layout=layout, facecolor="white")
    axes = figure.add_subplot()
    _draw_lanes(axes, groups, seconds)
    _draw_axis(axes, seconds)
    family = _fonts()
    title = _shortened(" ".join(title.split()), LONGEST_TITLE)
    axes.set_title(title, loc="left", fontsize=15, fontweight="bold", color=INK, pad=12, parse_math=False)
    axes.set_xlabel(caption, loc="left", fontsize=9.5, color=FAINT, labelpad=8, parse_math=False)
    for text in figure.findobj(Text):
        text.set_fontfamily(family)
    # SVG keeps its letters, so that a browser with more fonts shows every script; and no date, so that
    # the same turns give the same file.
    letters = mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rtspk"})
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with letters, warnings.catch_warnings():
        # A name may be in a script that no font here has: a box in its place is no reason for a warning.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from", category=UserWarning)
        warnings.filterwarnings(
            "ignore", message=r"Matplotlib currently does not support", category=UserWarning
        )
        return bytes_of(lambda file: figure.savefig(file, format=kind, metadata=metadata))


def _draw_lanes(axes: "Axes", groups: Sequence[_Group], seconds: float) -> None:
    places: list[float] = []
    lanes: list[_Lane] = []
    y = 0.0
    crowded = False
    for group in groups:
        if group.heading:
            axes.text(0, y + 0.5, group.heading, fontsize=9.5, color=FAINT, va="center", ha="left")
            y += 0.8
        for number, (lane, colour) in enumerate(zip(group.lanes, group.colours, strict=True)):
            others = [other for place, other in enumerate(group.lanes) if place != number]
            both = [part for other in others for part in _shared(lane, other)]
            _draw_lane(axes, y, lane, both, _paint(colour))
            crowded = crowded or bool(both)
            places.append(y + 0.46)
            lanes.append(lane)
            y += 1.0
        y += 0.25
    if crowded:
        axes.set_title("\u25ac several at once", loc="right", fontsize=9.5, color=FAINT, pad=12)
    if not lanes:
        axes.text(seconds / 2, 0.5, "no speech", fontsize=13, color=FAINT, ha="center", va="center")
    axes.set_yticks(places, [_shortened(lane.name, LONGEST_NAME) for lane in lanes])
    for text, lane in zip(axes.get_yticklabels(), lanes, strict=True):
        text.set(
            parse_math=False,
            fontsize=11,
            color=INK if lane.enrolled else FAINT,
            fontweight="bold" if lane.enrolled else "normal",
        )
    axes.set_ylim(max(y - 0.2, LEAST_ROWS), 0.06)


def _draw_lane(
    axes: "Axes", y: float, lane: _Lane, both: Sequence[Segment], colour: tuple[float, float, float]
) -> None:
    """One speaker's stretches from `y` on, a line above those in which others speak too, and their time."""
    axes.axhspan(y + 0.06, y + 0.94, facecolor=BAND, linewidth=0, zorder=0)
    axes.broken_barh(
        [(seconds_of(part.start), seconds_of(part.duration)) for part in lane.stretches],
        (y + 0.16, 0.56),
        facecolor=colour,
        edgecolor=colour,  # so that the shortest turn is still a line
        linewidth=0.8,
        zorder=2,
    )
    axes.broken_barh(
        [(seconds_of(part.start), seconds_of(part.duration)) for part in both],
        (y + 0.78, 0.1),
        facecolor=INK,
        linewidth=0,
        zorder=3,
    )
    spoken = seconds_of(sum(part.duration for part in lane.stretches))
    axes.text(
        1.008,
        y + 0.46,
        f"{spoken:.1f} s" if spoken < 10 else clock(round(spoken)),
        transform=axes.get_yaxis_transform(),
        fontsize=10,
        color=FAINT,
        va="center",
    )


def _paint(colour: int) -> tuple[float, float, float]:
    """Red, green and blue of the colour of this number, each from 0 to 1."""
    value = COLOURS[colour % len(COLOURS)]
    share, towards = SHADES[colour // len(COLOURS) % len(SHADES)]
    red, green, blue = (
        (1 - share) * int(value[place : place + 2], 16) / 255 + share * towards for place in (1, 3, 5)
    )
    return red, green, blue


def _draw_axis(axes: "Axes", seconds: float) -> None:
    """Marks in minutes and seconds, as many as stay readable."""
    apart = next((tick for tick in TICKS if seconds / tick <= MOST_TICKS), TICKS[-1])
    while seconds / apart > MOST_TICKS:
        apart *= 2
    marks = range(0, math.floor(seconds) + 1, apart)
    axes.set_xlim(0, seconds)
    axes.set_xticks(list(marks), [clock(mark) for mark in marks])
    axes.tick_params(axis="x", length=0, labelsize=10, labelcolor=INK, pad=6)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.grid(axis="x", color="#D8DCE1", linewidth=0.8, zorder=1)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _shortened(text: str, width: int) -> str:
    """As much of a text as fits into this many characters; wide ones take the place of two.

    What is no sign, as the bytes of a file's name may be none, is shown as such.

    >>> _shortened("Anna", 8), _shortened("Bartholomew", 8)
    ('Anna', 'Barthol…')
    """
    text = NO_SIGN.sub("\ufffd", text)
    widths = np.cumsum([1 + (unicodedata.east_asian_width(character) in "WF") for character in text])
    if not len(widths) or widths[-1] <= width:
        return text
    return text[: int(np.searchsorted(widths, width - 1, side="right"))].rstrip() + "\u2026"


def _fonts() -> list[str]:
    """Those of our fonts that this machine has: asking for others would be logged."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [font for font in FONTS if font in installed] or ["sans-serif"]
