"""Who is enrolled, by the names that references have for them."""

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.bench.enrolled import enrol_all, enrolled_among, people_to_enrol
from rtspk.errors import AudioError, FormatError


class Listener:
    """An engine that hears nothing in silence."""

    def __init__(self):
        self.enrolled = []

    def enroll(self, name, *clips):
        if not clips[0].any():
            raise AudioError("silence")
        self.enrolled.append((name, len(clips)))


@pytest.fixture
def people(tmp_path):
    """Anna Bell has two clips, Ben one of silence."""
    folder = tmp_path / "people"
    (folder / "Anna Bell").mkdir(parents=True)
    for clip in ("one", "two"):
        write_wav(folder / "Anna Bell" / f"{clip}.wav", np.ones(1600, np.float32))
    write_wav(folder / "Ben.wav", np.zeros(1600, np.float32))
    return folder


def test_people_are_enrolled_by_their_words_and_who_cannot_be_is_said(people):
    engine, told = Listener(), []
    found = people_to_enrol(people)
    assert enrol_all(engine, found, people, lambda *count: told.append(count)) == ("Ben",)
    assert engine.enrolled == [("Anna_Bell", 2)]
    assert told == [("enrolling", 1, 2), ("enrolling", 2, 2)]


def test_where_nobody_can_be_enrolled_that_is_an_error(people):
    found = {"Ben": people_to_enrol(people)["Ben"]}
    with pytest.raises(AudioError, match=r"wanted clips with speech in .*people, got none of 1 people"):
        enrol_all(Listener(), found, people, lambda *_: None)


def test_speakers_of_references_are_found_among_names_with_blanks():
    names = ["Anna Bell", "Jos\u00e9", "Zoe"]
    assert enrolled_among(names, ["Anna_Bell", "Jose\u0301", "Who"]) == {"Anna_Bell", "Jos\u00e9"}
    assert enrolled_among(names, ["anna_bell"]) == set()


def test_who_may_be_two_of_the_enrolled_is_refused_where_they_speak():
    names = ["Anna B", "Anna_B", "Ben"]
    assert enrolled_among(names, ["Ben"]) == {"Ben"}
    with pytest.raises(FormatError, match="wanted names that differ in RTTM too, got Anna_B for two people"):
        enrolled_among(names, ["Anna_B"])
