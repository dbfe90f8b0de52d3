"""A recipe is read strictly, and those that come with rtspk are whole."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.learner import Learner  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402
from rtspk.train.segmenter_recipe import task_of  # noqa: E402

FOLDER = Path(__file__).parents[2] / "rtspk" / "train" / "recipes"
RECIPES = sorted(path for path in FOLDER.glob("*.toml") if not task_of(path))


def test_an_unknown_key_in_a_recipe_is_named(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('name = "x"\n[loop]\nstepps = 3\n')
    with pytest.raises(ConfigError, match=r"got loop\.stepps"):
        Recipe.read(path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[loop]\nsteps = "many"', r"loop\.steps"),
        ('[model]\nnetwork = "cnn"', r"model\.network"),
        ('[loss]\nclassifier = "cosine"', r"loss\.classifier"),
        ("[model.resnet]\ndepth = 20", r"model\.resnet\.depth"),
    ],
)
def test_a_wrong_value_in_a_recipe_is_named(tmp_path, text, where):
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "x"\n{text}\n')
    with pytest.raises(ConfigError, match=where):
        Recipe.read(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_that_comes_with_rtspk_builds_what_it_names(path):
    recipe = Recipe.read(path)
    assert recipe.name == path.stem
    learner = Learner(recipe, 5, [256, 192] if recipe.data.targets else [])
    assert learner.network.dimension == getattr(recipe.model, recipe.model.network).dimension


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_that_begins_with_another_has_its_network(path):
    recipe = Recipe.read(path)
    if not recipe.start:
        assert not recipe.model.freeze
        return
    if recipe.start.endswith(".onnx"):  # a public network: whose, and under what licence, is said
        assert recipe.credit
        assert recipe.licence != "Apache-2.0"
        return
    first = Recipe.read(path.with_name(f"{recipe.start.partition('/')[0]}.toml"))
    shapes = [
        {name: value.shape for name, value in Learner(one, 5, []).network.state_dict().items()}
        for one in (recipe, first)
    ]
    added = {name for name in shapes[0].keys() - shapes[1].keys() if ".residuals." in name}  # these may be
    assert {name: shape for name, shape in shapes[0].items() if name not in added} == shapes[1]
