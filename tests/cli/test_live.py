import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from rtspk.cli import live
from rtspk.cli.live import LiveView
from rtspk.engine.events import SegmentEvent, SpeakerEvent
from rtspk.transcript import Transcript
from rtspk.types import Segment, Turn, samples_of


class Talk:
    """A source of which the view needs only its words."""

    name, stem, is_live, duration, lost = "talk.flac", "talk", False, 300.0, ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        return iter(())

    def stop(self):
        pass


class Screen:
    """A view on a terminal of a given size, and what stands on it."""

    def __init__(self, width=80, height=24, source=None, encoding="utf-8"):
        self.console = Console(
            file=io.TextIOWrapper(io.BytesIO(), encoding=encoding),
            force_terminal=True,
            width=width,
            height=height,
            color_system=None,
            legacy_windows=False,
        )
        self.transcript = Transcript()
        self.view = LiveView(self.console, source or Talk(), self.transcript)

    def hear(self, position, *events):
        self.transcript.apply_all(events)
        self.view.hear(list(events), samples_of(position))

    def lines(self):
        with self.console.capture() as caught:
            self.console.print(self.view, height=self.console.height)
        return re.sub(r"\x1b\[[0-9;]*m", "", caught.get()).rstrip("\n").split("\n")

    def lane(self, name):
        return next(line for line in self.lines() if name in line[:20])


def said(number, start, end, label, name=None, confidence=0.97):
    turn = Turn(Segment(samples_of(start), samples_of(end)), label, name, 0.5, confidence)
    return SegmentEvent(number, 1, turn, "final")


def conversation(screen, name="Anna"):
    screen.hear(
        30.0,
        SpeakerEvent("new", "S1"),
        SpeakerEvent("new", "S2"),
        said(1, 0.0, 15.0, "S1"),
        said(2, 15.0, 29.9, "S2"),
        SpeakerEvent("named", "S1", name=name),
    )


def test_each_speaker_has_a_lane_with_time_share_and_confidence():
    screen = Screen()
    conversation(screen)
    assert screen.lane("Anna").split()[-3:] == ["97%", "0:15", "50%"]
    assert "S1" not in screen.lane("Anna")
    assert screen.lane("S2").split()[-3:] == ["97%", "0:14", "50%"]


def test_a_lane_is_full_where_its_speaker_spoke_and_empty_elsewhere():
    screen = Screen()
    conversation(screen)
    blocks = "".join(c for c in screen.lane("Anna") if c in live.CELLS[1:] + live.EMPTY)
    full = sum(c in live.CELLS[1:] for c in blocks)
    assert blocks[:full] == "\u2588" * full
    assert full == pytest.approx(len(blocks) / 2, abs=1)  # 15 of the 30 s that were heard


def test_only_who_speaks_now_is_marked():
    screen = Screen()
    conversation(screen)
    assert screen.lane("S2").startswith(live.MARK)
    assert not screen.lane("Anna").startswith(live.MARK)
    screen.hear(40.0)
    assert not screen.lane("S2").startswith(live.MARK)


def test_a_lane_moves_on_and_lets_go_of_what_is_a_minute_old():
    screen = Screen()
    conversation(screen)
    screen.hear(80.0)
    assert "\u2588" not in screen.lane("Anna")
    assert "\u2588" in screen.lane("S2")
    assert "0:20" in screen.lines()[1]
    assert "1:20" in screen.lines()[1]


def test_a_terminal_that_has_no_blocks_gets_plain_signs():
    screen = Screen(encoding="latin-1")
    conversation(screen)
    assert all(line.isascii() for line in screen.lines())
    assert re.match(r"> S2 +-+#+ ", screen.lane("S2"))
    assert re.match(r"  Anna +#+-+ ", screen.lane("Anna"))


def test_corrections_are_told():
    screen = Screen()
    conversation(screen)
    screen.hear(31.0, SpeakerEvent("merged", "S2", into="S1"))
    screen.hear(32.0, SpeakerEvent("named", "S1", name=None))
    assert screen.lines()[-3:] == [
        line.ljust(80)
        for line in (" 0:30  S1 is Anna", " 0:31  S2 was S1 all along", " 0:32  S1 is not Anna")
    ]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (50, 20), (30, 10), (20, 6), (200, 60)])
