"""One stream from its source to its outputs: lines as they happen, a live view, files at the end."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from rtspk.cli.live import LiveView
from rtspk.cli.loudness import Loudness, Session
from rtspk.cli.output import AtEnd, JsonLines, rendered
from rtspk.cli.screen import Advance, answers, note, plain, progress
from rtspk.cli.sources import CutShort, Source, ended_by_signals
from rtspk.errors import RtspkError, StorageError
from rtspk.files import write_atomically
from rtspk.types import seconds_of

if TYPE_CHECKING:
    from rtspk.client import Client
    from rtspk.engine.events import Event
    from rtspk.transcript import Transcript

__all__ = ["Listener", "Outputs", "Warnings", "draw", "run", "stream"]


class Listener(Protocol):
    """Takes events as they come, with how many samples were heard up to then."""

    def hear(self, events: "list[Event]", position: int) -> None:
        """Take what there is to say, which may be nothing."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run leaves behind, and whether a person looks on."""

    format: str
    output: Path | None = None  # None: stdout
    picture: Path | None = None
    shows_view: bool = False


class Bar:
    """Moves a progress bar."""

    def __init__(self, advance: Advance, source: Source) -> None:
        self._advance, self._source = advance, source

    def hear(self, events: "list[Event]", position: int) -> None:  # noqa: ARG002 - other listeners want it
        """Move on."""
        self._advance(self._source.name, int(seconds_of(position)), int(self._source.duration or 0))


class Warnings:
    """Says on stderr what a server warns of."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def hear(self, events: "list[Event]", position: int) -> None:  # noqa: ARG002 - other listeners want it
        """Say what is new."""
        for warning in self._client.warnings():
            note(f"rtspk: {plain(warning.message)}")


def run(session: Session, source: Source, outputs: Outputs, *more: Listener) -> "Transcript":
    """Stream a source and write what was asked for, with more listeners; returns what was said."""
    kept = AtEnd()
    listeners: list[Listener] = [kept, *more]
    view = None
    with contextlib.ExitStack() as stack:
        if outputs.format == "jsonl":
            target = sys.stdout if outputs.output is None else stack.enter_context(_opened(outputs.output))
            listeners.append(JsonLines(target))
        if outputs.shows_view:
            view = stack.enter_context(LiveView(answers(), source, kept.transcript))
            listeners.append(view)
        elif not source.is_live:
            listeners.append(Bar(stack.enter_context(progress()), source))
        elif sys.stderr.isatty():
            note(f"listening to {plain(source.name)}; Ctrl-C ends it")
        metered = Loudness(session)
        failure = stream(metered, source, listeners)
    if view is not None:
        view.print_summary()
    if outputs.format in {"rttm", "srt", "json"}:
        text = rendered(outputs.format, kept.transcript, source.stem)
        if outputs.output is None:
            sys.stdout.write(text)
        else:
            write_atomically(outputs.output, text.encode("utf-8", "backslashreplace"))
    if outputs.picture is not None:
        draw(kept.transcript, outputs.picture, source.name)
    if source.lost:
        note(f"rtspk: {source.lost}")
    if failure is not None:
        raise failure
    if not kept.transcript.turns():
        note(f"rtspk: no speech was heard {metered.silence()}")
    return kept.transcript


def draw(transcript: "Transcript", path: Path, title: str) -> None:
    """Draw who spoke when."""
    from rtspk.timeline import draw_timeline

    draw_timeline(transcript.turns(), path, title=title, end=transcript.samples)


def stream(session: Session, source: Source, listeners: Sequence[Listener]) -> RtspkError | CutShort | None:
    """Push a source through a session and end both.

    Returns:
        what ended a source that was heard before, such as a microphone that was unplugged, a server that is
        gone, or Ctrl-C in a file: the caller writes what there is, and raises it. Any other failure is raised
        at once.
    """
    position, failure = 0, None
    try:
        with source, ended_by_signals(source):
            for chunk in source:
                position = chunk.end
                _tell(listeners, session.push(chunk.samples), position)
    except (RtspkError, CutShort) as error:
        if not position:
            raise
        failure = error
    try:
        _tell(listeners, session.finish(), position)
    except RtspkError as error:
        if not (source.is_live and position):
            raise
        _tell(listeners, session.finish(), position)  # what had been said before it failed
        failure = failure or error
    return failure


def _tell(listeners: Sequence[Listener], events: "list[Event]", position: int) -> None:
    for listener in listeners:
        listener.hear(events, position)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a file for lines that are to be read while they are written."""
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StorageError(f"wanted to write {path}, got {error.strerror or error}") from error
    with file:
        yield file
