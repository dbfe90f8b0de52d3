"""Names that are given on the command line to a session's labels, once its sound is over."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rtspk.cli.screen import note, plain
from rtspk.errors import ConfigError, RtspkError
from rtspk.types import FloatArray

if TYPE_CHECKING:
    from rtspk.engine.events import Event
    from rtspk.engine.pipeline import LocalSession

__all__ = ["Labelled", "labels_of"]

LABEL = re.compile(r"S[1-9][0-9]*")


def labels_of(given: Sequence[str]) -> dict[str, str]:
    """Names by their labels, of words such as "S2=Anna".

    Raises:
        ConfigError: no label, or one twice.
        GalleryError: a name that is none.
    """
    from rtspk.engine.gallery_records import new_name

    names: dict[str, str] = {}
    for one in given:
        label, is_said, name = one.partition("=")
        if not is_said or not LABEL.fullmatch(label):
            raise ConfigError(f"wanted --label as S2=NAME, got {one!r}")
        if label in names:
            raise ConfigError(f"wanted one name for {label}, got two")
        names[label] = new_name(name)
    return names


class Labelled:
    """A session whose labels get names at its end, and whose voices are kept under them."""

    def __init__(self, session: "LocalSession", names: Mapping[str, str]) -> None:
        self._session, self._names = session, names
        self._failure: RtspkError | None = None

    def push(self, samples: FloatArray) -> "list[Event]":
        """Take the next samples, float32 [shape=(n,)] at 16 kHz."""
        return self._session.push(samples)

    def finish(self) -> "list[Event]":
        """End the sound; what the names change is said before the end."""
        rest = self._session.finish()
        if not rest:  # it was over before
            return rest
        end = rest.pop()
        for label, name in self._names.items():
            try:
                rest += self._session.label(label, name, keep=True)
                note(f"{label} is enrolled as {plain(name)}")
            except RtspkError as error:
                self._failure = self._failure or error
        return [*rest, end]

    def check(self) -> None:
        """Raise what kept a name from being given."""
        if self._failure is not None:
            raise self._failure
