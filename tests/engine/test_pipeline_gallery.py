"""The gallery that an engine is loaded with: named, missing, made, or held by somebody else."""

import contextlib
import sqlite3

import pytest

from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.errors import GalleryError, StorageError

ANNA = DEMO / "Anna.opus"


def test_a_gallery_that_the_environment_names_and_is_missing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("RTSPK_GALLERY", str(tmp_path / "none.db"))
    with pytest.raises(GalleryError, match="got nothing there"):
        Engine.load(create=False)


def test_a_gallery_that_was_named_and_is_missing_is_an_error(tmp_path):
    with pytest.raises(GalleryError, match="got nothing there"):
        Engine.load(tmp_path / "none.db", create=False)


def test_a_gallery_that_was_named_is_made_and_remembers(tmp_path):
    Engine.load(gallery=str(tmp_path / "voices.db")).enroll("Anna", ANNA)
    assert Engine.load(tmp_path / "voices.db").identify(ANNA).name == "Anna"


def test_the_default_gallery_is_not_made_by_listening(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("RTSPK_GALLERY", raising=False)
    assert len(Engine.load(create=False).gallery) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_locked_gallery_is_waited_for_as_long_as_the_engine_is_told(tmp_path):
    engine = Engine.load(tmp_path / "voices.db", device="cpu", busy_seconds=0.05)
    other = sqlite3.connect(tmp_path / "voices.db", isolation_level=None)
    with contextlib.closing(other), contextlib.closing(engine.gallery):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"within 0\.05 s, got it locked"):
            engine.enroll("Anna", ANNA)
