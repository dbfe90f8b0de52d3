"""A gallery's export: imported to the bit and only once, signed, refused whole where it is unsound."""

import base64
import json
import stat

import numpy as np
import pytest

from rtspk.engine.gallery import Gallery
from rtspk.errors import FormatError, GalleryError
from tests.engine.conftest import PRINT_DIMENSION as DIMENSION
from tests.engine.conftest import message, open_gallery, prints


def test_what_is_exported_is_imported_to_the_bit_and_only_once(tmp_path, gallery):
    gallery.add("Anna", prints(1, 3), "a.wav", qualities=[0.1, 0.2, 0.3])
    gallery.add("Бен", prints(2), "b.wav")
    assert gallery.export(tmp_path / "voices.json") == 2
    assert stat.S_IMODE((tmp_path / "voices.json").stat().st_mode) == 0o600
    with open_gallery(tmp_path / "other.db") as other:
        assert other.import_(tmp_path / "voices.json") == 4
        assert other.import_(tmp_path / "voices.json") == 0
        assert other.speakers() == gallery.speakers()
        for one, two in zip(other.show("Anna").exemplars, gallery.show("Anna").exemplars, strict=True):
            assert np.array_equal(one.vector, two.vector)
            assert (one.source, one.quality, one.created) == (two.source, two.quality, two.created)
        other.export(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "voices.json").read_bytes()


def test_a_signed_archive_opens_with_its_key_alone(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    signed, plain = tmp_path / "signed.json", tmp_path / "plain.json"
    gallery.export(signed, key=b"correct horse")
    gallery.export(plain)
    with open_gallery(None) as other:
        for file, key, wanted in (
            (signed, None, "wanted the key of a signed archive, got none"),
            (signed, b"wrong horse", "got another key, or a change behind the signature"),
            (plain, b"correct horse", "wanted an archive that is signed, got one that is not"),
        ):
            with pytest.raises(FormatError, match=wanted):
                other.import_(file, key=key)
        assert len(other) == 0
        assert other.import_(signed, key=b"correct horse") == 1


@pytest.mark.parametrize("key", [None, b"correct horse"])
def test_an_archive_that_was_changed_is_refused(tmp_path, gallery, key):
    gallery.add("Anna", prints(1), "a")
    file = tmp_path / "voices.json"
    gallery.export(file, key=key)
    file.write_text(file.read_text().replace("Anna", "Hans"))
    with pytest.raises(FormatError, match=r"got .*a change behind the s"):
        gallery.import_(file, key=key)
    assert [one.name for one in gallery.speakers()] == ["Anna"]


def test_a_changed_archive_is_not_let_in_by_calling_it_one_of_the_first_version(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    file = tmp_path / "voices.json"
    gallery.export(file, key=b"correct horse")
    export = json.loads(file.read_text()) | {"version": 1}
    export["speakers"][0]["name"] = "Hans"
    file.write_text(json.dumps(export))
    with pytest.raises(FormatError, match="got another key, or a change behind the signature"):
        gallery.import_(file, key=b"correct horse")
    assert [one.name for one in gallery.speakers()] == ["Anna"]


@pytest.mark.parametrize("key", [None, b"correct horse"])
def test_a_seal_that_is_no_number_is_refused(tmp_path, gallery, key):
    gallery.add("Anna", prints(1), "a")
    file = tmp_path / "voices.json"
    gallery.export(file, key=key)
    export = json.loads(file.read_text())
    export["seal"]["value"] = "ä"
    file.write_text(json.dumps(export))
    with pytest.raises(FormatError, match=r"got .*a change behind the s"):
        gallery.import_(file, key=key)


def test_an_archive_of_the_first_version_has_no_seal_and_is_imported(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    file = tmp_path / "voices.json"
    gallery.export(file)
    first = json.loads(file.read_text()) | {"version": 1}
    del first["seal"]
    file.write_text(json.dumps(first))
    with open_gallery(None) as other:
        assert other.import_(file) == 1


def test_an_import_adds_to_a_name_that_is_known(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    gallery.export(tmp_path / "voices.json")
    with open_gallery(tmp_path / "other.db") as other:
        other.add("Anna", prints(2), "b")
        other.search(prints(1)[0].vector, 1)
        assert other.import_(tmp_path / "voices.json") == 1
        assert other.speakers()[0].exemplars == 2
        assert other.search(prints(1)[0].vector, 1)[0][1] == pytest.approx(1.0)


def test_voices_of_another_model_are_not_imported(tmp_path, gallery):
    gallery.add("Anna", prints(1), "a")
    gallery.export(tmp_path / "voices.json")
    with Gallery.open(None, "other-model", DIMENSION) as other:
        with pytest.raises(GalleryError, match=r"wanted voices of the model other-model .* of test-model"):
            other.import_(tmp_path / "voices.json")
        assert len(other) == 0


ZEROS = base64.b64encode(bytes(4 * DIMENSION)).decode()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda export: export.update(version=3), "at version"),
        (lambda export: export.update(format="x"), "JSON of another kind"),
        (lambda export: export.update(extra=1), "at extra"),
        (lambda export: export.pop("speakers"), "at speakers"),
        (lambda export: export["speakers"][1].update(name="\n"), "wanted a name"),
        (lambda export: export["speakers"][1]["exemplars"][0].update(vector="?"), "float32 in base64"),
        (lambda export: export["speakers"][1]["exemplars"][0].update(vector=ZEROS), "not zero"),
        (
            lambda export: export["speakers"][1]["exemplars"][0].update(quality=7),
            "at speakers.1.exemplars.0.quality",
        ),
        (lambda export: export["speakers"][1]["exemplars"][0].update(net_speech="9"), "net_speech"),
        (lambda export: export["speakers"][1]["exemplars"][0].update(net_speech=2**63), "net_speech"),
        (lambda export: export["speakers"][1].update(created="yesterday"), "at speakers.1.created"),
    ],
)
def test_a_file_that_is_no_sound_export_is_refused_whole(tmp_path, gallery, change, wanted):
    gallery.add("Anna", prints(1), "a")
    gallery.add("Ben", prints(2), "b")
    file = tmp_path / "voices.json"
    gallery.export(file)
    export = json.loads(file.read_text()) | {"version": 1, "seal": None}
    change(export)
    file.write_text(json.dumps(export))
    with open_gallery(None) as other:
        with pytest.raises((FormatError, GalleryError)) as caught:
            other.import_(file)
        assert wanted in message(caught)
        assert len(other) == 0


def test_a_missing_or_broken_export_is_named(tmp_path, gallery):
    with pytest.raises(FormatError, match="wanted an exported gallery, got No such file"):
        gallery.import_(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format": "rtspk-gal')
    with pytest.raises(FormatError, match="wanted an exported gallery, got no JSON: "):
        gallery.import_(tmp_path / "half.json")
