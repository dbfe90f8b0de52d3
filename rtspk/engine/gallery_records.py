"""What the gallery knows of an enrolled voice: names, prints, and what makes them fit to be stored."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rtspk.errors import GalleryError
from rtspk.types import FloatArray, seconds_of

__all__ = [
    "MOST_SPEECH",
    "Exemplar",
    "Print",
    "SpeakerDetail",
    "SpeakerRecord",
    "clean_name",
    "is_fresh",
    "new_name",
    "print_rows",
    "unit_vectors",
]

LONGEST_NAME = 300  # characters
SAME = 0.9999  # cosine from which two prints are of one recording: others of a voice reach 0.95
MOST_SPEECH = 1 << 40  # samples behind a print, two years: sums of much more are no numbers to SQLite

# Control characters, halves of characters that are none, and line breaks other than the control ones.
UNFIT_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They reorder what is printed behind them.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNSEEN = frozenset("\u00ad\u180e\u200b\u2060\ufeff")  # nobody sees them in any script
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

    def to_json(self) -> dict[str, object]:
        """As programs are told of it."""
        return {
            "name": self.name,
            "created": self.created,
            "exemplars": self.exemplars,
            "net_speech": round(seconds_of(self.net_speech), 3),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Exemplar:
    """One print of a voice: vector : float32 [shape=(dimension,)], unit length."""

    vector: FloatArray
    source: str
    net_speech: int  # samples
    quality: float  # 0 to 1
    created: str  # ISO 8601, UTC
    number: int = 0  # in its gallery, never given twice

    def to_json(self) -> dict[str, object]:
        """As programs are told of it, without the voice itself."""
        return {
            "number": self.number,
            "source": self.source,
            "net_speech": round(seconds_of(self.net_speech), 3),
            "quality": round(self.quality, 3),
            "created": self.created,
        }


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerDetail:
    """One enrolled name with all its prints."""

    name: str
    created: str  # ISO 8601, UTC
    exemplars: tuple[Exemplar, ...]

    def to_json(self) -> dict[str, object]:
        """As programs are told of it."""
        prints = [one.to_json() for one in self.exemplars]
        return {"name": self.name, "created": self.created, "exemplars": prints}


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

    Refused are what a session calls those whom it does not know (`S1`, `S12`), `unknown`, and names with
    marks that nobody sees, which would look like others. A gallery that has such names already keeps them.

    >>> new_name("S0012")
    'S0012'
    """
    name = clean_name(name)
    if hidden := UNSEEN & set(name):
        raise GalleryError(f"wanted a name all of which can be seen, got {min(hidden)!a} in {name!a}")
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


def is_fresh(vectors: FloatArray, known: FloatArray) -> list[bool]:
    """Which vectors are neither known nor there twice: what was heard twice is evidence once.

    vectors, known : float32 [shape=(n, dimension)], unit length
    """
    everything = np.concatenate([known, vectors])
    alike = np.tril(vectors @ everything.T >= SAME, len(known) - 1)
    return [not row.any() for row in alike]


def print_rows(
    prints: Sequence[Print],
    source: str | Sequence[str],
    qualities: Sequence[float] | None,
    dimension: int,
) -> tuple[FloatArray, list[tuple[str, int, float]]]:
    """Check prints: their unit vectors, and the source, net speech and quality of each."""
    sources = [source] * len(prints) if isinstance(source, str) else list(source)
    if len(sources) != len(prints):
        raise GalleryError(f"wanted a source for each of {len(prints)} prints, got {len(sources)}")
    # File names may hold bytes that are no text.
    sources = [one.encode("utf-8", "backslashreplace").decode() for one in sources]
    vectors = unit_vectors([one.vector for one in prints], dimension)
    qualities = [1.0] * len(prints) if qualities is None else qualities
    if len(qualities) != len(prints) or not all(0 <= quality <= 1 for quality in qualities):
        raise GalleryError(f"wanted a quality from 0 to 1 for each print, got {list(qualities)}")
    if not all(0 <= one.net_speech <= MOST_SPEECH for one in prints):
        got = ", ".join(str(one.net_speech) for one in prints)
        raise GalleryError(f"wanted net speech of 0 samples or more, {MOST_SPEECH} at most, got {got}")
    speech = [int(one.net_speech) for one in prints]
    return vectors, list(zip(sources, speech, map(float, qualities), strict=True))
