"""Work of many streams, off the event loop: each stream has one worker, each worker a lane of streams."""

import asyncio
from collections.abc import Callable, Sequence

from rtspk.server.lane import Lane
from rtspk.server.round import Round
from rtspk.server.stream import Stream
from rtspk.server.workers import Worker

__all__ = ["Rounds"]


class Rounds:
    """Lives on the event loop; workers do their rounds elsewhere."""

    def __init__(
        self, workers: Sequence[Worker], largest: int, deadline: float, done: Callable[[Round], None]
    ) -> None:
        self._lanes = [Lane(worker, largest, deadline, done) for worker in workers]
        self._lane_of: dict[str, Lane] = {}  # by the stream's number
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Streams whose turn has not come."""
        return sum(lane.waiting for lane in self._lanes)

    def now(self) -> float:
        """Seconds by the loop's clock, which is everybody's here."""
        return self._loop.time()

    def join(self, stream: Stream) -> None:
        """A new stream: it is given to the worker that has fewest, of those that work."""
        lane = min(self._lanes, key=lambda one: (one.failing, one.is_stuck, len(one.streams)))
        lane.join(stream)
        self._lane_of[stream.number] = lane

    def ready(self, stream: Stream) -> None:
        """A stream may have work."""
        if (lane := self._lane_of.get(stream.number)) is not None:
            lane.ready(stream)

    def leave(self, stream: Stream) -> None:
        """Nobody wants a stream any more."""
        if (lane := self._lane_of.pop(stream.number, None)) is not None:
            lane.leave(stream)

    def close(self) -> None:
        """End the workers; rounds that run are waited for."""
        for lane in self._lanes:
            lane.close()
