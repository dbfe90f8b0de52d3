"""Work of many streams in rounds: their windows go through the network together, off the event loop.

A stream that has work waits a moment for others; a free thread takes those that wait, and while all threads
are busy the next round grows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from rtspk.engine.embedder import Embedder
from rtspk.engine.events import Event
from rtspk.errors import AudioError
from rtspk.server.messages import Error
from rtspk.server.stream import Stream, Turn
from rtspk.types import Embedding, Window

__all__ = ["Outcome", "Round", "Rounds", "run_round"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What came of one stream's turn."""

    stream: Stream
    turn: Turn
    events: list[Event] = field(default_factory=list)
    failure: Error | None = None


@dataclass(slots=True)
class Round:
    """What came of a round, and what it cost."""

    outcomes: list[Outcome]
    windows: int = 0
    batches: list[int] = field(default_factory=list)  # windows in each call of the network
    seconds: float = 0.0


def run_round(turns: Sequence[tuple[Stream, Turn]], embedder: Embedder) -> Round:
    """Work on the turns of several streams; what one of them does wrong ends that one alone."""
    begin = time.perf_counter()
    round_ = Round([Outcome(stream, turn) for stream, turn in turns])
    for outcome in round_.outcomes:
        _guarded(outcome, lambda one: one.stream.hear(one.turn))
    _answer(round_, embedder)
    for outcome in round_.outcomes:
        _guarded(outcome, lambda one: one.stream.obey(one.turn))
    _answer(round_, embedder)
    for outcome in round_.outcomes:
        outcome.events = outcome.stream.session.events_to_send()
    round_.seconds = time.perf_counter() - begin
    sound = sum(turn.seconds for _, turn in turns)
    for stream, turn in turns:
        stream.worked_seconds += round_.seconds * (turn.seconds / sound if sound else 1 / len(turns))
    return round_


def _lost(turns: Sequence[tuple[Stream, Turn]], error: BaseException) -> Round:
    """A round that broke as a whole: its streams end, and no others."""
    _log.warning("a round of %d sessions ended by %s", len(turns), type(error).__name__)
    failure = Error(code="internal", message="the server failed at this session")
    return Round([Outcome(stream, turn, failure=failure) for stream, turn in turns])


def _answer(round_: Round, embedder: Embedder) -> None:
    """Give all streams their embeddings, until none wants any more."""
    while True:
        asked: list[tuple[Outcome, list[Window]]] = []
        for outcome in round_.outcomes:
            windows = [] if outcome.failure else outcome.stream.session.windows_to_embed()
            if windows:
                asked.append((outcome, windows))
        if not asked:
            return
        batch = [window for _, windows in asked for window in windows]
        round_.windows += len(batch)
        round_.batches.append(len(batch))
        try:
            answers = embedder.embed(batch)
        except Exception:  # one of them is to blame: each by itself
            for outcome, windows in asked:
                _guarded(outcome, partial(_ask, windows=windows, embedder=embedder))
            continue
        for outcome, windows in asked:
            own, answers = answers[: len(windows)], answers[len(windows) :]
            _guarded(outcome, partial(_receive, answers=own))


def _ask(outcome: Outcome, windows: list[Window], embedder: Embedder) -> None:
    _receive(outcome, embedder.embed(windows))


def _receive(outcome: Outcome, answers: list[Embedding]) -> None:
    outcome.stream.session.receive_embeddings(answers)


def _guarded(outcome: Outcome, work: Callable[[Outcome], None]) -> None:
    """Do a stream's work; a failure is told in our own words, and the log gets its kind, never its sound."""
    if outcome.failure:
        return
    try:
        work(outcome)
    except AudioError as error:
        outcome.failure = Error(code="bad_audio", message=" ".join(str(error).split()))
    except Exception as error:  # whatever it is, the other streams go on
        _log.warning("session %s ended by %s", outcome.stream.number, type(error).__name__)
        outcome.failure = Error(code="internal", message="the server failed at this session")


class Rounds:
    """Lives on the event loop; only `run_round` runs elsewhere."""

    def __init__(
        self, embedder: Embedder, threads: int, largest: int, deadline: float, done: Callable[[Round], None]
    ) -> None:
        self._embedder, self._largest, self._deadline, self._done = embedder, largest, deadline, done
        self._pool = ThreadPoolExecutor(threads, "rtspk-round")
        self._threads, self._idle = threads, threads
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, Stream]] = deque()
        self._queued: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Streams whose turn has not come."""
        return len(self._queue)

    def now(self) -> float:
        """Seconds by the loop's clock, which is everybody's here."""
        return self._loop.time()

    def ready(self, stream: Stream) -> None:
        """A stream may have work."""
        if stream.number in self._queued or not stream.is_ready():
            return
        self._queued.add(stream.number)
        self._queue.append((self._loop.time(), stream))
        self._dispatch()

    def close(self) -> None:
        """End the threads; the rounds that run are waited for."""
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _dispatch(self) -> None:
        """Give rounds to free threads: full ones, and those whose first stream has waited long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and self._idle:
            due = self._queue[0][0] + self._deadline
            if len(self._queue) < self._largest and self._loop.time() < due:
                self._timer = self._loop.call_at(due, self._dispatch)
                return
            size = min(self._largest, -(-len(self._queue) // self._idle))
            streams = [self._queue.popleft()[1] for _ in range(size)]
            self._queued.difference_update(stream.number for stream in streams)
            turns = [(stream, stream.take()) for stream in streams]
            self._idle -= 1
            self._pool.submit(run_round, turns, self._embedder).add_done_callback(partial(self._wake, turns))

    def _wake(self, turns: Sequence[tuple[Stream, Turn]], future: "Future[Round]") -> None:
        """Called on a worker's thread."""
        if not future.cancelled() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, turns, future)

    def _finish(self, turns: Sequence[tuple[Stream, Turn]], future: "Future[Round]") -> None:
        self._idle += 1
        error = future.exception()
        round_ = future.result() if error is None else _lost(turns, error)
        for outcome in round_.outcomes:
            outcome.stream.give_back()
        self._done(round_)
        for outcome in round_.outcomes:
            if outcome.failure is None:
                self.ready(outcome.stream)
        self._dispatch()
