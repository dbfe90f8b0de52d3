"""A segmenter's recipe is told from an embedder's, read strictly, and the one that ships is whole."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.segmenter_network import SegmenterNetwork  # noqa: E402 - behind the skip
from rtspk.errors import ConfigError  # noqa: E402
from rtspk.train.segmenter_recipe import SegmenterRecipe, task_of  # noqa: E402

RECIPES = Path(__file__).parents[2] / "rtspk" / "train" / "recipes"


def test_the_recipe_that_ships_is_a_segmenters_and_builds_its_network():
    path = RECIPES / "segmenter.toml"
    assert task_of(path) == "segmenter"
    recipe = SegmenterRecipe.read(path)
    assert recipe.name == path.stem
    assert SegmenterNetwork(recipe.model, recipe.features.mels)(torch.zeros(1, 8, 80)).shape == (1, 2, 7)


def test_nothing_else_is_a_segmenters_recipe(recipe_file, tmp_path):
    assert task_of(recipe_file) == ""
    (tmp_path / "other.toml").write_bytes(b"\xff no TOML")
    assert task_of(tmp_path / "other.toml") == ""
    assert task_of(tmp_path / "none.toml") == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nwidht = 8", r"got model\.widht"),
        ("[loop]\ncycles = 2", "wanted a segmenter's run of one cycle, got 2"),
        ("[loop]\nblend = 0.5", "wanted a start to blend with, got none beside a blend of 0.5"),
        ("[features]\nhop = 80", "wanted features of 16000 Hz with a hop of 160 samples, got 16000 and 80"),
        ("[features]\nsample_rate = 8000\nhigh = 4000", "wanted features of 16000 Hz"),
        ("[data]\nbatch = 0", "wanted batch of 1 or more, got 0"),
        ("[model]\nblocks = 0", "wanted blocks of 1 or more, got 0"),
        ("[data]\ncrop_seconds = 20", "wanted crops of 0.04 to 10 s"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "x"\ntask = "segmenter"\n{text}\n')
    with pytest.raises(ConfigError, match=message):
        SegmenterRecipe.read(path)
