"""Lanes of streams in front of workers: who waits together goes together, a worker's fault is its own."""

import asyncio
import threading

import pytest

from rtspk.engine.settings import HOP, SessionConfig
from rtspk.server.config import Limits
from rtspk.server.messages import AudioFormat, Options, Start
from rtspk.server.rounds import Rounds
from rtspk.server.stream import Stream
from rtspk.server.workers import ThreadWorker, WorkerError


@pytest.fixture
def make():
    def stream(number, pace="live"):
        start = Start(format=AudioFormat(encoding="f32le"), options=Options(pace=pace))
        return Stream(str(number), "owner", start, SessionConfig(), Limits())

    return stream


def rounds_of(workers, streams, count, meanwhile=None):
    """Let workers do a second of sound of each stream, until so many results came; returns these by round."""
    seen = []

    async def serve():
        done = asyncio.Event()

        def finish(round_):
            seen.append(round_.results)
            if sum(map(len, seen)) == count:
                done.set()

        rounds = Rounds(workers, 16, 0.0, finish)
        for stream in streams:
            rounds.join(stream)
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
        if meanwhile is not None:
            assert rounds.waiting == len(streams) - len(workers)
            await asyncio.to_thread(meanwhile)
        async with asyncio.timeout(30):
            await done.wait()
        await asyncio.to_thread(rounds.close)

    asyncio.run(serve())
    return seen


class Held(ThreadWorker):
    """Waits for the others before its first round."""

    def __init__(self, engine, barrier):
        super().__init__(engine)
        self._barrier = barrier
        self._first = True

    def work(self, portions, gone):
        if self._first:
            self._first = False
            self._barrier.wait()
        return super().work(portions, gone)


def test_streams_that_wait_share_a_round_and_all_workers_work(make, engine):
    """The deadline alone starts nothing while workers are busy; what waits then goes together."""
    both = threading.Barrier(3, timeout=30)
    workers = [Held(engine, both) for _ in range(2)]
    seen = rounds_of(workers, [make(n) for n in range(10)], 10, meanwhile=both.wait)
    assert sorted(len(results) for results in seen) == [1, 1, 4, 4]
    assert len({one.stream.number for results in seen for one in results}) == 10


def test_a_stream_that_leaves_while_it_waits_is_never_worked_on(make, engine):
    begun, go_on, done = threading.Event(), threading.Event(), []

    class Slow(ThreadWorker):
        def work(self, portions, gone):
            done.append(([portion.number for portion in portions], list(gone)))
            begun.set()
            assert go_on.wait(30)
            return super().work(portions, gone)

    async def serve():
        said = asyncio.Event()
        rounds = Rounds([Slow(engine)], 16, 0.0, lambda _: said.set())
        streams = [make(n) for n in range(3)]
        for stream in streams:
            rounds.join(stream)
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
        assert await asyncio.to_thread(begun.wait, 30)
        rounds.leave(streams[1])
        assert rounds.waiting == 1
        go_on.set()
        while len(done) < 2:
            said.clear()
            async with asyncio.timeout(30):
                await said.wait()
        await asyncio.to_thread(rounds.close)

    asyncio.run(serve())
    assert done == [(["0"], []), (["2"], ["1"])]


def test_live_streams_go_before_files_of_which_a_few_go_in_each_round(make, engine):
    begun, go_on, done = threading.Event(), threading.Event(), []

    class Slow(ThreadWorker):
        def work(self, portions, gone):
            done.append([portion.number for portion in portions])
            begun.set()
            assert go_on.wait(30)
            return super().work(portions, gone)

    async def serve():
        said = asyncio.Event()
        rounds = Rounds([Slow(engine)], 3, 0.0, lambda _: said.set())
        files = [make(f"file {n}", "file") for n in range(7)]
        live = [make(f"live {n}") for n in range(4)]
        for stream in [*files[:6], *live, files[6]]:
            rounds.join(stream)
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
        assert await asyncio.to_thread(begun.wait, 30)
        rounds.leave(files[6])
        go_on.set()
        while sum(map(len, done)) < 10:
            said.clear()
            async with asyncio.timeout(30):
                await said.wait()
        await asyncio.to_thread(rounds.close)

    asyncio.run(serve())
    assert done == [
        ["file 0"],
        ["live 0", "live 1", "live 2", "file 1", "file 2"],
        ["live 3", "file 3", "file 4"],
        ["file 5"],
    ]


