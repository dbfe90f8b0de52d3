"""The segmenter that ships answers as the network that was trained, and its cards say where it comes from."""

import json
import tomllib
from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
pytest.importorskip("onnx", reason="exporting needs the train extra")

from safetensors import safe_open  # noqa: E402 - behind the skip
from safetensors.torch import load_file  # noqa: E402

from rtspk.config import to_settings  # noqa: E402
from rtspk.engine.network import Network  # noqa: E402
from rtspk.engine.segmenter_network import SegmenterConfig, SegmenterNetwork  # noqa: E402
from rtspk.errors import ModelError  # noqa: E402
from rtspk.kernels.mel import MelConfig  # noqa: E402
from rtspk.train.checkpoint import task_of_checkpoint  # noqa: E402
from rtspk.train.segmenter_export import export_segmenter  # noqa: E402
from rtspk.train.segmenter_recipe import SegmenterRecipe  # noqa: E402

ERROR = {"der": 0.25, "miss": 0.125, "false_alarm": 0.0625, "confusion": 0.0625}

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides


def finished(recipe, folder, error):
    """A `final.pt` as of a run, of a network that has learnt nothing but statistics."""
    torch.manual_seed(0)
    network = SegmenterNetwork(recipe.model, recipe.features.mels)
    for name, value in network.named_buffers():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    state = {"recipe": json.dumps(asdict(recipe)), "step": 6, "average": network.state_dict(), "recent": []}
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "last.pt")
    torch.save({**state, "error": error}, folder / "final.pt")
    return network.eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run and of its model, the network, and the model's id."""
    folder = tmp_path_factory.mktemp("segmenter")
    recipe = SegmenterRecipe(
        "small", "segmenter", features=MelConfig(mels=20), model=SegmenterConfig(4, 16, 1, 2, kernel=3)
    )
    recipe = replace(
        recipe, data=replace(recipe.data, development="dev", teacher="big.onnx", teacher_share=0.25)
    )
    network = finished(recipe, folder, ERROR)
    return folder, network, export_segmenter(folder / "final.pt", folder / "model")


def test_the_exported_network_answers_as_the_trained_one(made):
    folder, network, _ = made
    file = Network(folder / "model" / "model.onnx")
    assert file.inputs == ("features",)
    rng = np.random.default_rng(0)
    for shape in ((1, 8, 20), (3, 60, 20), (1, 500, 20)):
        features = rng.normal(8, 3, shape).astype(np.float32)
        (said,) = file.run({"features": features})
        with torch.no_grad():
            wanted = network(torch.from_numpy(features)).numpy()
        assert said.shape == (shape[0], shape[1] // 4, 7)
        assert np.exp(said) == pytest.approx(np.exp(wanted), abs=5e-3)  # its tables are halved
        assert np.exp(said).std() > 0.01


def test_the_weights_build_the_network_again(made):
    folder, network, _ = made
    path = folder / "model" / "weights.safetensors"
    with safe_open(path, "pt") as file:
        about = file.metadata()
    assert about["network"] == "segmenter"
    again = SegmenterNetwork(to_settings(json.loads(about["config"]), SegmenterConfig, "it"), mels=20)
    again.load_state_dict(load_file(path))
    features = torch.randn(1, 40, 20)
    assert torch.allclose(again.eval()(features), network(features), atol=2e-2)


def test_the_card_says_how_the_model_is_fed(made):
    folder, _, identity = made
    card = tomllib.loads((folder / "model" / "card.toml").read_text())
    assert identity.startswith("small-")
    assert (card["id"], card["file"], card["seconds"]) == (identity, "model.onnx", 5)
    assert card["licence"] == "Apache-2.0"
    assert card["source"] == "rtspk train small, seed 0, 6 steps"
    assert to_settings(card["features"], MelConfig, "card.toml") == MelConfig(mels=20)


def test_the_readme_says_what_it_is_what_it_learnt_from_and_how_good_it_is(made):
    folder, network, identity = made
    readme = (folder / "model" / "README.md").read_text()
    assert readme.startswith(f"# {identity}\n")
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert f"{millions:.1f} M parameters" in readme
    for words in ("5 s of log-mel", "seven powerset classes", "`rtspk train small` (seed 0, 6 steps)"):
        assert words in readme
    assert "Licence: Apache-2.0" in readme
    assert "conversations of `train`" in readme
    assert "25% is what the teacher `big.onnx` says" in readme
    assert "conversations of `dev`" in readme
    assert "| 25.0% | 12.5% | 6.2% | 6.2% |" in readme
    assert tomllib.loads((folder / "model" / "metrics.toml").read_text()) == {"local_error": ERROR}


def test_a_model_that_nothing_was_measured_of_says_nothing_of_it(tmp_path, monkeypatch):
    # The words alone are looked at here, and making an ONNX file takes seconds.
    monkeypatch.setattr("rtspk.train.segmenter_export.exported", lambda *_: b"network")
    recipe = SegmenterRecipe(
        "bare", "segmenter", features=MelConfig(mels=20), model=SegmenterConfig(4, 16, 1, 2)
    )
    finished(recipe, tmp_path, {})
    export_segmenter(tmp_path / "final.pt", tmp_path / "model")
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "DER" not in readme
    assert "teacher" not in readme
    assert tomllib.loads((tmp_path / "model" / "metrics.toml").read_text()) == {}


def test_a_run_that_is_not_finished_is_not_exported(made, tmp_path):
    folder, _, _ = made
    with pytest.raises(ModelError, match=r"wanted final\.pt of a finished run, got .* at step 6"):
        export_segmenter(folder / "last.pt", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_segmenters_checkpoint_is_told_from_others(made, tmp_path):
    folder, _, _ = made
    assert task_of_checkpoint(folder / "final.pt") == "segmenter"
    assert task_of_checkpoint(folder / "last.pt") == "segmenter"
    torch.save({"recipe": json.dumps({"name": "tiny"}), "average": {}}, tmp_path / "embedder.pt")
    (tmp_path / "text.pt").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("embedder.pt", "text.pt", "list.pt", "none.pt"):
        assert task_of_checkpoint(tmp_path / name) == ""
