"""Where a worker does the portions of its streams: their windows go through the network together."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rtspk.engine.pipeline import Engine
from rtspk.engine.recurrence import Asking, Passage, Told
from rtspk.errors import AudioError
from rtspk.server.listener import Listener
from rtspk.server.messages import Error
from rtspk.server.portion import Outcome, Portion
from rtspk.types import Window

__all__ = ["Desk", "Work", "failure_of_ours"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Work:
    """What came of portions that were done together, in order, and what it cost."""

    outcomes: list[Outcome] = field(default_factory=list)
    windows: int = 0
    batches: list[int] = field(default_factory=list)  # windows in each call of the network
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Task:
    portion: Portion
    outcome: Outcome
    listener: Listener


class UnknownStreamError(Exception):
    """A portion without an opening, of a stream that is not known here: another worker had it, and ended."""


class Desk:
    """One worker's listeners, by their streams' numbers; for one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: dict[str, Listener] = {}

    def work(self, portions: Sequence[Portion], gone: Sequence[str] = ()) -> Work:
        """Do the portions of several streams; what one of them does wrong ends that one alone.

        Args:
            portions: one for each stream; its first has an opening
            gone: numbers of streams that nobody wants any more
        """
        begin = time.perf_counter()
        for number in gone:
            self._listeners.pop(number, None)
        work = Work([Outcome() for _ in portions])
        tasks: list[_Task] = []
        for portion, outcome in zip(portions, work.outcomes, strict=True):
            with _guarded(portion, outcome):
                tasks.append(_Task(portion, outcome, self._listener(portion)))
        self._hear(tasks)
        self._answer(tasks, work)
        for task in _going_on(tasks):
            with _guarded(task.portion, task.outcome):
                task.listener.obey(task.portion, task.outcome)
        self._answer(tasks, work)
        for task in tasks:
            task.outcome.events = task.listener.session.events_to_send()
        work.seconds = time.perf_counter() - begin
        return work

    def _listener(self, portion: Portion) -> Listener:
        if portion.opening is not None:
            parts = self._engine.parts(portion.opening.config)
            self._listeners[portion.number] = Listener(portion.opening.format, parts)
        if portion.number not in self._listeners:
            raise UnknownStreamError
        return self._listeners[portion.number]

    def _hear(self, tasks: Sequence[_Task]) -> None:
        """Give all streams their sound, and tell them together what is in their passages."""
        works: list[tuple[_Task, Asking[None], Told | None]] = [
            (task, task.listener.hear(task.portion, task.outcome), None) for task in tasks
        ]
        while works:
            asked = []
            for task, work, told in works:
                with _guarded(task.portion, task.outcome):
                    passage = _next(work, told)
                    if passage is not None:
                        asked.append((task, work, passage))
            works = self._told(asked)

    def _told(
        self, asked: Sequence[tuple[_Task, Asking[None], Passage]]
    ) -> list[tuple[_Task, Asking[None], Told | None]]:
        """What is in the passages of streams, beside each of them."""
        if not asked:
            return []
        segmenter = self._engine.segmenter
        try:
            answers = segmenter.tell([passage for _, _, passage in asked])
        except Exception:  # one of them is to blame: each by itself
            works: list[tuple[_Task, Asking[None], Told | None]] = []
            for task, work, passage in asked:
                with _guarded(task.portion, task.outcome):
                    works.append((task, work, segmenter.tell([passage])[0]))
            return works
        return [(task, work, told) for (task, work, _), told in zip(asked, answers, strict=True)]

    def _answer(self, tasks: Sequence[_Task], work: Work) -> None:
        """Give all streams their embeddings, until none wants any more."""
        embedder = self._engine.embedder
        while asked := [(task, windows) for task in _going_on(tasks) if (windows := _wanted(task))]:
            batch = [window for _, windows in asked for window in windows]
            work.windows += len(batch)
            work.batches.append(len(batch))
            try:
                answers = embedder.embed(batch)
            except Exception:  # one of them is to blame: each by itself
                for task, windows in asked:
                    with _guarded(task.portion, task.outcome):
                        task.listener.session.receive_embeddings(embedder.embed(windows))
                continue
            for task, windows in asked:
                own, answers = answers[: len(windows)], answers[len(windows) :]
                with _guarded(task.portion, task.outcome):
                    task.listener.session.receive_embeddings(own)


def _next(work: Asking[None], told: Told | None) -> Passage | None:
    """The next passage of a stream; None where its sound is heard."""
    try:
        return next(work) if told is None else work.send(told)
    except StopIteration:
        return None


def _wanted(task: _Task) -> list[Window]:
    with _guarded(task.portion, task.outcome):
        return task.listener.session.windows_to_embed()
    return []


def _going_on(tasks: Sequence[_Task]) -> list[_Task]:
    return [task for task in tasks if task.outcome.failure is None]


@contextmanager
def _guarded(portion: Portion, outcome: Outcome) -> Iterator[None]:
    """A failure is told in our own words, and the log gets its kind, never its sound."""
    try:
        yield
    except AudioError as error:
        outcome.failure = Error(code="bad_audio", message=" ".join(str(error).split()))
    except Exception as error:  # whatever it is, the other streams go on
        _log.warning("session %s ended by %s", portion.number, type(error).__name__)
        outcome.failure = failure_of_ours()


def failure_of_ours() -> Error:
    """What a client hears of a fault that is not its own."""
    return Error(code="internal", message="the server failed at this session")