@pytest.mark.parametrize(
    "name",
    [
        "Anna",
        "\u738b\u5c0f\u660e\u738b\u5c0f\u660e\u738b\u5c0f\u660e",
        "\u0645\u0631\u064a\u0645",
        "x" * 200,
        "a\x1b[2J[bold]b",
    ],
)
def test_it_fits_into_any_terminal_with_names_in_any_script(width, height, name):
    screen = Screen(width, height)
    conversation(screen, name)
    for number in range(3, 40):
        screen.hear(
            30.0 + number,
            SpeakerEvent("new", f"S{number}"),
            said(number, 29.0 + number, 30.0 + number, f"S{number}"),
        )
        lines = screen.lines()
        assert len(lines) <= height
        assert all(cell_len(line) <= width for line in lines)
        assert all("\x1b" not in line for line in lines)


def test_of_too_many_speakers_those_heard_last_are_shown_and_the_others_counted():
    screen = Screen(80, 12)
    for number in range(1, 21):
        screen.hear(2.0 * number, said(number, 2.0 * number - 2.0, 2.0 * number, f"S{number}"))
    text = "\n".join(screen.lines())
    assert "S20" in text
    assert "S1 " not in text
    shown = len(re.findall(r"^. S\d+", text, re.MULTILINE))
    assert f"and {20 - shown} more" in text


def test_lost_sound_and_warnings_are_shown_and_warnings_said_again_afterwards(capsys):
    class Lossy(Talk):
        is_live, duration, lost = True, None, "0.50 s of sound lost in 1 hole"

    screen = Screen(source=Lossy())
    with screen.view:
        import sys

        sys.stderr.write("rtspk: something odd\n")
        text = "\n".join(screen.lines())
    assert "0.50 s of sound lost" in text
    assert "something odd" in text
    assert "lag" in text
    assert capsys.readouterr().err == "rtspk: something odd\n"


def test_the_summary_says_who_spoke_how_long():
    screen = Screen()
    conversation(screen)
    with screen.console.capture() as caught:
        screen.view.print_summary()
    text = caught.get()
    assert text.startswith("talk.flac: 0:30, 2 speakers")
    assert re.search(r"Anna +0:15 +50% +1 +0:00 +97%", text)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (50, "speaker time share turns first sure"),
        (40, "speaker time share turns sure"),
        (20, "speaker time"),
    ],
)
def test_a_narrow_summary_has_fewer_columns_and_none_that_is_cut(width, columns):
    for name in ("Anna", "Anna Bell of the archive of sound"):
        screen = Screen(width)
        conversation(screen, name)
        with screen.console.capture() as caught:
            screen.view.print_summary()
        lines = [" ".join(line.split()) for line in caught.get().splitlines()]
        assert columns in lines or name != "Anna"
        assert all(cell_len(line) <= width for line in caught.get().splitlines())
        assert "\u2026" not in caught.get()
        assert all(word in caught.get() for word in (*name.split(), "0:15", "0:14"))


def test_in_the_summary_nobody_speaks_twice_at_once():
    screen = Screen()
    merged = SpeakerEvent("merged", "S2", into="S1")
    screen.hear(30.0, said(1, 0.0, 20.0, "S1"), said(2, 5.0, 25.0, "S2"), said(3, 25.0, 30.0, "S3"), merged)
    with screen.console.capture() as caught:
        screen.view.print_summary()
    assert re.search(r"S1 +0:25 +83% +1 +0:00", caught.get())


def test_a_stream_without_speech_has_a_summary_too():
    screen = Screen()
    screen.hear(3.0)
    assert "listening ..." in "\n".join(screen.lines())
    with screen.console.capture() as caught:
        screen.view.print_summary()
    assert caught.get().startswith("talk.flac: 0:03, no speakers")
