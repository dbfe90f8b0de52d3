"""Training and exporting a segmenter, as a user does it; what cannot be done is refused before any work."""

import json
import sys
import tomllib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
pytest.importorskip("onnx", reason="exporting needs the train extra")

from rtspk.audio import write_wav  # noqa: E402 - behind the skip
from rtspk.cli.build import export, train  # noqa: E402
from rtspk.engine.network import Network  # noqa: E402
from rtspk.errors import ConfigError, ModelError  # noqa: E402
from rtspk.rttm import SpeakerTurn, write_rttm  # noqa: E402
from rtspk.train.rooms import room_bank  # noqa: E402

RECIPE = """
name = "small"
task = "segmenter"
[features]
mels = 20
[model]
channels = 4
width = 16
blocks = 1
heads = 2
[data]
development = "dev"
batch = 2
[loop]
steps = 3
warmup = 1
save_every = 2
threads = 1
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def data(tmp_path):
    """One recording of two speakers in each of `train` and `dev`."""
    rng = np.random.default_rng(0)
    for name in ("train", "dev"):
        (tmp_path / "data" / name).mkdir(parents=True)
        write_wav(tmp_path / "data" / name / "talk.wav", rng.normal(0, 0.1, 160_000).astype(np.float32))
        turns = [SpeakerTurn("talk", 0.0, 4.0, "anna"), SpeakerTurn("talk", 3.0, 9.0, "ben")]
        write_rttm(tmp_path / "data" / name / "talk.rttm", turns)
    return tmp_path / "data"


@pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides
def test_a_segmenters_recipe_becomes_a_checkpoint_and_that_a_model_folder(
    rtspk, recipe, data, tmp_path, capsys
):
    trained = rtspk("train", recipe, "--data", data, "--out", "runs/small", "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout) == {"checkpoint": "runs/small/final.pt"}
    assert [line.split(",")[0] for line in trained.stderr.splitlines()] == ["step 2/3", "step 3/3"]
    assert "local DER" in trained.stderr
    export(tmp_path / "runs" / "small" / "final.pt", tmp_path / "model")
    card = tomllib.loads((tmp_path / "model" / "card.toml").read_text())
    folder = tmp_path / "model"
    hint = f"try it with `rtspk listen --segmenter {folder} ...`"
    assert capsys.readouterr().out == f"{folder} holds {card['id']}: {hint}\n"
    (said,) = Network(tmp_path / "model" / card["file"]).run({"features": np.zeros((1, 500, 20), np.float32)})
    assert said.shape == (1, 125, 7)


def test_what_a_segmenters_training_does_not_do_is_refused(recipe, data, tmp_path):
    with pytest.raises(ConfigError, match="wanted a segmenter's recipe without --sweep-workers, got it"):
        train(str(recipe), data, tmp_path / "run", sweep="1,2")
    assert not (tmp_path / "run").exists()


def test_a_segmenters_run_is_tracked_as_it_goes(recipe, data, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(str(recipe), data, tmp_path / "run", track="tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    found = {name: [e.step for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert found == {name: [2, 3] for name in log[0].keys() - {"step"}}
    assert [e.value for e in events.Scalars("der")] == pytest.approx([row["der"] for row in log])
    said = [events.Tensors(name)[0].tensor_proto.string_val[0].decode() for name in events.Tags()["tensors"]]
    assert any("| task | segmenter |" in text for text in said)
    assert any("# small" in text and "| local DER |" in text for text in said)


def test_an_unknown_place_to_track_a_segmenter_is_named(recipe, data, tmp_path):
    with pytest.raises(ConfigError, match="got 'paper'"):
        train(str(recipe), data, tmp_path / "run", track="paper")


def test_several_processes_do_not_train_one_segmenter(recipe, data, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="wanted one process for a segmenter, got 2"):
        train(str(recipe), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_task_that_there_is_not_is_named(recipe, data, tmp_path):
    recipe.write_text(RECIPE.replace('task = "segmenter"', 'task = "diariser"'))
    with pytest.raises(ConfigError, match=r"wanted a task of segmenter or recurrent-segmenter, .* got 'diar"):
        train(str(recipe), data, tmp_path / "run")


def test_an_unknown_key_of_a_segmenters_recipe_is_named(recipe, data, tmp_path):
    recipe.write_text(RECIPE + "stepps = 4\n")
    with pytest.raises(ConfigError, match=r"got loop\.stepps"):
        train(str(recipe), data, tmp_path / "run")


def test_a_segmenter_is_not_registered_as_an_embedder(tmp_path):
    torch.save({"recipe": json.dumps({"name": "small", "task": "segmenter"})}, tmp_path / "final.pt")
    with pytest.raises(ConfigError, match="wanted an embedder to register, got a segmenter"):
        export(tmp_path / "final.pt", tmp_path / "model", register=True)
    assert not (tmp_path / "model").exists()


def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path):
    (tmp_path / "final.pt").write_text("hello")
    with pytest.raises(ModelError, match=r"^wanted a checkpoint of rtspk train in [^\n]*$"):
        export(tmp_path / "final.pt", tmp_path / "model")


def test_all_that_is_wrong_with_a_manifest_is_said_in_lines_before_any_work(rtspk, data, tmp_path):
    (tmp_path / "one.toml").write_text('name = "one"\n[data]\ntargets = ""\n')
    rows = ["file,speaker,start,end", "gone.wav,anna,0,1", *["train/talk.wav,ben,0,1"] * 2]
    (data / "train.csv").write_text("\n".join(rows))
    done = rtspk("train", "one.toml", "--data", "data", "--out", "runs/one")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "rtspk: wanted a sound manifest at data/train.csv, got 2 problems of 2 kinds "
        "among 3 utterances in 2 files",
        "rtspk: - missing files: 1 (data/gone.wav)",
        "rtspk: - utterances that come more than once: 1 (data/train/talk.wav 0.00 to 1.00 s)",
    ]


@pytest.mark.parametrize(("verb", "package"), [("train", "torchaudio"), ("export", "onnxscript")])
def test_a_package_that_is_not_installed_is_named_before_any_work(
    verb, package, recipe, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigError, match=rf"got an installation without {package}: pip install 'rtspk\[train\]'"
    ):
        train(recipe, tmp_path, tmp_path) if verb == "train" else export(recipe, tmp_path)


def test_rooms_want_what_makes_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    assert room_bank(0, 1, tmp_path, lambda *_: None) == []
    with pytest.raises(ConfigError, match="wanted pyroomacoustics for rooms, got none"):
        room_bank(2, 1, tmp_path, lambda *_: None)
