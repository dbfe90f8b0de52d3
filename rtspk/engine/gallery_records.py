"""What the gallery knows of an enrolled voice: names, prints, and what makes them fit to be stored."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rtspk.errors import GalleryError
from rtspk.types import FloatArray

__all__ = [
    "MOST_SPEECH",
    "Exemplar",
    "Print",
    "SpeakerDetail",
    "SpeakerRecord",
    "clean_name",
    "new_name",
    "unit_vectors",
]

LONGEST_NAME = 300  # characters
MOST_SPEECH = 1 << 40  # samples behind a print, two years: sums of much more are no numbers to SQLite

# Control characters, halves of characters that are none, and line breaks other than the control ones.
UNFIT_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
TURNING = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # they reorder what is printed behind
UNSEEN_CATEGORIES = frozenset({"Cf", "Zs", "Mn", "Me", "Cn", "Co"})


class Print(Protocol):
    """What can be enrolled: a voice as a vector, such as `rtspk.types.Embedding`."""

    @property
    def vector(self) -> FloatArray:
        """float32 [shape=(dimension,)], finite and not zero; scaled to unit length when stored."""

    @property
    def net_speech(self) -> int:
        """Samples of speech that it was made from."""


@dataclass(frozen=True, slots=True)
class SpeakerRecord:
    """One enrolled name and how much of its voice is known."""

    name: str
    created: str  # ISO 8601, UTC
    exemplars: int
    net_speech: int  # samples, over all exemplars


@dataclass(frozen=True, slots=True, eq=False)
class Exemplar:
    """One print of a voice: vector : float32 [shape=(dimension,)], unit length."""

    vector: FloatArray
    source: str
    net_speech: int  # samples
    quality: float  # 0 to 1
    created: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerDetail:
    """One enrolled name with all its prints."""

    name: str
    created: str  # ISO 8601, UTC
    exemplars: tuple[Exemplar, ...]


def clean_name(name: str) -> str:
    """Bring a name into the form in which it is stored: outer blanks gone, composed characters (NFC).

    The rule: 1 to 300 characters of any script, at least one of which can be seen. Quotes, blanks, slashes
    and dots are letters like any other, since a name is never part of a path or a command. Refused are
    control characters, line breaks, and marks that turn the direction of what is printed behind the name.

    >>> clean_name("  Anna ")
    'Anna'
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise GalleryError("wanted a name, got an empty one")
    if len(name) > LONGEST_NAME:
        raise GalleryError(f"wanted a name of at most {LONGEST_NAME} characters, got {len(name)}")
    for character in name:
        if unicodedata.category(character) in UNFIT_CATEGORIES or character in TURNING:
            raise GalleryError(f"wanted a name without control characters, got {character!a} in it")
    if all(unicodedata.category(character) in UNSEEN_CATEGORIES for character in name):
        raise GalleryError(f"wanted a name that can be seen, got {name!a}")
    return name


def new_name(name: str) -> str:
    """A clean name that may be given to a voice: none that stands for somebody else where turns are written.

    Refused are what a session calls those whom it does not know (`S1`, `S12`), and `unknown`. A gallery
    that has such names already keeps them.

    >>> new_name("S0012")
    'S0012'
    """
    name = clean_name(name)
    if re.fullmatch("S[1-9][0-9]*", name) or name.casefold() == "unknown":
        raise GalleryError(f"wanted a name that is not what strangers are called, got {name!r}")
    return name


def unit_vectors(vectors: Sequence[FloatArray], dimension: int) -> FloatArray:
    """Check vectors and scale them to unit length: float32 [shape=(vectors, dimension)].

    One that is NaN, infinite, zero or of another length is refused. What is of unit length already stays
    the same to the bit.
    """
    if not len(vectors):
        raise GalleryError("wanted one vector or more, got none")
    checked = np.empty((len(vectors), dimension), dtype=np.float32)
    for row, vector in enumerate(vectors):
        values = np.asarray(vector, dtype=np.float64)
        if values.shape != (dimension,):
            raise GalleryError(f"wanted a vector of shape ({dimension},), got {values.shape}")
        norm = float(np.linalg.norm(values))
        if not 1e-6 < norm < np.inf:
            raise GalleryError(f"wanted a finite vector that is not zero, got one of length {norm:g}")
        checked[row] = values if abs(norm - 1.0) < 1e-5 else values / norm
    return checked
