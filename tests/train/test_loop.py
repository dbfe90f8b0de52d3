"""Training: a run that was killed ends with the same weights as one that was not."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.loop import Trainer  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402


def quiet(*_: object) -> None:
    """No progress."""


class KilledError(Exception):
    """Stands for the signal."""


def test_kill_and_resume_give_the_same_weights(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    Trainer(recipe, pack, tmp_path / "a" / "whole", quiet).run()

    def kill(what: str, done: int, _: int) -> None:
        if what == "train" and done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        Trainer(recipe, pack, tmp_path / "b" / "killed", kill).run()
    again = Trainer(recipe, pack, tmp_path / "b" / "killed", quiet)
    assert again.step == 4
    again.run()
    whole = torch.load(tmp_path / "a" / "whole" / "last.pt", weights_only=True)
    killed = torch.load(tmp_path / "b" / "killed" / "last.pt", weights_only=True)
    assert whole["step"] == killed["step"] == 6
    for part in ("average", "learner"):
        assert all(torch.equal(value, killed[part][name]) for name, value in whole[part].items())


def test_the_log_says_every_part_of_the_loss_and_the_share_of_waiting(pack, recipe_file, tmp_path):
    Trainer(Recipe.read(recipe_file), pack, tmp_path / "runs" / "one", quiet).run()
    rows = [json.loads(line) for line in (tmp_path / "runs" / "one" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert {"margin", "teacher", "similarity", "waiting", "seconds_per_step"} <= set(rows[0])


def test_a_checkpoint_of_another_recipe_is_refused(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    Trainer(recipe, pack, tmp_path / "run", quiet).run()
    wider = replace(recipe, model=replace(recipe.model, width=32))
    with pytest.raises(ConfigError, match="expected a checkpoint of this recipe"):
        Trainer(wider, pack, tmp_path / "run", quiet)


def test_a_run_may_begin_with_the_weights_of_another(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    Trainer(recipe, pack, tmp_path / "first", quiet).run()
    second = Trainer(replace(recipe, start="first/last.pt"), pack, tmp_path / "second", quiet)
    first = torch.load(tmp_path / "first" / "last.pt", weights_only=True)
    assert second.step == 0
    assert all(torch.equal(v, first["learner"][k]) for k, v in second.learner.state_dict().items())


def test_a_start_that_is_missing_is_named(pack, recipe_file, tmp_path):
    recipe = replace(Recipe.read(recipe_file), start="none/last.pt")
    with pytest.raises(ConfigError, match=r"none/last\.pt"):
        Trainer(recipe, pack, tmp_path / "second", quiet)
