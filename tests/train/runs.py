"""What tests of training runs share: progress that says nothing, and a run that is killed."""

from collections.abc import Callable

__all__ = ["KilledError", "killed_at", "quiet"]


def quiet(*_: object) -> None:
    """No progress."""


class KilledError(Exception):
    """Stands for the signal."""


def killed_at(step: int) -> Callable[..., None]:
    """Progress in which a run ends at a step, before it could save."""

    def hear(what: str, done: int, *_: object) -> None:
        if what == "train" and done == step:
            raise KilledError

    return hear
