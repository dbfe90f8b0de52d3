"""Installed models: found by id, used by default, never half there."""

import re
import shutil
from pathlib import Path

import pytest

from rtspk.config import read_toml
from rtspk.engine.embedder import BUNDLED, EmbedderCard
from rtspk.engine.registry import Registry, resolve_model
from rtspk.engine.segmenter import SegmenterCard
from rtspk.errors import ConfigError, ModelError

SHIPPED = BUNDLED / "embedder"
NAMED = ("trunk.onnx", "trunk.npz", "head.onnx", "head.npz", "cohort.npy", "voicing.npy")  # by the card
COPIED = (*NAMED, "weights.safetensors", "naming.toml")


@pytest.fixture
def exported(tmp_path):
    """What `rtspk export` would have made: the bundled model under an id of its own."""
    folder = tmp_path / "exported"
    folder.mkdir()
    card = (SHIPPED / "card.toml").read_text()
    (folder / "card.toml").write_text(card.replace(card.split('"')[1], "mine-1", 1))
    (folder / "README.md").write_text("# mine-1\n")
    (folder / "metrics.toml").write_text('[eer]\nfull = 0.04\n"1.5" = 0.07\n[accuracy]\ntest = 0.98\n')
    (folder / "checkpoint.pt").write_text("stays where it is")
    for name in COPIED:
        shutil.copyfile(SHIPPED / name, folder / name)
    return folder


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("RTSPK_MODELS", str(tmp_path / "models"))
    return Registry()


def test_the_bundled_model_is_in_use_until_told_otherwise(registry):
    (only,) = registry.models()
    assert (only.folder, only.in_use, only.dimension) == (SHIPPED, True, 192)
    assert resolve_model() == SHIPPED


def test_an_added_model_is_found_by_its_id_and_by_its_folder(registry, exported):
    assert registry.add(exported, "staging") == "mine-1"
    folder = registry.folder / "mine-1"
    assert resolve_model("mine-1") == folder
    assert resolve_model(exported) == exported
    wanted = {*COPIED, "README.md", "card.toml", "metrics.toml"}
    assert {path.name for path in folder.iterdir()} == wanted
    mine = registry.models()[1]
    assert (mine.id, mine.stage, mine.in_use) == ("mine-1", "staging", False)
    assert mine.error_rates == {"full": 0.04, "1.5": 0.07}
    assert mine.accuracy == {"test": 0.98}
    assert mine.size == sum(path.stat().st_size for path in exported.glob("*.onnx"))


def test_the_model_in_use_is_the_default_and_bundled_goes_back(registry, exported):
    registry.add(exported)
    assert registry.use("mine-1").in_use
    assert resolve_model() == registry.folder / "mine-1"
    assert resolve_model("bundled") == SHIPPED
    registry.use("bundled")
    assert resolve_model() == SHIPPED


def test_the_bundled_model_is_meant_by_its_id_too(registry, exported):
    registry.add(exported)
    registry.use("mine-1")
    own = registry.models()[0].id
    assert resolve_model(own) == SHIPPED
    assert registry.use(own).folder == SHIPPED
    assert resolve_model() == SHIPPED


def test_adding_again_replaces_the_files_and_the_stage(registry, exported):
    registry.add(exported, "production")
    (exported / "metrics.toml").unlink()
    registry.add(exported, "experimental")
    mine = registry.models()[1]
    assert (mine.stage, mine.error_rates) == ("experimental", {})
    assert sorted(path.name for path in registry.folder.iterdir()) == ["mine-1", "registry.toml"]


def test_an_installed_model_may_be_added_from_where_it_is(registry, exported):
    registry.add(exported)
    registry.add(registry.folder / "mine-1", "production")
    assert registry.models()[1].stage == "production"


def test_a_model_in_use_is_not_removed(registry, exported):
    registry.add(exported)
    registry.use("mine-1")
    with pytest.raises(ConfigError, match="not in use"):
        registry.remove("mine-1")
    registry.use("bundled")
    registry.remove("mine-1")
    assert len(registry.models()) == 1


@pytest.mark.parametrize("name", ["nothing", "../models", "", "bundled"])
def test_what_is_not_installed_is_not_removed(registry, name):
    with pytest.raises(ModelError, match="one of bundled"):
        registry.remove(name)


def test_an_unknown_id_names_those_that_there_are(registry, exported):
    registry.add(exported)
    with pytest.raises(ModelError, match=r"one of bundled, mine-1; got 'nothing'"):
        resolve_model("nothing")


def test_a_copy_under_way_is_no_model(registry, exported):
    registry.add(exported)
    shutil.copytree(registry.folder / "mine-1", registry.folder / ".new-mine-2")
    assert [model.folder.name for model in registry.models()] == ["embedder", "mine-1"]
    with pytest.raises(ModelError, match="one of bundled, mine-1; got 'none'"):
        registry.folder_of("none")


@pytest.mark.parametrize("name", NAMED)
def test_a_folder_without_what_its_card_names_is_refused_and_leaves_nothing(name, registry, exported):
    (exported / name).unlink()
    with pytest.raises(ModelError, match=f"wanted the file {re.escape(name)} beside its card, got none in"):
        registry.add(exported)
    assert not registry.folder.exists()


def test_an_id_that_leads_elsewhere_is_refused(registry, exported):
    card = (exported / "card.toml").read_text()
    (exported / "card.toml").write_text(card.replace("mine-1", "../mine"))
    with pytest.raises(ModelError, match="letters, digits"):
        registry.add(exported)


def test_an_unknown_stage_is_named(registry, exported):
    with pytest.raises(ConfigError, match="got 'done'"):
        registry.add(exported, "done")


def test_the_cards_in_the_docs_are_cards(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    embedder, segmenter = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "embedder.toml").write_text(embedder, encoding="utf-8")
    (tmp_path / "segmenter.toml").write_text(segmenter, encoding="utf-8")
    assert read_toml(tmp_path / "embedder.toml", EmbedderCard).dimension == 256
    assert read_toml(tmp_path / "segmenter.toml", SegmenterCard).seconds == 5.0
