"""Recurrences at fewer steps: begun with a public network, taught by it, resumed, and run by the engine."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
pytest.importorskip("onnx", reason="public networks are ONNX files")

from rtspk.audio import write_wav  # noqa: E402 - behind the skips
from rtspk.cli.build import export, train  # noqa: E402
from rtspk.engine.recurrent import PARTS, RecurrentNetwork  # noqa: E402
from rtspk.engine.segmenter import load_segmenter  # noqa: E402
from rtspk.errors import ConfigError, FormatError, ModelError  # noqa: E402
from rtspk.train.adopt import adopt_segmenter, read_weights  # noqa: E402
from rtspk.train.recurrent_batches import RecurrentBatches, in_steps  # noqa: E402
from rtspk.train.recurrent_export import export_recurrent  # noqa: E402
from rtspk.train.recurrent_network import GroupedRecurrences, stacked  # noqa: E402
from rtspk.train.recurrent_recipe import RecurrentDataConfig, RecurrentRecipe  # noqa: E402
from rtspk.train.recurrent_set import WINDOW, RecurrentSet  # noqa: E402
from rtspk.train.segmenter_loop import SegmenterTrainer  # noqa: E402
from rtspk.train.segmenter_recipe import task_of  # noqa: E402
from tests.train.runs import KilledError, killed_at, quiet  # noqa: E402

RECIPES = Path(__file__).parents[2] / "rtspk" / "train" / "recipes"
RECIPE = """
name = "half"
task = "recurrent-segmenter"
[data]
development = "dev"
teacher = "public.onnx"
every_seconds = 1.0
begun = 0.5
batch = 2
[loop]
steps = 6
warmup = 2
save_every = 2
threads = 1
bf16 = false
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory, write_public):
    """`train`, two recordings, `dev`, one of three seconds, and `public.onnx`."""
    folder, rng = tmp_path_factory.mktemp("talk"), np.random.default_rng(0)
    for name, seconds in (("train/one", 16.0), ("train/more/two", 12.0), ("dev/three", 3.0)):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        swell = 0.5 + 0.5 * np.sin(np.arange(round(seconds * 16_000)) / 8_000)
        write_wav(path, (0.1 * swell * rng.normal(0.0, 1.0, len(swell))).astype(np.float32))
    write_public(folder / "public.onnx")
    return folder


