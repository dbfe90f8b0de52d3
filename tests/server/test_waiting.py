"""Streams that wait: who came first goes first, and files go between live ones, a few at a time."""

import pytest

from rtspk.engine.settings import SessionConfig
from rtspk.server.config import Limits
from rtspk.server.messages import AudioFormat, Options, Start
from rtspk.server.stream import Stream
from rtspk.server.waiting import FILES, Waiting


def stream(number: str, pace: str) -> Stream:
    start = Start(format=AudioFormat(encoding="f32le"), options=Options(pace=pace))
    return Stream(number, "owner", start, SessionConfig(), Limits())


@pytest.fixture
def waiting() -> Waiting:
    """Four files and three live streams, in turn, one a second."""
    waiting = Waiting()
    for second in range(7):
        waiting.add(stream(str(second), "live" if second % 2 else "file"), float(second))
    return waiting


def taken(waiting: Waiting, most: int, *, has_live: bool) -> list[str]:
    return [one.number for one in waiting.take(most, has_live=has_live)]


def test_live_streams_go_first_with_a_few_files_beside_them(waiting):
    assert taken(waiting, 2, has_live=True) == ["1", "3", "0", "2"]
    assert taken(waiting, 2, has_live=True) == ["5", "4", "6"]
    assert (taken(waiting, 2, has_live=True), len(waiting)) == ([], 0)


def test_where_nobody_is_live_files_fill_the_round(waiting):
    assert len(taken(waiting, 16, has_live=False)) == 7
    assert FILES < 3
    for second in range(3):
        waiting.add(stream(str(second), "file"), float(second))
    assert taken(waiting, 3, has_live=False) == ["0", "1", "2"]


def test_the_first_of_all_has_waited_longest_of_whatever_kind(waiting):
    assert waiting.since == 0.0
    taken(waiting, 1, has_live=True)
    assert waiting.since == 2.0
    taken(waiting, 1, has_live=True)
    assert waiting.since == 4.0


@pytest.mark.parametrize("pace", ["live", "file"])
def test_who_leaves_waits_no_more_and_leaving_twice_is_no_matter(waiting, pace):
    one = stream("7", pace)
    waiting.add(one, 7.0)
    assert one in waiting
    for _ in range(2):
        waiting.remove(one)
        assert one not in waiting
        assert len(waiting) == 7
    assert "7" not in taken(waiting, 16, has_live=False)


def test_after_clearing_nobody_waits(waiting):
    waiting.clear()
    assert (len(waiting), taken(waiting, 16, has_live=False)) == (0, [])
