"""Who does the portions of streams: a thread of the server, or a process of its own.

Much of the work is Python, of which a process runs one thread at a time. So on several cores each worker is a
process with models of its own; what they share is the gallery's file. A gallery in memory and a GPU belong to
one process, and there the workers are threads.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Protocol

from rtspk.audio import read_audio
from rtspk.data import CONVERSATION
from rtspk.engine.pipeline import Engine
from rtspk.errors import ConfigError
from rtspk.server.desk import Desk, Work
from rtspk.server.portion import Portion
from rtspk.types import samples_of

__all__ = ["ProcessWorker", "ThreadWorker", "Worker", "WorkerError", "make_workers"]

PATIENCE: float = 5.0  # s for a process to end by itself
WARM: int = samples_of(8.0)  # of sound, in which all that is loaded late is loaded
ONE_THREAD: tuple[str, ...] = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


class WorkerError(Exception):
    """A worker failed as a whole, and its streams with it; says why in words of ours, for the log."""


class Worker(Protocol):
    """What a lane needs of who works for it; one thread at a time calls it."""

    def start(self) -> None:
        """Get ready to work; may take seconds. Raises ConfigError where that fails."""

    def work(self, portions: Sequence[Portion], gone: Sequence[str]) -> Work:
        """As `Desk.work`. Raises WorkerError where the worker failed as a whole."""

    def break_off(self) -> None:
        """End what takes too long, from another thread: `work` then fails."""

    def close(self) -> None:
        """Done for good."""


class ThreadWorker:
    """Works where it is called, with an engine that others may share."""

    def __init__(self, engine: Engine) -> None:
        self._desk = Desk(engine)

    def start(self) -> None:
        """There is nothing to wait for."""

    def work(self, portions: Sequence[Portion], gone: Sequence[str]) -> Work:
        """As `Desk.work`."""
        return self._desk.work(portions, gone)

    def break_off(self) -> None:
        """A thread cannot be ended."""

    def close(self) -> None:
        """Nothing is left behind."""


class ProcessWorker:
    """Works in a process that loads an engine of its own; one that dies is followed by another."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._connection: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process, where there is one."""
        return None if self._process is None else self._process.pid

    def begin(self) -> None:
        """Begin the process without waiting for it, so that several load at once."""
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._load, theirs), name="rtspk-worker")
        with _one_thread():
            self._process.start()
        theirs.close()

    def start(self) -> None:
        """Wait until the process is ready."""
        if self._connection is None:
            self.begin()
        assert self._connection is not None
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise ConfigError("wanted a worker process, got one that ended as it began") from error
        if answer is not None:
            self.close()
            raise ConfigError(f"wanted a worker process, got: {answer}")

    def work(self, portions: Sequence[Portion], gone: Sequence[str]) -> Work:
        """As `Desk.work`, there. A process that died is begun anew, at once where all streams are new."""
        try:
            if self._connection is None or (self._is_dead() and all(portion.opening for portion in portions)):
                self.close()
                self.start()
            assert self._connection is not None
            self._connection.send((portions, gone))
            answer = self._connection.recv()
        except ConfigError as error:
            raise WorkerError(str(error)) from error
        except (EOFError, OSError) as error:
            process = self._process
            self.close()
            code = None if process is None else process.exitcode
            raise WorkerError(f"its process ended with status {code}") from error
        if not isinstance(answer, Work):
            raise WorkerError(str(answer))
        return answer

    def _is_dead(self) -> bool:
        return self._process is not None and self._process.exitcode is not None

    def break_off(self) -> None:
        """The process is ended, whatever it does."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """The process ends when nobody is at the other end any more."""
        connection, process = self._connection, self._process
        self._connection = self._process = None
        if connection is not None:
            connection.close()
        if process is not None:
            process.join(PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()


def make_workers(count: int, engine: Engine, load: Callable[[], Engine] | None) -> list[Worker]:
    """Processes where there is a way to load engines in them, which then begin at once; else threads."""
    if load is None:
        return [ThreadWorker(engine) for _ in range(count)]
    workers = [ProcessWorker(load) for _ in range(count)]
    for worker in workers:
        worker.begin()
    return list(workers)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Libraries of a process begun here use one thread each: a worker is meant for one core."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(load: Callable[[], Engine], connection: Connection) -> None:
    """A worker's process: it answers until the other end is closed, and leaves signals to the server."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        engine = load()
        engine.session().push(read_audio(CONVERSATION)[:WARM])
    except Exception as error:
        connection.send(" ".join(str(error).split()) or type(error).__name__)
        return
    desk = Desk(engine)
    connection.send(None)
    while True:
        try:
            portions, gone = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Work | str = desk.work(portions, gone)
        except Exception as error:
            answer = type(error).__name__
        connection.send(answer)