@pytest.fixture(scope="module")
def teacher(talk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    adopt_segmenter(talk / "public.onnx", folder, "MIT")
    return RecurrentNetwork(folder)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "half.toml"
    path.write_text(RECIPE)
    assert task_of(path) == "recurrent-segmenter"
    return RecurrentRecipe.read(path)


@pytest.fixture(scope="module")
def windows(talk, teacher, tmp_path_factory):
    config = RecurrentDataConfig(every_seconds=0.5, begun=0.6)
    return RecurrentSet.build(talk / "train", tmp_path_factory.mktemp("cache"), teacher, "it", config)


@pytest.mark.parametrize("group", [2, 3])
def test_it_begins_by_saying_of_a_step_what_the_public_network_says_of_its_mean(group, talk, teacher):
    network = GroupedRecurrences(read_weights(talk / "public.onnx"), group).eval()
    rng = np.random.default_rng(1)
    steps = rng.normal(0.0, 1.0, (40, group, teacher.convolutions.width)).astype(np.float32)
    said = torch.exp(network(torch.from_numpy(steps.reshape(1, 40, -1)))).detach().numpy()[0]
    assert said.sum(1) == pytest.approx(np.ones(40), abs=1e-5)
    assert np.abs(said - teacher.told(steps.mean(1))).max() < 0.02  # which multiplies in eight bits


def test_weights_come_back_as_they_were_taken(talk):
    weights = read_weights(talk / "public.onnx")
    network = GroupedRecurrences(weights, 2)
    recurrences, layers = stacked(network.state_dict())
    inner = weights.recurrences[0][0]
    assert np.allclose(recurrences[0][0], np.concatenate([inner, inner], axis=-1) / 2)
    for own, was in zip(recurrences, weights.recurrences, strict=True):
        assert np.array_equal(own[1], was[1])
        assert np.allclose(own[2].reshape(2, 2, -1).sum(1), was[2].reshape(2, 2, -1).sum(1))
    assert np.array_equal(recurrences[1][0], weights.recurrences[1][0])
    for own, was in zip(layers, weights.layers, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(own, was, strict=True))


def test_windows_hold_what_the_teacher_hears_and_says(windows, teacher):
    length = teacher.frames_of(WINDOW)
    assert len(windows) == len(windows.frames) == len(windows.taught) > 6
    assert windows.frames.shape[1:] == (length, teacher.convolutions.width)
    assert 0 < (windows.counts < length).sum() < len(windows)
    for frames, taught in zip(windows.frames, windows.taught, strict=True):
        assert np.abs(teacher.told(frames.astype(np.float32)) - taught).max() < 0.02
    early = int(np.argmin(windows.counts))
    behind = windows.frames[early, windows.counts[early] + 4 :].astype(np.float32)
    assert np.ptp(behind, axis=0).max() < 1e-3  # silence


def test_windows_are_made_once_and_anew_for_other_recordings(talk, teacher, tmp_path):
    config, told = RecurrentDataConfig(every_seconds=5.0), []
    for _ in range(2):
        RecurrentSet.build(
            talk / "dev", tmp_path, teacher, "it", config, lambda done, of: told.append((done, of))
        )
    assert told == [(1, 1)]
    RecurrentSet.build(
        talk / "train", tmp_path, teacher, "it", config, lambda done, of: told.append((done, of))
    )
    assert told == [(1, 1), (1, 2), (2, 2)]


def test_a_folder_without_recordings_is_refused(teacher, tmp_path):
    with pytest.raises(FormatError, match="wanted recordings"):
        RecurrentSet.build(tmp_path, tmp_path / "cache", teacher, "it", RecurrentDataConfig())


def test_a_batch_depends_on_its_number_alone(windows):
    config = RecurrentDataConfig(begun=0.5, batch=2)
    lengths = set()
    for k in range(12):
        one, other = (RecurrentBatches(windows, config, 2, seed=3, steps=12)[k] for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        steps, taught = one
        assert (steps.shape[0], taught.shape) == (2, (2, steps.shape[1], 7))
        assert torch.allclose(taught.sum(-1), torch.ones(()), atol=5e-3)
        lengths.add(steps.shape[1])
    assert max(lengths) == windows.frames.shape[1] // 2
    assert len(lengths) > 1  # some end early


def test_a_step_is_its_frames_side_by_side_and_their_mean_is_taught(windows):
    steps, taught = in_steps(windows, np.array([1]), 11, 3)
    assert steps.shape[1] == taught.shape[1] == 3
    width = windows.frames.shape[2]
    for number in range(9):
        part = steps[0, number // 3, number % 3 * width :][:width].numpy()
        assert np.array_equal(part, windows.frames[1, number].astype(np.float32))
    assert np.allclose(taught[0, 1], windows.taught[1, 3:6].astype(np.float32).mean(0), atol=1e-6)


def test_a_killed_run_ends_as_one_that_was_not(recipe, talk, tmp_path):
    whole = SegmenterTrainer(recipe, talk, tmp_path / "whole", quiet).run()

    with pytest.raises(KilledError):
        SegmenterTrainer(recipe, talk, tmp_path / "killed", killed_at(5)).run()
    again = SegmenterTrainer(recipe, talk, tmp_path / "killed", quiet)
    assert again.step == 4
    one, two = (torch.load(path, weights_only=True) for path in (whole, again.run()))
    assert all(torch.equal(value, two["average"][key]) for key, value in one["average"].items())
    assert one["error"] == two["error"]
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert 0.0 <= rows[-1]["der"] < 2.0


def test_what_the_commands_make_the_engine_runs(recipe, talk, tmp_path, capsys):
    train(str(tmp_path / "half.toml"), talk, tmp_path / "run")
    export(tmp_path / "run" / "final.pt", tmp_path / "model", licence="MIT")
    segmenter = load_segmenter(tmp_path / "model")
    assert f"holds {segmenter.card.id}" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "model").iterdir()} == {*PARTS, "card.toml"}
    assert (segmenter.card.id[:5], segmenter.card.licence) == ("half-", "MIT")
    assert segmenter.card.refresh == 8
    assert "rtspk train half, seed 0, 6 steps" in segmenter.card.source
    engine = RecurrentNetwork(tmp_path / "model")
    assert engine.group == 2
    frames = np.random.default_rng(2).normal(0.0, 1.0, (61, engine.convolutions.width)).astype(np.float32)
    network = SegmenterTrainer(recipe, talk, tmp_path / "run", quiet).averaged()
    said = torch.exp(network(torch.from_numpy(frames[:60].reshape(1, 30, -1)))).detach().numpy()[0]
    assert np.abs(said - engine.told(frames)).max() < 0.02


def test_a_run_that_is_not_finished_is_not_exported(recipe, talk, tmp_path):
    SegmenterTrainer(recipe, talk, tmp_path / "run", quiet).run()
    with pytest.raises(ModelError, match=r"wanted final\.pt of a finished run, got .* at step 6"):
        export_recurrent(tmp_path / "run" / "last.pt", tmp_path / "model", "MIT")


def test_what_is_missing_is_told_in_one_line(recipe, talk, tmp_path):
    other = replace(recipe, data=replace(recipe.data, teacher="none.onnx"))
    with pytest.raises(ConfigError, match=r"wanted a teacher's ONNX file at .*none\.onnx, got nothing there"):
        SegmenterTrainer(other, talk, tmp_path / "run", quiet)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group = 1", "wanted a group of 2 frames or more, got 1"),
        ("[loop]\ncycles = 2", "wanted a segmenter's run of one cycle, got 2"),
        ("[loop]\nblend = 0.5", "wanted a start to blend with, got none beside a blend of 0.5"),
        ("[data]\nbegun = 1.0", "wanted begun of 0 to 0.99, got 1.0"),
        ("[data]\nevery_seconds = 1e-6", "wanted every_seconds of 0.01 or more, got 1e-06"),
        ("[data]\nevry = 1.0", r"got data\.evry"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "x"\ntask = "recurrent-segmenter"\n{text}\n')
    with pytest.raises(ConfigError, match=message):
        RecurrentRecipe.read(path)


def test_the_recipe_that_ships_is_read():
    path = RECIPES / "segmenter-half.toml"
    assert task_of(path) == "recurrent-segmenter"
    assert RecurrentRecipe.read(path).name == path.stem
