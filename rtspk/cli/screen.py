"""Where words for people go: stdout for answers, stderr for progress, both as wide as they are read."""

import json
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Advance",
    "answers",
    "clock",
    "note",
    "plain",
    "print_json",
    "progress",
    "say",
    "seconds_of",
    "waiting",
]

WIDE: int = 200  # columns of a table that no terminal cuts


class Advance(Protocol):
    """Hears how far something is."""

    def __call__(self, what: str, done: int, of: int, detail: str = "", /) -> None:
        """Hear what is being done, how much of it is done, how much there is, and how it goes."""


def answers() -> "Console":
    """The console of stdout; in a pipe it is wide, so that nothing is cut."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False, width=None if sys.stdout.isatty() else WIDE)


def note(text: str) -> None:
    """Say a line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """Write a line to stdout, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Write one JSON value on one line of stdout."""
    say(json.dumps(value, ensure_ascii=False))


@contextmanager
def progress(*, shown: bool = True) -> Iterator[Advance]:
    """Show bars on stderr where that is a terminal, and nothing elsewhere."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _what, _done, _of, _detail="", /: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def advance(what: str, done: int, of: int, detail: str = "", /) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None, detail="")
            bars.update(tasks[what], completed=done, total=of or None, detail=detail)

        yield advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something goes on, on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status(f"{what} ..."):
        yield


def seconds_of(samples: int) -> float:
    """Turn a count of samples at 16 kHz into seconds, as `rtspk.types` does, which is loaded late."""
    from rtspk import types

    return types.seconds_of(samples)


def clock(seconds: float) -> str:
    """Time as a person reads it, likewise."""
    from rtspk import types

    return types.clock(seconds)


def plain(text: str) -> str:
    r"""Make text fit for one line of a terminal: what would move its cursor becomes a question mark.

    >>> plain("a\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join("?" if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} else c for c in text)
