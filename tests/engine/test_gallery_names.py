"""Names in a gallery: in any script and in one form, given to others, merged."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.engine.gallery import clean_name
from rtspk.errors import GalleryError
from tests.engine.conftest import message, prints


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=300))
def test_a_name_in_any_script_is_stored_in_one_form(name):
    if not name.strip():
        return
    if len(unicodedata.normalize("NFC", name).strip()) > 300:
        return
    try:
        cleaned = clean_name(name)
    except GalleryError:  # bare marks, and marks that turn the direction
        return
    assert cleaned == clean_name(cleaned) == clean_name(unicodedata.normalize("NFD", f" {name} "))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Åsa Öberg",
            "Анна",
            "阿明",
            "आरती",
            "عائشة",
            'O\'Neil "Shorty"',
            "a/b\\c",
            "..",
            "-rf *",
            "%s {0}",
        ),
        *("n" * 300, "'; DROP TABLE speakers; --", "👩🏽\u200d🔬", "<b>Anna</b>", "no  double   blanks lost"),
    ],
)
def test_names_of_all_kinds_live_through_a_whole_life(gallery, tmp_path, name):
    (voice,) = prints(1)
    gallery.add(name, [voice], name)
    assert gallery.search(voice.vector, 1)[0][0] == unicodedata.normalize("NFC", name)
    gallery.export(tmp_path / "voices.json")
    gallery.rename(name, "x")
    gallery.rename("x", name)
    gallery.delete(name)
    assert gallery.import_(tmp_path / "voices.json") == 1
    assert gallery.show(name).exemplars[0].source == name


def test_two_spellings_of_one_name_are_one_name(gallery):
    gallery.add("Zoe\u0308", prints(1), "a")
    gallery.add(" Zo\u00eb ", prints(2), "b")
    assert [(one.name, one.exemplars) for one in gallery.speakers()] == [("Zo\u00eb", 2)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("", "wanted a name, got an empty one"),
        (" \t ", "wanted a name, got an empty one"),
        ("a" * 301, "at most 300 characters, got 301"),
        ("An\x00na", r"without control characters, got '\x00' in it"),
        ("An\nna", r"without control characters, got '\n' in it"),
        ("An\u2028na", r"without control characters, got '\u2028' in it"),
        ("An\ud800na", r"without control characters, got '\ud800' in it"),
        ("An\u202ena", r"without control characters, got '\u202e' in it"),
        ("\u200b\u200d", r"wanted a name that can be seen, got '\u200b\u200d'"),
    ],
)
def test_a_name_that_is_none_is_refused(gallery, name, wanted):
    with pytest.raises(GalleryError) as caught:
        gallery.add(name, prints(1), "a")
    assert wanted in message(caught)
    assert len(gallery) == 0


@pytest.mark.parametrize("name", ["S1", " S12", "unknown", "Unknown "])
def test_a_name_that_strangers_bear_is_given_to_nobody(gallery, name):
    gallery.add("Anna", prints(1), "a")
    for give in (lambda: gallery.add(name, prints(2), "b"), lambda: gallery.rename("Anna", name)):
        with pytest.raises(GalleryError) as caught:
            give()
        assert message(caught) == f"wanted a name that is not what strangers are called, got {name.strip()!r}"
    assert [one.name for one in gallery.speakers()] == ["Anna"]


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\u00ad", "\u2060"])
def test_a_name_that_looks_like_another_by_what_nobody_sees_is_refused(gallery, mark):
    gallery.add("Anna", prints(1), "a")
    with pytest.raises(GalleryError) as caught:
        gallery.add(f"Anna{mark}", prints(2), "b")
    assert message(caught).startswith("wanted a name all of which can be seen, got '\\")
    gallery._file.write("UPDATE speakers SET name = ?", f"Anna{mark}")  # as an earlier version stored it
    assert gallery.rename(f"Anna{mark}", "Anna").name == "Anna"
    for fine in (
        "\u0645\u06cc\u200c\u0634\u0648\u062f",
        "\U0001f469\u200d\U0001f467",
        "\u05e2\u05de\u05e8\u200e B",
    ):
        assert gallery.add(fine, prints(3), "c").name == fine


def test_a_gallery_keeps_such_a_name_that_it_has_already(gallery, tmp_path):
    gallery.add("Anna", prints(1), "a")
    gallery._file.write("UPDATE speakers SET name = ?", "S3")
    assert gallery.show("S3").name == "S3"
    gallery.export(tmp_path / "voices.json")
    gallery.rename("S3", "Sam")
    assert gallery.import_(tmp_path / "voices.json") == 1
    gallery.delete("S3")
    for fine in ("S0", "S0002", "s3", "S3a", "Sam 3"):
        assert gallery.add(fine, prints(3), "c").name == fine


# Rename and merge


def test_a_renamed_voice_is_found_under_its_new_name(gallery):
    (anna,) = prints(1)
    gallery.add("Anna", [anna], "a")
    gallery.search(anna.vector, 1)
    assert gallery.rename("Anna", "Anne").name == "Anne"
    assert gallery.search(anna.vector, 1)[0][0] == "Anne"
    assert gallery.rename("Anne", "Anne").exemplars == 1
    with pytest.raises(GalleryError, match="'Anna', which is not in it"):
        gallery.show("Anna")


def test_a_name_that_is_taken_is_not_given_again(gallery):
    gallery.add("Anna", prints(1), "a")
    gallery.add("Ben", prints(2), "b")
    with pytest.raises(GalleryError, match="wanted a name that is free, got 'Ben': merge the two instead"):
        gallery.rename("Anna", "Ben")
    assert [one.name for one in gallery.speakers()] == ["Anna", "Ben"]


def test_merged_voices_are_found_under_the_name_that_stays(gallery):
    anna, annie = prints(1, 2), prints(2, 3)
    gallery.add("Anna", anna, "a")
    gallery.add("Annie", annie, "b")
    gallery.search(anna[0].vector, 1)
    assert gallery.merge("Annie", "Anna").exemplars == 5
    assert [one.name for one in gallery.speakers()] == ["Anna"]
    assert gallery.search(annie[1].vector, 9) == [("Anna", pytest.approx(1.0))]


def test_merging_needs_two_names_that_are_there(gallery):
    gallery.add("Anna", prints(1), "a")
    with pytest.raises(GalleryError, match="two names to merge, got 'Anna' twice"):
        gallery.merge("Anna", "Anna ")
    with pytest.raises(GalleryError, match="'Ben', which is not in it"):
        gallery.merge("Anna", "Ben")
    with pytest.raises(GalleryError, match="'Ben', which is not in it"):
        gallery.delete("Ben")
    assert gallery.speakers()[0].exemplars == 1
