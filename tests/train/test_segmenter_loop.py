"""Training a segmenter: it learns, and a run that was killed ends as one that was not."""

import json
from dataclasses import replace
from itertools import permutations

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.powerset import MEMBERS  # noqa: E402 - behind the skip
from rtspk.errors import ConfigError  # noqa: E402
from rtspk.train.segmenter_loop import SegmenterTrainer, powerset_loss  # noqa: E402
from rtspk.train.segmenter_recipe import SegmenterRecipe  # noqa: E402
from tests.train.runs import KilledError, killed_at, quiet  # noqa: E402


@pytest.fixture
def recipe(segmenter_file):
    return SegmenterRecipe.read(segmenter_file)


@pytest.fixture(scope="session")
def worked(tmp_path_factory):
    """The folder of all runs, which share the arrays that are kept there."""
    return tmp_path_factory.mktemp("runs")


def moved(order):
    """Where each class goes when speaker i takes the number order[i]."""
    names = [frozenset(i for i in range(3) if row[i]) for row in MEMBERS]
    return [names.index(frozenset(order[i] for i in name)) for name in names]


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_the_least_over_all_six_orders(seed):
    generator = torch.Generator().manual_seed(seed)
    said = torch.log_softmax(2 * torch.randn(5, 9, 7, generator=generator), -1)
    wanted = torch.softmax(3 * torch.randn(5, 9, 7, generator=generator), -1)
    slow = []
    for crop in range(5):
        tried = []
        for order in permutations(range(3)):
            other = torch.zeros(9, 7)
            other[:, moved(order)] = wanted[crop]
            tried.append(float(-(other * said[crop]).sum(-1).mean()))
        slow.append(min(tried))
    assert float(powerset_loss(said, wanted)) == pytest.approx(sum(slow) / 5, rel=1e-5)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_other_numbers_of_the_speakers_cost_nothing(order):
    wanted = torch.softmax(torch.randn(1, 20, 7, generator=torch.Generator().manual_seed(0)), -1)
    other = torch.zeros_like(wanted)
    other[..., moved(order)] = wanted
    entropy = -(wanted * wanted.log()).sum(-1).mean()
    assert float(powerset_loss(other.log(), wanted)) == pytest.approx(float(entropy), rel=1e-5)


def test_a_speaker_may_not_change_numbers_within_a_crop():
    def crop(*classes):
        return torch.eye(7)[list(classes)][None]

    wanted = crop(1, 1, 2, 2)
    same, changed = (torch.log(0.9 * one + 0.01) for one in (crop(3, 3, 1, 1), crop(1, 1, 1, 1)))
    assert float(powerset_loss(same, wanted)) < 0.2
    assert float(powerset_loss(changed, wanted)) > 2.0


def test_the_loss_falls_and_so_does_the_error(recipe, conversations, worked):
    plain = replace(recipe.data, noise=0.0, tilt=0.0, masked=0.0, short_share=0.0, teacher="", batch=6)
    loop = replace(recipe.loop, steps=60, warmup=5, save_every=30, rate=1e-2, average="last", last=1)
    trainer = SegmenterTrainer(
        replace(recipe, data=plain, loop=loop), conversations, worked / "learns", quiet
    )
    trainer.run()
    rows = [json.loads(line) for line in (worked / "learns" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [30, 60]
    assert rows[1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[1]["der"] < 0.8
    assert rows[1]["der"] == pytest.approx(
        sum(rows[1][n] for n in ("miss", "false_alarm", "confusion")), abs=2e-4
    )


@pytest.mark.parametrize("changed", [{}, {"average": "last", "last": 2, "optimiser": "muon"}])
def test_kill_and_resume_give_the_same_weights(changed, recipe, conversations, worked):
    recipe = replace(recipe, model=replace(recipe.model, dropout=0.2), loop=replace(recipe.loop, **changed))
    runs = worked / recipe.loop.average
    runs.mkdir()
    SegmenterTrainer(recipe, conversations, runs / "whole", quiet).run()

    with pytest.raises(KilledError):
        SegmenterTrainer(recipe, conversations, runs / "killed", killed_at(5)).run()
    again = SegmenterTrainer(recipe, conversations, runs / "killed", quiet)
    assert again.step == 4
    again.run()
    for name, parts in (("last.pt", ("average", "learner")), ("final.pt", ("average",))):
        one, two = (torch.load(runs / run / name, weights_only=True) for run in ("whole", "killed"))
        assert one["step"] == two["step"] == 6
        for part in parts:
            assert all(torch.equal(value, two[part][key]) for key, value in one[part].items())
    assert one["error"] == two["error"]
    assert set(one["error"]) == {"der", "miss", "false_alarm", "confusion"}


def test_a_line_is_told_at_every_save_and_the_loss_at_every_step(recipe, conversations, worked):
    heard: list[tuple[object, ...]] = []
    told: list[str] = []
    alone = replace(recipe, data=replace(recipe.data, development=""))
    SegmenterTrainer(alone, conversations, worked / "told", lambda *a: heard.append(a), told.append).run()
    steps = [a for a in heard if a[0] == "train"]
    assert [a[1:3] for a in steps] == [(n, 6) for n in range(1, 7)]
    assert all("loss " in str(a[3]) and "waiting " in str(a[3]) for a in steps)
    assert [line.split(",")[0] for line in told] == ["step 2/6", "step 4/6", "step 6/6"]
    assert told[-1].endswith(" 0:00:00 left")
    assert not any("local DER" in line for line in told)  # nothing is kept to measure on
    assert torch.load(worked / "told" / "final.pt", weights_only=True)["error"] == {}


def test_a_run_that_is_finished_goes_on_to_nothing(recipe, conversations, worked):
    path = SegmenterTrainer(recipe, conversations, worked / "twice", quiet).run()
    first = torch.load(path, weights_only=True)
    told: list[str] = []
    again = SegmenterTrainer(recipe, conversations, worked / "twice", quiet, told.append)
    assert (again.step, again.run(), told) == (6, path, [])
    second = torch.load(path, weights_only=True)
    assert all(torch.equal(value, second["average"][key]) for key, value in first["average"].items())


def refusal(*arguments):
    with pytest.raises(ConfigError) as caught:
        SegmenterTrainer(*arguments, quiet)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_of_another_recipe_is_refused_in_one_line(recipe, conversations, worked):
    SegmenterTrainer(recipe, conversations, worked / "one", quiet).run()
    wider = replace(recipe, model=replace(recipe.model, width=32))
    assert "model.width = 32 (was " in refusal(wider, conversations, worked / "one")
    (worked / "one" / "last.pt").write_text("no checkpoint")
    assert "got a damaged file at" in refusal(recipe, conversations, worked / "one")


def test_a_run_may_begin_with_the_averaged_weights_of_another(recipe, conversations, worked):
    first = torch.load(
        SegmenterTrainer(recipe, conversations, worked / "first", quiet).run(), weights_only=True
    )
    start = replace(recipe, start="first/final.pt")
    second = SegmenterTrainer(start, conversations, worked / "second", quiet)
    assert second.step == 0
    for weights in (second.network.state_dict(), second.averaged().state_dict()):
        assert all(torch.equal(value, first["average"][key]) for key, value in weights.items())
    wider = replace(start, model=replace(recipe.model, width=32))
    assert "checkpoint of this recipe's network to start from" in refusal(
        wider, conversations, worked / "third"
    )
    missing = replace(recipe, start="none/final.pt")
    assert refusal(missing, conversations, worked / "third").endswith("none/final.pt, got nothing there")
