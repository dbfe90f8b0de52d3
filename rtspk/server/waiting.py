"""Streams whose turn has not come: live ones go first, and files go between them, a few in a round."""

from collections import deque

from rtspk.server.stream import Stream

__all__ = ["Waiting"]

FILES: int = 2  # in a round of a worker that has live streams, whose sound waits for them


class Waiting:
    """Each stream waits once; of either kind, who came first goes first."""

    def __init__(self) -> None:
        self._numbers: set[str] = set()
        self._live: deque[tuple[float, Stream]] = deque()
        self._files: deque[tuple[float, Stream]] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._numbers)

    def __contains__(self, stream: Stream) -> bool:
        """Whether a stream waits."""
        return stream.number in self._numbers

    @property
    def since(self) -> float:
        """When the first of all came; somebody must wait."""
        return min(queue[0][0] for queue in (self._live, self._files) if queue)

    def add(self, stream: Stream, now: float) -> None:
        """A stream waits from now on."""
        self._numbers.add(stream.number)
        (self._live if stream.is_live else self._files).append((now, stream))

    def remove(self, stream: Stream) -> None:
        """A stream waits no more; one that did not is no matter."""
        if stream in self:
            self._numbers.discard(stream.number)
            self._live = deque(item for item in self._live if item[1] is not stream)
            self._files = deque(item for item in self._files if item[1] is not stream)

    def clear(self) -> None:
        """Nobody waits."""
        self._numbers.clear()
        self._live.clear()
        self._files.clear()

    def take(self, most: int, *, has_live: bool) -> list[Stream]:
        """Who goes next, at most so many; with a few files beside them where the worker has live streams."""
        files = min(FILES, most) if has_live else most
        streams = [self._live.popleft()[1] for _ in range(min(most, len(self._live)))]
        streams += [self._files.popleft()[1] for _ in range(min(files, len(self._files)))]
        self._numbers.difference_update(stream.number for stream in streams)
        return streams
