"""A public network's weights become the trunk of ours, and its voices where heads and classifier begin."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
onnx = pytest.importorskip("onnx", reason="public networks are ONNX files")

from rtspk.engine.conformer import ConformerConfig  # noqa: E402 - behind the skips
from rtspk.engine.embedder import load_embedder  # noqa: E402
from rtspk.engine.residual_conformer import (  # noqa: E402
    Residual,
    ResidualConformer,
    ResidualConformerConfig,
)
from rtspk.errors import ConfigError, ModelError  # noqa: E402
from rtspk.train.borrow import borrow, narrow  # noqa: E402
from rtspk.train.checkpoint import read_checkpoint  # noqa: E402
from rtspk.train.export import export_checkpoint  # noqa: E402
from rtspk.train.features import FeatureConfig  # noqa: E402
from rtspk.train.loop import Trainer  # noqa: E402
from rtspk.train.network import NetworkConfig  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402
from rtspk.types import Segment, Window  # noqa: E402

BANDS = 16
WIDTH = 10  # of the public network's vectors
CONFORMER = ConformerConfig(width=8, blocks=1, heads=2, kernel=3, pooling_width=4, dimension=WIDTH)
WHOLE = ResidualConformerConfig(4, (1, 2, 1, 1), (4, 8, 16, 32), CONFORMER)
NARROW = dataclasses.replace(WHOLE, inner=(2, 4, 8, 16))


def public(path, bands=BANDS):
    """A ResNet that has learnt nothing, as an ONNX file, and as a network of ours that answers the same."""
    torch.manual_seed(1)
    network = ResidualConformer(WHOLE, bands).eval()
    nodes, tables = [], []

    def add(kind, part, weight):
        number = len(nodes)
        tables.append(onnx.numpy_helper.from_array(weight.detach().contiguous().numpy(), f"w{number}"))
        tables.append(onnx.numpy_helper.from_array(part.bias.detach().numpy(), f"b{number}"))
        nodes.append(onnx.helper.make_node(kind, ["x", f"w{number}", f"b{number}"], ["y"]))

    def picture(part):
        add("Conv", part, part.weight.transpose(2, 3))  # mel before time, as public networks have them

    picture(network.stem)
    for block in network.layers:
        picture(block.first)
        if isinstance(block.shortcut, torch.nn.Conv2d):
            picture(block.shortcut)
        picture(block.second)
    add("Gemm", network.project, network.project.weight)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "public", [], [], tables)), path)
    return network


@pytest.fixture
def speech():
    torch.manual_seed(2)
    mask = torch.ones(6, 64)
    mask[2, 40:] = 0.0
    return 3.0 * torch.randn(6, 64, BANDS), mask


def answers(network, speech):
    with torch.no_grad():
        return network.eval()(*speech)


def test_a_network_of_the_same_widths_answers_as_the_public_one(tmp_path, speech):
    source = public(tmp_path / "public.onnx")
    network = ResidualConformer(WHOLE, BANDS)
    directions, table = borrow(
        network, tmp_path / "public.onnx", *speech, [torch.randn(20, 7), torch.randn(20, WIDTH)]
    )
    assert table == 1
    wanted = answers(source, speech)
    wanted = (wanted - wanted.mean(0)) @ directions.T
    assert torch.allclose(answers(network, speech), wanted, atol=1e-3)


def test_a_narrower_block_is_fitted_and_not_just_cut():
    torch.manual_seed(3)
    full, fitted, cut = (Residual(4, inner, 4, 1) for inner in (16, 8, 8))
    x = torch.relu(torch.randn(4, 4, 40, BANDS))
    with torch.no_grad():
        wanted = full(x)
        narrow(fitted, full, x, wanted)
        kept = [
            next(i for i in range(16) if torch.equal(full.first.weight[i], row))
            for row in fitted.first.weight
        ]
        cut.first.load_state_dict(fitted.first.state_dict())
        cut.second.weight.copy_(full.second.weight[:, kept])
        cut.second.bias.copy_(full.second.bias)
        other = torch.relu(torch.randn(4, 4, 40, BANDS))  # not what it was fitted on
        errors = [float((one(other) - full(other)).square().mean()) for one in (fitted, cut)]
    assert errors[0] < 0.8 * errors[1]


def test_another_network_is_refused(tmp_path, speech):
    public(tmp_path / "public.onnx")
    deeper = dataclasses.replace(WHOLE, blocks=(1, 2, 2, 1))
    with pytest.raises(ConfigError, match=r"wanted 16 convolutions in .*, got 14"):
        borrow(ResidualConformer(deeper, BANDS), tmp_path / "public.onnx", *speech, [torch.randn(20, WIDTH)])
    wider = dataclasses.replace(WHOLE, channels=8)
    with pytest.raises(ConfigError, match="wanted a ResNet-34 like the network"):
        borrow(ResidualConformer(wider, BANDS), tmp_path / "public.onnx", *speech, [torch.randn(20, WIDTH)])
    with pytest.raises(ConfigError, match=r"wanted a table of 10 numbers a voice .* got 7"):
        borrow(ResidualConformer(WHOLE, BANDS), tmp_path / "public.onnx", *speech, [torch.randn(20, 7)])
    with pytest.raises(ConfigError, match=r"wanted at least 10 voices .* got 9 of 10"):
        borrow(ResidualConformer(WHOLE, BANDS), tmp_path / "public.onnx", *speech, [torch.randn(9, WIDTH)])
    (tmp_path / "public.onnx").write_text("hello")
    with pytest.raises(ModelError, match="wanted an ONNX file at"):
        borrow(ResidualConformer(WHOLE, BANDS), tmp_path / "public.onnx", *speech, [torch.randn(20, WIDTH)])


@pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides
def test_a_run_begins_with_a_public_network_and_ships_pictures_in_eight_bits(pack, recipe_file, tmp_path):
    public(tmp_path / "public.onnx", 80)
    recipe = Recipe.read(recipe_file)
    fewer = dataclasses.replace(NARROW, conformer=dataclasses.replace(CONFORMER, dimension=6))
    model = NetworkConfig("residual_conformer", residual_conformer=fewer)
    recipe = dataclasses.replace(
        recipe, start="public.onnx", model=model, features=FeatureConfig(window_type="hamming")
    )
    trainer = Trainer(recipe, pack, tmp_path / "run", lambda *_: None)
    own = trainer.targets[0][[u.target for u in trainer.batches.speakers[0]]].mean(0)
    placed = trainer.learner.teachers.heads[0](trainer.learner.margin.weight)[0]
    assert float(torch.cosine_similarity(placed, own, dim=0)) > 0.99
    path = trainer.run()
    export_checkpoint(path, tmp_path / "model")
    kinds = [node.op_type for node in onnx.load(tmp_path / "model" / "trunk.onnx").graph.node]
    assert kinds.count("QLinearConv") == 1 + 2 * 5 + 3
    tables = {table.name for table in onnx.load(tmp_path / "model" / "head.onnx").graph.initializer}
    assert any("compensation" in name for name in tables)  # and none of it in eight bits
    assert not any("compensation_quantized" in name for name in tables)
    checkpoint, embedder = read_checkpoint(path), load_embedder(tmp_path / "model")
    features = checkpoint.examples[0][0].float()
    mask = checkpoint.examples[1][0]
    (answer,) = embedder.embed([Window(Segment(0, 9_600), features.numpy(), mask.numpy(), 9_600)])
    with torch.no_grad():
        wanted = checkpoint.embedder(features[None], mask[None])[0].numpy()
    assert float(answer.vector @ wanted) > 0.97  # eight bits of a tiny network
    assert np.linalg.norm(answer.vector) == pytest.approx(1.0, abs=1e-5)
