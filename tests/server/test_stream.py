"""One client's stream by hand, its portions done at a desk: no sockets, no threads, any clock."""

import numpy as np
import pytest

from rtspk.engine.settings import HOP, SessionConfig
from rtspk.errors import AudioError
from rtspk.server.config import Limits
from rtspk.server.desk import Desk
from rtspk.server.messages import AudioFormat, EndRequest, Flush, Options, Start
from rtspk.server.stream import Stream


@pytest.fixture
def make():
    def stream(encoding="f32le", rate=16000, channels=1, pace="live", **limits):
        format_ = AudioFormat(encoding=encoding, rate=rate, channels=channels)
        start = Start(format=format_, options=Options(pace=pace))
        return Stream("number", "owner", start, SessionConfig(), Limits(**limits))

    return stream


def seconds(number, width=4):
    return bytes(round(number * 16000) * width)


@pytest.fixture
def desk(engine):
    return Desk(engine)


def do(stream, portion, desk):
    """Do one portion; returns the events as JSON."""
    work = desk.work([portion])
    (outcome,) = work.outcomes
    stream.give_back(outcome.heard, work.seconds)
    assert outcome.failure is None
    return [event.to_json() for event in outcome.events]


def work(stream, desk):
    """Do all that waits; returns the events as JSON."""
    events = []
    while stream.is_ready():
        events += do(stream, stream.take(), desk)
    return events


@pytest.mark.parametrize("size", [7, 1000, 3200, 48000])
def test_any_cut_of_the_bytes_gives_the_events_of_a_local_session(
    make, desk, conversation, local_events, size
):
    stream, data = make(pace="file"), conversation.astype("<f4").tobytes()
    events = []
    for at in range(0, len(data), size * 4 + 1):  # also within a sample
        stream.receive(data[at : at + size * 4 + 1], 0.0)
        if at % 5 == 0:
            events += work(stream, desk)
    stream.order(EndRequest())
    events += work(stream, desk)
    assert events == local_events


def test_what_may_wait_is_bounded_in_bytes_too_and_is_always_enough_to_work_on(make):
    assert make().backlog_seconds == 10.0
    many = make(rate=384_000, channels=32)
    assert many.backlog_seconds * 384_000 * 32 * 4 < 64 << 20
    many.receive(bytes(4 * 32 * round(384_000 * many.backlog_seconds / 2)), 0.0)
    assert many.is_ready()


def test_work_waits_for_a_whole_hop_or_an_order(make, desk):
    stream = make()
    stream.receive(bytes(4 * (HOP - 100)), 0.0)
    assert not stream.is_ready()
    stream.receive(bytes(4 * 100), 0.0)
    assert stream.is_ready()
    work(stream, desk)
    stream.receive(bytes(4 * (HOP - 1)), 0.0)
    assert not stream.is_ready()
    stream.order(Flush())
    assert stream.is_ready()


def test_a_stream_that_a_worker_has_is_not_given_to_another(make):
    stream = make()
    stream.receive(seconds(1.0), 0.0)
    stream.take()
    stream.receive(seconds(1.0), 0.0)
    assert not stream.is_ready()
    stream.give_back(16000, 0.1)
    assert stream.is_ready()


def test_one_turn_is_short_however_much_waits(make):
    stream = make(pace="file")
    stream.receive(seconds(20.0), 0.0)
    assert stream.take().seconds <= 1.5


def test_received_counts_whole_samples_and_half_a_one_is_forgotten_on_a_new_connection(make):
    stream = make("s16le", channels=2)
    stream.receive(bytes(4 * 100 + 3), 0.0)
    assert stream.received == 100
    stream.rewind()
    stream.receive(bytes(4 * 10), 0.0)
    assert stream.received == 110


def test_an_empty_opus_message_is_refused(make):
    with pytest.raises(AudioError):
        make("opus", 48000).receive(b"", 0.0)


