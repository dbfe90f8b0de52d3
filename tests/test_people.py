"""Who is in a folder of clips."""

import pytest

from rtspk.errors import FormatError
from rtspk.people import people_in


def lay(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def names(people):
    return {name: [clip.name for clip in clips] for name, clips in people.items()}


def test_a_folder_is_a_person_and_so_is_a_clip_by_itself(tmp_path):
    lay(
        tmp_path, "Anna/1.wav", "Anna/phone/2.mp3", "Ben.flac", "Анна Б./a.opus", "notes.txt", ".hidden/x.wav"
    )
    lay(tmp_path, "Anna/.cover.jpg", "Anna/text.csv", "Ben/desktop.ini", "empty/readme.md")
    assert names(people_in(tmp_path)) == {
        "Anna": ["1.wav", "2.mp3"],
        "Ben": ["Ben.flac"],
        "Анна Б.": ["a.opus"],
    }


def test_a_table_says_who_is_to_be_enrolled_from_both_folders(tmp_path):
    lay(tmp_path, "enrol/a.flac", "enrol/b.flac")
    table = "speaker,file,seconds,enrolled,listed\na,enrol/a.flac,10,yes,x\nb,enrol/b.flac,10,no,y\n"
    (tmp_path / "enrol.csv").write_text(table)
    for folder in (tmp_path, tmp_path / "enrol"):
        assert names(people_in(folder)) == {"a": ["a.flac"]}
    lay(tmp_path, "others/Cleo.wav")
    assert names(people_in(tmp_path / "others")) == {"Cleo": ["Cleo.wav"]}


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("speaker,file\na,enrol/a.flac\n", "wanted columns enrolled"),
        ("speaker,file,enrolled\na,enrol/none.flac,yes\n", r"wanted the clip enrol/none\.flac"),
        ("speaker,file,enrolled\na,enrol/a.flac,no\n", "got nobody"),
        ("speaker,file,enrolled\na,enrol/a.flac,yes\na\n", r"in row 2 of .*enrol\.csv, got fewer"),
        ("", "wanted columns"),
    ],
)
def test_a_table_that_is_none_is_named(tmp_path, table, wanted):
    lay(tmp_path, "enrol/a.flac")
    (tmp_path / "enrol.csv").write_text(table)
    with pytest.raises(FormatError, match=wanted):
        people_in(tmp_path)


def test_a_folder_with_nobody_in_it_is_refused(tmp_path):
    with pytest.raises(FormatError, match="a folder for each person"):
        people_in(tmp_path)
    with pytest.raises(FormatError, match="wanted a folder of people"):
        people_in(tmp_path / "none")
