"""Who hears how far a run is."""

from typing import Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """Hears how far a run is."""

    def __call__(self, what: str, done: int, of: int, detail: str = "", /) -> None:
        """Hear what is being done, how much of it is done, how much there is, and how it goes."""
