"""The file that ships answers as the network that was trained."""

import json
import tomllib
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
onnx = pytest.importorskip("onnx", reason="training needs the train extra")

from safetensors import safe_open  # noqa: E402 - behind the skip

from rtspk.engine.conformer import ConformerConfig  # noqa: E402
from rtspk.engine.embedder import load_embedder  # noqa: E402
from rtspk.engine.residual_conformer import ResidualConformerConfig  # noqa: E402
from rtspk.engine.trunk import Trunk  # noqa: E402
from rtspk.errors import ModelError  # noqa: E402
from rtspk.train.card import readme_text, toml_value  # noqa: E402
from rtspk.train.checkpoint import read_checkpoint  # noqa: E402
from rtspk.train.export import export_checkpoint  # noqa: E402
from rtspk.train.features import FeatureConfig  # noqa: E402
from rtspk.train.loop import Trainer  # noqa: E402
from rtspk.train.network import NetworkConfig, build_network  # noqa: E402
from rtspk.train.onednn import is_faulty  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402
from rtspk.train.resnet import ResNetConfig  # noqa: E402
from rtspk.train.transformer import TransformerConfig  # noqa: E402
from rtspk.types import Segment, Window  # noqa: E402


@pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides
@pytest.mark.parametrize(("rounded", "nearness"), [(False, 0.9999), (True, 0.995)], ids=["exact", "rounded"])
def test_the_exported_model_answers_as_the_checkpoint(
    pack, recipe_file, tmp_path, monkeypatch, rounded, nearness
):
    """Exactly, compensation and all, and as nearly as eight bits allow: few for so small a network."""
    if rounded:  # what four speakers differ in is nearly all that shrinks, and rounding is left
        monkeypatch.setattr("rtspk.train.scoring.compensation", lambda *_: np.eye(12, dtype=np.float32))
    else:
        monkeypatch.setattr("rtspk.train.onnx_file._matrices_in_eight_bits", lambda proto, _: proto)
    monkeypatch.setattr("rtspk.train.scoring.LEAST", 0)  # the pack's utterances are short
    if is_faulty():  # the network that the bound was set on there came of torch's own kernels
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    path = Trainer(Recipe.read(recipe_file), pack, tmp_path / "run", lambda *_: None).run()
    checkpoint = read_checkpoint(path)
    identity = export_checkpoint(path, tmp_path / "model")
    embedder = load_embedder(tmp_path / "model")
    assert (embedder.card.id, embedder.card.dimension) == (identity, 12)
    assert identity.startswith("tiny-")
    assert embedder.cohort.vectors == pytest.approx(checkpoint.cohort.numpy(), abs=2e-3)
    assert len(embedder.cohort.vectors) == 4
    assert "| set | not stated | 4 |" in (tmp_path / "model" / "README.md").read_text()
    rng = np.random.default_rng(0)
    network = checkpoint.embedder
    assert rounded or not torch.allclose(network.compensation, torch.eye(12), atol=1e-2)  # it has been learnt
    cosines = []
    for frames in (40, 41, 175):
        features = rng.normal(10, 4, (frames, 80)).astype(np.float32)
        mask = (rng.random(frames) > 0.2).astype(np.float32)
        (answer,) = embedder.embed([Window(Segment(0, frames * 160), features, mask, 100)])
        # The engine fills up to whole groups of four frames, off the mask.
        filled = torch.from_numpy(np.pad(features, ((0, -frames % 4), (0, 0))))[None]
        wanted = network(filled, torch.from_numpy(np.pad(mask, (0, -frames % 4)))[None]).detach().numpy()[0]
        cosines.append(float(answer.vector @ wanted))
        assert np.linalg.norm(answer.vector) == pytest.approx(1.0, abs=1e-5)
    # What the training came to hangs on the processor, and how far eight bits move one window on chance.
    assert np.mean(cosines) > nearness


def finished(recipe, folder):
    """A `final.pt` of a network that has learnt nothing."""
    torch.manual_seed(0)
    network = build_network(recipe.model, recipe.features.width)
    state = {
        "recipe": json.dumps(asdict(recipe)),
        "step": 3,
        "average": network.state_dict(),
        "mean": torch.randn(network.dimension),
        "compensation": torch.eye(network.dimension) + 0.1 * torch.randn(2 * [network.dimension]),
        "cohort": torch.zeros(0, network.dimension),
        "calibration": {},
        "eer": {},
        "accuracy": {"validation": 0.875},
        "sets": [("radio", "CC0", 0, 1.5)],
    }
    torch.save(state, folder / "final.pt")
    return folder / "final.pt"


END = {"pooling": "attention", "pooling_width": 8, "pooling_heads": 2, "dimension": 12}
NETWORKS = {
    "sinusoidal": NetworkConfig(
        "transformer", transformer=TransformerConfig(4, 16, 1, 2, positions="sinusoidal", **END)
    ),
    "speech": NetworkConfig("resnet", resnet=ResNetConfig(18, 2, **END)),
    "image": NetworkConfig("resnet", resnet=ResNetConfig(18, 2, "image", dimension=12, pooling_width=8)),
}


@pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_exported_as_it_answers(name, tmp_path):
    recipe = Recipe("other", features=FeatureConfig(mels=40), model=NETWORKS[name])
    path = finished(recipe, tmp_path)
    export_checkpoint(path, tmp_path / "model")
    embedder, network = load_embedder(tmp_path / "model"), read_checkpoint(path).embedder
    tables = {table.name for table in onnx.load(tmp_path / "model" / "model.onnx").graph.initializer}
    assert any(name.startswith("compensation") for name in tables)  # and none of it in eight bits
    assert not any(name.startswith("compensation_quantized") for name in tables)
    group = network.network.frames_multiple
    assert embedder.card.frames_multiple == group
    assert embedder.card.features.mels == 40
    rng = np.random.default_rng(0)
    for frames in (2 * group, 5 * group - 3):
        features = rng.normal(10, 4, (frames, 40)).astype(np.float32)
        mask = (rng.random(frames) > 0.2).astype(np.float32)
        (answer,) = embedder.embed([Window(Segment(0, frames * 160), features, mask, 100)])
        with torch.no_grad():
            wanted = network(torch.from_numpy(features)[None], torch.from_numpy(mask)[None])[0].numpy()
        assert float(answer.vector @ wanted) > 0.999
    with safe_open(tmp_path / "model" / "weights.safetensors", "pt") as weights:
        about = weights.metadata()
    assert about["network"] == recipe.model.network
    sizes = type(network.network.config)(**json.loads(about["config"]))
    assert sizes == network.network.config
    readme = (tmp_path / "model" / "README.md").read_text()
    assert ("ResNet-18 of 2 channels" if group > 4 else "Transformer of 1 blocks, width 16") in readme
    assert "| radio | CC0 | not known | 1.5 |" in readme
    assert "| validation | 87.50% |" in readme


@pytest.mark.filterwarnings("ignore")  # likewise
def test_a_trunk_of_whole_sixteens_has_tables_that_answer_as_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr("rtspk.engine.trunk.prefers_own_kernels", lambda: True)
    head = ConformerConfig(channels=4, width=16, blocks=1, heads=2, **END)
    sizes = ResidualConformerConfig(16, (1, 2, 1, 1), (16, 16, 16, 16), head)
    model = NetworkConfig("residual_conformer", residual_conformer=sizes)
    path = finished(Recipe("other", features=FeatureConfig(mels=40), model=model), tmp_path)
    rng = torch.Generator().manual_seed(0)
    state = torch.load(path, weights_only=False)
    state["examples"] = 10.0 + 4.0 * torch.randn(6, 48, 40, generator=rng)
    state["masks"] = torch.ones(6, 48)
    torch.save(state, path)
    export_checkpoint(path, tmp_path / "model")
    card = load_embedder(tmp_path / "model").card
    assert card.trunk_tables == "trunk.npz"
    file, group = tmp_path / "model" / card.trunk, card.frames_multiple
    own, twin = Trunk(file, group, tables=tmp_path / "model" / card.trunk_tables), Trunk(file, group)
    for count in (group, 3 * group, 6 * group):
        rows = 4.0 * torch.randn(count, 40, generator=rng).numpy()
        answer, wanted = own(rows), twin(rows)
        assert answer.shape == wanted.shape
        assert (answer * wanted).sum() > 0.99 * np.linalg.norm(answer) * np.linalg.norm(wanted)


def test_a_model_on_mfcc_is_not_exported(tmp_path):
    features = FeatureConfig(kind="mfcc", mels=40)
    path = finished(Recipe("other", features=features, model=NETWORKS["speech"]), tmp_path)
    with pytest.raises(ModelError, match=r"wanted a model on log-mel, .* got mfcc"):
        export_checkpoint(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert "A speaker embedder: MFCC and a mask in" in readme_text(read_checkpoint(path), "other")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "last.pt").write_text("hello")
    with pytest.raises(ModelError, match="wanted a checkpoint of rtspk train"):
        read_checkpoint(tmp_path / "last.pt")
    with pytest.raises(ModelError, match="got nothing there"):
        read_checkpoint(tmp_path / "none.pt")


def test_a_run_that_is_not_finished_is_not_exported(pack, recipe_file, tmp_path):
    Trainer(Recipe.read(recipe_file), pack, tmp_path / "run", lambda *_: None).run()
    with pytest.raises(ModelError, match="let it finish first"):
        read_checkpoint(tmp_path / "run" / "last.pt")


@pytest.mark.parametrize("licence", ['CC "BY" 4.0', "Müller\n\\4"])
def test_a_card_holds_any_text(licence):
    assert tomllib.loads(f"licence = {toml_value(licence)}") == {"licence": licence}