def test_files_alone_fill_their_rounds(make, engine):
    both = threading.Barrier(2, timeout=30)
    files = [make(n, "file") for n in range(8)]
    seen = rounds_of([Held(engine, both)], files, 8, meanwhile=both.wait)
    assert [len(results) for results in seen] == [1, 7]


class Failing(ThreadWorker):
    """Fails as a whole, once."""

    def __init__(self, engine):
        super().__init__(engine)
        self._failed = False

    def work(self, portions, gone):
        if portions and not self._failed:
            self._failed = True
            raise WorkerError("a fault of ours")
        return super().work(portions, gone)


def test_a_round_that_breaks_as_a_whole_ends_its_streams_and_no_later_ones(make, engine):
    (torn,), (whole,) = rounds_of([Failing(engine)], [make("torn"), make("whole")], 2)
    assert (torn.stream.number, torn.outcome.failure.code) == ("torn", "internal")
    assert (whole.stream.number, whole.outcome.failure) == ("whole", None)


def test_a_worker_that_failed_gets_no_new_streams_until_it_works_again(make, engine, monkeypatch):
    monkeypatch.setattr("rtspk.server.lane.AGAIN_SECONDS", 0.0)
    mended, tried, done = threading.Event(), threading.Semaphore(0), []

    class Torn(ThreadWorker):
        def work(self, portions, gone):
            tried.release()
            if not mended.is_set():
                raise WorkerError("a fault of ours")
            done.append([portion.number for portion in portions])
            return super().work(portions, gone)

    async def serve():
        said, streams = asyncio.Event(), [make(n) for n in range(3)]
        rounds = Rounds([Torn(engine), ThreadWorker(engine)], 16, 0.0, lambda _: said.set())
        torn, whole = rounds._lanes

        async def speak(stream):
            said.clear()
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
            async with asyncio.timeout(30):
                await said.wait()

        rounds.join(streams[0])
        await speak(streams[0])
        rounds.leave(streams[0])
        rounds.join(streams[1])
        assert (torn.failing, whole.streams) == (True, {"1"})
        for _ in range(4):  # again and again
            assert await asyncio.to_thread(tried.acquire, timeout=30)
        mended.set()
        async with asyncio.timeout(30):
            while torn.failing:
                said.clear()
                await said.wait()
        rounds.join(streams[2])
        assert torn.streams == {"2"}
        await speak(streams[2])
        await asyncio.to_thread(rounds.close)

    asyncio.run(serve())
    assert done[-1] == ["2"]
    assert done[:-1] == [[]] * len(done[:-1])


def test_a_stream_keeps_its_worker_and_a_new_one_gets_the_worker_that_has_fewest(make, engine):
    done = []

    class Noting(ThreadWorker):
        def work(self, portions, gone):
            done.append((self, [portion.number for portion in portions], list(gone)))
            return super().work(portions, gone)

    async def serve():
        first, second = Noting(engine), Noting(engine)
        rounds = Rounds([first, second], 16, 0.0, lambda _: said.set())
        said, streams = asyncio.Event(), [make(n) for n in range(4)]

        async def speak(stream):
            said.clear()
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
            async with asyncio.timeout(30):
                await said.wait()

        for stream in streams[:3]:
            rounds.join(stream)
            await speak(stream)
        for leaving in (streams[0], streams[2]):
            said.clear()
            rounds.leave(leaving)
            async with asyncio.timeout(30):
                await said.wait()
        rounds.join(streams[3])
        await speak(streams[3])
        await speak(streams[1])
        rounds.ready(streams[0])  # it is nobody's any more
        await asyncio.to_thread(rounds.close)
        return first, second

    first, second = asyncio.run(serve())
    assert done == [
        (first, ["0"], []),
        (second, ["1"], []),
        (first, ["2"], []),
        (first, [], ["0"]),
        (first, [], ["2"]),
        (first, ["3"], []),
        (second, ["1"], []),
    ]
