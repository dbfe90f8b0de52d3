"""Who is enrolled where something is measured: people of clips or of a gallery, by name in the references."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from rtspk.audio import read_audio
from rtspk.engine.pipeline import Engine
from rtspk.errors import AudioError, FormatError
from rtspk.people import People, people_in
from rtspk.rttm import as_word

__all__ = ["enrol_all", "enrolled_among", "people_to_enrol", "word_of"]


def word_of(name: str) -> str:
    """A name as references are searched for it: RTTM's word, in the form in which a gallery stores names.

    >>> word_of(" Anna Bell")
    'Anna_Bell'
    """
    return as_word(unicodedata.normalize("NFC", name).strip())


def people_to_enrol(gallery_audio: Path) -> People:
    """The people of a folder, as `people_in` finds them, and their clips, by their words.

    Raises:
        FormatError: nobody in it, or two people with one word.
    """
    people: People = {}
    for name, clips in people_in(gallery_audio).items():
        word = word_of(name)
        if word in people:
            raise _two_people(word)
        people[word] = clips
    return people


def enrol_all(
    engine: Engine, people: People, gallery_audio: Path, progress: Callable[[str, int, int], None]
) -> tuple[str, ...]:
    """Enrol people from their clips; returns those whose clips hold too little speech.

    Args:
        engine: its gallery is filled
        people: one or more, and their clips
        gallery_audio: where these are
        progress: called with what is done, how much of it, and of how much

    Raises:
        AudioError: a clip that cannot be read; clips without speech of anybody.
    """
    refused = []
    for number, (name, clips) in enumerate(people.items(), start=1):
        sounds = [read_audio(clip) for clip in clips]
        try:
            engine.enroll(name, *sounds)
        except AudioError:
            refused.append(name)
        progress("enrolling", number, len(people))
    if len(refused) == len(people):
        raise AudioError(f"wanted clips with speech in {gallery_audio}, got none of {len(people)} people")
    return tuple(refused)


def enrolled_among(names: Iterable[str], speakers: Iterable[str]) -> set[str]:
    """The words of those speakers of references who are enrolled.

    Args:
        names: of the enrolled, with their blanks
        speakers: as references have them

    Raises:
        FormatError: a speaker who may be two of the enrolled.
    """
    enrolled = Counter(word_of(name) for name in names)
    found = {word for speaker in speakers if enrolled[word := word_of(speaker)]}
    for word in sorted(found):
        if enrolled[word] > 1:
            raise _two_people(word)
    return found


def _two_people(word: str) -> FormatError:
    return FormatError(f"wanted names that differ in RTTM too, got {word} for two people")
