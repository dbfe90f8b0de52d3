"""The queue in front of one worker: streams that have work wait a moment for others and go in rounds.

While the worker is busy the next round grows.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from rtspk.server.desk import Work
from rtspk.server.portion import Portion
from rtspk.server.round import Round
from rtspk.server.stream import Stream
from rtspk.server.waiting import Waiting
from rtspk.server.workers import Worker, WorkerError

__all__ = ["Lane"]

AGAIN_SECONDS: float = 5.0  # until a worker that failed is tried again by itself
STUCK_SECONDS: float = 5.0  # a round takes one or two; while it takes more, new streams go to other workers
LOST_SECONDS: float = 120.0  # until a round is broken off; a process that begins anew may compile first
CLOSE_SECONDS: float = 5.0  # for the round that runs when the server ends

_log = logging.getLogger(__name__)


class Lane:
    """Lives on the event loop; a thread of its own waits for the worker."""

    def __init__(self, worker: Worker, largest: int, deadline: float, done: Callable[[Round], None]) -> None:
        self.streams: set[str] = set()  # numbers of all that are this worker's
        self._live: set[str] = set()  # of those, the live ones
        self._worker, self._largest, self._deadline, self._done = worker, largest, deadline, done
        self._thread = ThreadPoolExecutor(1, "rtspk-lane")
        self._loop = asyncio.get_running_loop()
        self._waiting = Waiting()
        self._gone: list[str] = []  # numbers that the worker need not know any more
        self.failing = False  # the last round broke as a whole
        self._busy = self._closed = False
        self._begun = 0.0  # when the round that runs was given out
        self._watch: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether the worker takes far too long for the round that it has."""
        return self._busy and self._loop.time() - self._begun > STUCK_SECONDS

    @property
    def waiting(self) -> int:
        """Streams whose turn has not come."""
        return len(self._waiting)

    def join(self, stream: Stream) -> None:
        """A stream is this worker's from now on."""
        self.streams.add(stream.number)
        if stream.is_live:
            self._live.add(stream.number)

    def ready(self, stream: Stream) -> None:
        """A stream may have work."""
        known = stream.number in self.streams and stream not in self._waiting
        if not known or not stream.is_ready():
            return
        self._waiting.add(stream, self._loop.time())
        self._dispatch()

    def leave(self, stream: Stream) -> None:
        """Nobody wants a stream any more."""
        self.streams.discard(stream.number)
        self._live.discard(stream.number)
        self._waiting.remove(stream)
        self._gone.append(stream.number)
        self._dispatch()

    def close(self) -> None:
        """End the worker; the round that runs is waited for, but not for long."""
        self._closed = True
        for timer in (self._timer, self._watch):
            if timer is not None:
                self._loop.call_soon_threadsafe(timer.cancel)
        self._waiting.clear()
        patience = threading.Timer(CLOSE_SECONDS, self._worker.break_off)
        patience.start()
        self._thread.shutdown(wait=True, cancel_futures=True)
        patience.cancel()
        self._worker.close()

    def _dispatch(self) -> None:
        """Give the worker a round: a full one, or where the first stream has waited long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._busy or self._closed or not (self._waiting or self._gone):
            return
        if 0 < len(self._waiting) < self._largest:
            due = self._waiting.since + self._deadline
            if self._loop.time() < due:
                self._timer = self._loop.call_at(due, self._dispatch)
                return
        streams = self._waiting.take(self._largest, has_live=bool(self._live))
        taken = [(stream, stream.take()) for stream in streams]
        gone, self._gone = self._gone, []
        self._give(taken, gone)

    def _give(self, taken: list[tuple[Stream, Portion]], gone: list[str]) -> None:
        self._busy, self._begun = True, self._loop.time()
        self._watch = self._loop.call_later(LOST_SECONDS, self._worker.break_off)
        future = self._thread.submit(self._worker.work, [portion for _, portion in taken], gone)
        future.add_done_callback(partial(self._wake, taken))

    def _try_again(self) -> None:
        """See whether the worker works again, so that new streams need not find out."""
        if self.failing and not self._busy and not self._closed:
            self._give([], [])

    def _wake(self, taken: list[tuple[Stream, Portion]], future: "Future[Work]") -> None:
        """Called on the lane's thread."""
        if not future.cancelled() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, taken, future)

    def _finish(self, taken: list[tuple[Stream, Portion]], future: "Future[Work]") -> None:
        self._busy = False
        if self._watch is not None:
            self._watch.cancel()
        error = future.exception()
        self.failing = error is not None
        if self.failing:
            self._loop.call_later(AGAIN_SECONDS, self._try_again)
        if error is None:
            round_ = Round.of(taken, future.result())
        else:
            why = error if isinstance(error, WorkerError) else type(error).__name__
            _log.warning("a worker failed, and %d sessions of its round with it: %s", len(taken), why)
            round_ = Round.lost(taken)
        sound = sum(portion.seconds for _, portion in taken)
        for one in round_.results:
            share = one.portion.seconds / sound if sound else 1 / len(taken)
            one.stream.give_back(one.outcome.heard, round_.seconds * share)
        self._done(round_)
        for one in round_.results:
            if one.outcome.failure is None:
                self.ready(one.stream)
        self._dispatch()
