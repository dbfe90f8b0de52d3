"""What a person got wrong on the command line, in one line."""

from itertools import pairwise
from typing import Protocol, runtime_checkable

__all__ = ["Misuse", "told"]


@runtime_checkable
class Misuse(Protocol):
    """An error of Typer's, whose base has another home in each of its versions."""

    exit_code: int

    def format_message(self) -> str:
        """What was wrong, without a word of what came."""


def told(error: Misuse, args: list[str]) -> str:
    """What was wrong, what came where it is known, and where to read on; nothing where help says it all.

    Args:
        error: of Typer's
        args: what stood on the command line
    """
    context = getattr(error, "ctx", None)
    command = "rtspk" if context is None else context.command_path
    said = error.format_message().rstrip(".")
    if not said:  # a group of commands that was named alone, whose help was shown
        return ""
    return f"{said}{_came(error, args)} ({command} --help says more)"


def _came(error: Misuse, args: list[str]) -> str:
    """What stood behind the option that the error is about, where it is about one."""
    names = getattr(getattr(error, "param", None), "opts", [])
    for one, behind in pairwise([*args, ""]):
        name, is_joined, value = one.partition("=")
        if name in names and (is_joined or behind):
            return f", got {(value if is_joined else behind)!r}"
    return ""
