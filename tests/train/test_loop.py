"""Training: a run that was killed ends with the same weights as one that was not."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.checkpoint import read_checkpoint  # noqa: E402
from rtspk.train.loop import Trainer  # noqa: E402
from rtspk.train.losses import AngularMargin  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402
from tests.train.runs import KilledError, killed_at, quiet  # noqa: E402


@pytest.mark.parametrize("changed", [{}, {"average": "last", "last": 2, "cycles": 2}])
def test_kill_and_resume_give_the_same_weights(changed, pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    recipe = replace(recipe, loop=replace(recipe.loop, **changed))
    Trainer(recipe, pack, tmp_path / "a" / "whole", quiet).run()

    with pytest.raises(KilledError):
        Trainer(recipe, pack, tmp_path / "b" / "killed", killed_at(5)).run()
    again = Trainer(recipe, pack, tmp_path / "b" / "killed", quiet)
    assert again.step == 4
    again.run()
    whole = torch.load(tmp_path / "a" / "whole" / "last.pt", weights_only=True)
    killed = torch.load(tmp_path / "b" / "killed" / "last.pt", weights_only=True)
    assert whole["step"] == killed["step"] == 6
    for part in ("average", "learner"):
        assert all(torch.equal(value, killed[part][name]) for name, value in whole[part].items())
    for name in ("snapshot-1.pt", "snapshot-2.pt") if changed else ():
        one, two = (torch.load(tmp_path / run / name, weights_only=True) for run in ("a/whole", "b/killed"))
        assert all(torch.equal(value, two["average"][key]) for key, value in one["average"].items())


def test_snapshots_are_models_of_their_own_and_their_ensemble_is_logged(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    recipe = replace(
        recipe, data=replace(recipe.data, validation=0.5), loop=replace(recipe.loop, cycles=2, steps=5)
    )
    Trainer(recipe, pack, tmp_path / "run", quiet).run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["snapshots"] == 2
    assert {"ensemble_accuracy", "best_snapshot_accuracy"} <= set(rows[-1])
    first = read_checkpoint(tmp_path / "run" / "snapshot-1.pt")
    assert first.step == 4  # of 5: the warm-up is 2, and each of the cycles half of the rest, rounded up
    assert first.embedder(torch.randn(2, 40, 80), torch.ones(2, 40)).shape == (2, 12)


def test_a_line_is_told_at_every_save_and_the_loss_at_every_step(pack, recipe_file, tmp_path):
    heard: list[tuple[object, ...]] = []
    told: list[str] = []
    Trainer(Recipe.read(recipe_file), pack, tmp_path / "run", lambda *a: heard.append(a), told.append).run()
    steps = [a for a in heard if a[0] == "train"]
    assert [a[1:3] for a in steps] == [(n, 6) for n in range(1, 7)]
    assert all("loss " in a[3] and "waiting " in a[3] for a in steps)
    assert [line.split(",")[0] for line in told] == ["step 2/6", "step 4/6", "step 6/6"]
    assert told[-1].endswith(" 0:00:00 left")


def test_what_was_learnt_is_saved_before_it_is_measured(pack, recipe_file, tmp_path):
    def fail(_line: str) -> None:
        raise KilledError

    recipe = Recipe.read(recipe_file)
    with pytest.raises(KilledError):
        Trainer(recipe, pack, tmp_path / "run", quiet, fail).run()
    assert Trainer(recipe, pack, tmp_path / "run", quiet).step == 2


def test_the_late_margin_is_taken_in_the_late_steps_alone(pack, recipe_file, tmp_path, monkeypatch):
    recipe = Recipe.read(recipe_file)
    recipe = replace(recipe, loss=replace(recipe.loss, late_margin=0.5, margin=0.25, margin_warmup=0.0))
    margins = []
    forward = AngularMargin.forward

    def heard(self, embeddings, speakers, margin):
        margins.append(margin)
        return forward(self, embeddings, speakers, margin)

    monkeypatch.setattr(AngularMargin, "forward", heard)
    Trainer(recipe, pack, tmp_path / "run", quiet).run()
    assert margins[1:] == [0.25, 0.25, 0.5, 0.5, 0.5]


def test_the_log_says_every_part_of_the_loss_and_the_share_of_waiting(pack, recipe_file, tmp_path):
    Trainer(Recipe.read(recipe_file), pack, tmp_path / "runs" / "one", quiet).run()
    rows = [json.loads(line) for line in (tmp_path / "runs" / "one" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert {"margin", "teacher", "similarity", "waiting", "seconds_per_step"} <= set(rows[0])


def test_a_checkpoint_of_another_recipe_is_refused(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    Trainer(recipe, pack, tmp_path / "run", quiet).run()
    wider = replace(recipe, model=replace(recipe.model, conformer=replace(recipe.model.conformer, width=32)))
    wanted = r"the run in .*run was begun with, got model\.conformer\.width = 32 \(was 16\)"
    with pytest.raises(ConfigError, match=wanted):
        Trainer(wider, pack, tmp_path / "run", quiet)
    slower = replace(recipe, loop=replace(recipe.loop, rate=1e-4, steps=8))
    with pytest.raises(ConfigError, match=r"loop\.steps = 8 \(was 6\), loop\.rate = 0\.0001 \(was 0\.0015\)"):
        Trainer(slower, pack, tmp_path / "run", quiet)
    elsewhere = replace(recipe, data=replace(recipe.data, workers=2), loop=replace(recipe.loop, threads=2))
    assert Trainer(elsewhere, pack, tmp_path / "run", quiet).step == 6


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 half of it"])
def test_a_damaged_checkpoint_is_named(left, pack, recipe_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(left)
    with pytest.raises(ConfigError, match=r"got a damaged file at .*last\.pt"):
        Trainer(Recipe.read(recipe_file), pack, tmp_path / "run", quiet)


def test_a_run_whose_loss_is_no_number_ends_and_keeps_its_last_save(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    trainer = Trainer(replace(recipe, loop=replace(recipe.loop, rate=1e30)), pack, tmp_path / "run", quiet)
    with pytest.raises(ConfigError, match="wanted gradients that are numbers, got nan at a learning rate of"):
        trainer.run()
    assert all(torch.isfinite(one).all() for one in trainer.learner.parameters())
    assert not (tmp_path / "run" / "final.pt").exists()


def test_a_run_is_not_put_where_a_file_is(pack, recipe_file):
    with pytest.raises(ConfigError, match=r"wanted a folder at .*train\.csv, got a file in its place"):
        Trainer(Recipe.read(recipe_file), pack, pack / "train.csv", quiet)


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