def test_live_sound_that_waited_too_long_becomes_a_hole_of_its_length(make, desk):
    stream = make(lag_seconds=3.0)
    for n in range(80):
        stream.receive(np.full(1600, 0.01, "<f4").tobytes(), n / 10)
    dropped = stream.shed(8.0, "drop-oldest")
    assert dropped == pytest.approx(6.5, abs=0.11)
    assert stream.shed(8.0, "drop-oldest") == 0.0
    assert stream.waiting_seconds == pytest.approx(8.0)
    work(stream, desk)
    assert stream.heard == 8 * 16000
    assert stream.lost_seconds == dropped


def test_sound_that_waits_too_long_ends_the_session_where_that_is_the_policy(make):
    stream = make(lag_seconds=3.0)
    stream.receive(seconds(1.0), 0.0)
    assert stream.shed(2.9, "close") == 0.0
    assert stream.shed(3.1, "close") is None


def test_a_server_that_cannot_even_keep_up_with_holes_ends_the_session(make):
    stream = make(lag_seconds=3.0)
    for n in range(200):
        stream.receive(seconds(0.1), n / 10)
        if stream.shed(n / 10, "drop-oldest") is None:
            break
    else:
        pytest.fail("the wait grew without bound")
    assert n / 10 < 20


@pytest.mark.parametrize("pause", [4.0, 10.0, 300.0])
@pytest.mark.parametrize("before", [5.0, 5.3])
def test_who_sends_nothing_for_a_while_loses_nothing_and_the_server_is_not_late(make, desk, before, pause):
    stream = make(lag_seconds=3.0)
    stream.receive(seconds(before), 0.0)
    work(stream, desk)
    assert stream.lag(pause) == 0.0
    for n in range(10):
        stream.receive(seconds(0.1), pause + n / 10)
        assert stream.shed(pause + n / 10, "drop-oldest") == 0.0
        assert stream.lag(pause + n / 10) < 1.0


def test_at_twice_the_load_that_is_carried_lag_stays_bounded_and_half_of_the_sound_is_told_as_lost(
    make, desk
):
    """A minute by a clock of our own: a second of sound costs two seconds of work, a hole next to nothing."""
    stream, piece = make(lag_seconds=3.0), np.full(1600, 0.01, "<f4").tobytes()
    told, worst, busy_until, end = 0.0, 0.0, 0.0, 60
    for n in range(end * 10):
        now = n / 10
        stream.receive(piece, now)
        lost = stream.shed(now, "drop-oldest")
        assert lost is not None
        told += lost
        worst = max(worst, stream.lag(now))
        if now >= busy_until and stream.is_ready():
            portion = stream.take()
            sound = sum(part.seconds for part in portion.pieces if part.data is not None)
            busy_until = now + 2.0 * sound + 0.01 * (portion.seconds - sound)
            do(stream, portion, desk)
    assert 1.5 < worst < 6.0  # a hole is as old as the sound it was, until its turn comes
    assert told == pytest.approx(stream.lost_seconds)
    assert 0.4 * end < told < 0.6 * end
    work(stream, desk)
    assert stream.heard == end * 16000


def test_a_file_is_never_shed(make):
    stream = make(pace="file")
    stream.receive(seconds(5.0), 0.0)
    assert stream.shed(1000.0, "close") == 0.0


def test_a_burst_that_is_worked_off_in_time_is_not_shed(make):
    stream = make()
    stream.receive(seconds(9.0), 100.0)
    assert stream.shed(100.1, "drop-oldest") == 0.0


def test_lag_is_for_how_long_there_is_work_and_nothing_where_there_is_none(make):
    stream = make()
    stream.receive(bytes(4 * (HOP - 100)), 10.0)
    assert stream.lag(11.0) == 0.0
    stream.receive(bytes(4 * 200), 10.5)
    assert stream.lag(11.0) == pytest.approx(0.5)
