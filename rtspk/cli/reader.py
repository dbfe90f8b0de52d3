"""Read a file or URL in a thread: FFmpeg waits without an end, and who waits for it can be interrupted.

The thread only decodes: what it holds may be left behind when the process ends.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from queue import Empty, Queue
from threading import Thread

from rtspk.audio import chunked, decoded
from rtspk.container import opened
from rtspk.types import Chunk, FloatArray, samples_of

__all__ = ["Reader"]

AHEAD: int = 64  # packets that are read before they are wanted
LOOK_SECONDS: float = 0.1  # between two looks whether it is to end
LEAVE_SECONDS: float = 0.3  # for the thread to close the source; one that waits for the network is left


class Reader:
    """A source that is open from the beginning, and read once."""

    def __init__(self, where: str, chunk_seconds: float, track: int | None = None) -> None:
        """Open the source.

        Raises:
            AudioError: it cannot be opened.
        """
        self._items: Queue[tuple[int, FloatArray] | Exception | None] = Queue(AHEAD)  # None: the end
        self._size, self._stopped = samples_of(chunk_seconds), False
        opening: Future[float | None] = Future()
        what = (where, track, opening)
        self._thread = Thread(target=self._read, args=what, name="rtspk-reader", daemon=True)
        self._thread.start()
        self.duration = opening.result()  # seconds, where the source knows

    def __iter__(self) -> Iterator[Chunk]:
        """Give the sound until it ends or is stopped; what broke it is raised behind what was read."""
        return chunked(self._blocks(), self._size)

    def stop(self) -> None:
        """Give no more; fit for a signal handler."""
        self._stopped = True

    def close(self) -> None:
        """Stop, and let the thread close the source."""
        self.stop()
        while not self._items.empty():
            self._items.get()
        self._thread.join(LEAVE_SECONDS)

    def _blocks(self) -> Iterator[tuple[int, FloatArray]]:
        while not self._stopped:
            try:
                item = self._items.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item

    def _read(self, where: str, track: int | None, opening: "Future[float | None]") -> None:
        try:
            with opened(where, track=track) as recording:
                opening.set_result(recording.duration)
                for block in decoded(recording):
                    self._items.put(block)
                    if self._stopped:
                        return
        except Exception as error:  # it is raised where the sound is wanted
            if opening.done():
                self._items.put(error)
            else:
                opening.set_exception(error)
        else:
            self._items.put(None)
