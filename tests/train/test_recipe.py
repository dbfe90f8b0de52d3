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
        ('[loop]\noptimiser = "best"', r"loop\.optimiser.*got 'best'"),
    ],
)
def test_a_wrong_value_in_a_recipe_is_named(tmp_path, text, where):
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "x"\n{text}\n')
    with pytest.raises(ConfigError, match=where):
        Recipe.read(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('licence = "MIT"\nname = "a/b"', "wanted a name of letters, digits, dots and dashes, got 'a/b'"),
        ("[loop]\nsteps = 0", "wanted steps of 1 or more, got 0"),
        ("[loop]\nrate = nan", "wanted rate of more than 0, got nan"),
        ("[loop]\nrate = inf", "wanted rate of more than 0, got inf"),
        ("[loop]\nwarmup = -1", "wanted warmup of 0 or more, got -1"),
        ("[loop]\nthreads = 0", "wanted threads of 1 or more, got 0"),
        ("[loop]\nseed = -1", "wanted seed of 0 to .*, got -1"),
        ("[loop]\ndecay = 2.0", r"wanted decay of 0 to 1, got 2\.0"),
        ("[data]\nbatch = 0", "wanted batch of 2 or more, got 0"),
        ("[data]\neach = 0", "wanted each of 1 to 128, got 0"),
        ("[data]\nworkers = -1", "wanted workers of 0 or more, got -1"),
        ("[data]\nmasked = -3.0", r"wanted masked of 0 to 1, got -3\.0"),
        ("[data]\ncrop_seconds = [0.0, 1.0]", r"wanted crop_seconds of 0\.1 to 60, got \(0\.0, 1\.0\)"),
        ("[data]\ncrop_seconds = [2.0, 1.0]", "wanted crop_seconds from the least to the most, got 2 to 1"),
        ("[data]\nlate_crop_seconds = [nan, 1.0]", "wanted late_crop_seconds"),
        ("[augment]\nroom = 3.0", r"wanted room of 0 to 1, got 3\.0"),
        ("[augment]\nnoise_snr_db = [9.0, 3.0]", "wanted noise_snr_db from the least to the most"),
        ("[loss]\nscale = nan", "wanted scale of more than 0, got nan"),
        ("[loss]\nmargin = nan", "wanted margin of 0 to .*, got nan"),
        ("[loss]\nlate_margin = -1.0", r"wanted late_margin of 0 to .*, got -1\.0"),
        ("[loss]\nsubcentres = 0", "wanted subcentres of 1 or more, got 0"),
        ("[model.conformer]\nblocks = 0", "wanted blocks of 1 or more, got 0"),
        ("[model.conformer]\nwidth = 0", "wanted width of 1 or more, got 0"),
        ("[model.conformer]\nkernel = 4", "wanted a kernel with a middle, got the even 4"),
        ("[model.transformer]\ndropout = 1.5", r"wanted dropout of 0 to 0\.99, got 1\.5"),
        ("[model.resnet]\nchannels = 0", "wanted channels of 1 or more, got 0"),
        ("[model.residual_conformer]\nblocks = [1]", "wanted as many blocks as inner"),
    ],
)
def test_a_number_in_a_recipe_that_cannot_be_is_named_before_any_work(tmp_path, text, wanted):
    path = tmp_path / "bad.toml"
    path.write_text(text if "name =" in text else f'name = "x"\n{text}\n')
    with pytest.raises(ConfigError, match=wanted):
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
