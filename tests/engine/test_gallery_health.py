"""A gallery looked at from outside: whose it is, whether it is sound, who may read it."""

import sqlite3
from contextlib import closing

import pytest

from rtspk.engine.gallery import Gallery
from rtspk.engine.gallery_health import count_names, damage, is_private, made_by, make_private


@pytest.fixture
def path(tmp_path):
    Gallery.open(tmp_path / "voices.db", "m", 4).close()
    return tmp_path / "voices.db"


def test_a_sound_gallery_says_whose_it_is_and_how_many_names_it_has(path):
    assert (damage(path), made_by(path), count_names(path)) == ("", ("m", 4), 0)


def test_a_damaged_gallery_is_found(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE exemplars")
        connection.execute("DROP TABLE speakers")
    assert "no such table" in damage(path)


def test_what_is_no_gallery_was_made_by_no_model(tmp_path):
    (tmp_path / "voices.db").write_bytes(b"something else" * 100)
    assert made_by(tmp_path / "voices.db") is None
    assert "not a database" in damage(tmp_path / "voices.db")


def test_a_gallery_that_others_may_read_is_made_its_owners_alone(path):
    log = path.with_name("voices.db-wal")
    for part in (path, log):
        part.touch()
        part.chmod(0o644)
    assert not is_private(path)
    make_private(path)
    assert is_private(path)
    assert is_private(log)
