"""A recipe is read strictly."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.recipe import Recipe  # noqa: E402


def test_an_unknown_key_in_a_recipe_is_named(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('name = "x"\n[loop]\nstepps = 3\n')
    with pytest.raises(ConfigError, match=r"got loop\.stepps"):
        Recipe.read(path)


def test_a_wrong_value_in_a_recipe_is_named(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('name = "x"\n[loop]\nsteps = "many"\n')
    with pytest.raises(ConfigError, match=r"loop\.steps"):
        Recipe.read(path)
