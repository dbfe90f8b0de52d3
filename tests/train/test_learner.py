"""What a run learns, what stays frozen, and what of another run it begins with."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.conformer import ConformerConfig  # noqa: E402 - behind the skip
from rtspk.errors import ConfigError  # noqa: E402
from rtspk.train.batches import Batch  # noqa: E402
from rtspk.train.device import prepared  # noqa: E402
from rtspk.train.learner import Learner  # noqa: E402
from rtspk.train.network import NetworkConfig  # noqa: E402
from rtspk.train.recipe import DataConfig, LossConfig, Recipe  # noqa: E402
from rtspk.train.resnet import ResNetConfig  # noqa: E402

RESNET = ResNetConfig(18, 2, dimension=6, pooling="mean")


def recipe(freeze=(), loss=None):
    return Recipe("x", model=NetworkConfig("resnet", freeze, resnet=RESNET), loss=loss or LossConfig())


def learn(learner, targets, grown=1.0):
    torch.manual_seed(1)
    batch = Batch(torch.empty(4, 0), torch.ones(4, 32), torch.tensor([0, 1, 2, 0]), torch.zeros(4).long())
    return learner(torch.randn(4, 32, 80), batch, targets, grown)


def unit(*shape):
    return torch.nn.functional.normalize(torch.randn(*shape))


def test_the_loss_is_the_weighted_sum_of_its_parts():
    torch.manual_seed(0)
    learner = Learner(recipe(loss=LossConfig(margin_weight=0.5)), 3, [5])
    loss, parts = learn(learner.train(), [unit(4, 5)], grown=0.5)
    wanted = 0.5 * 0.5 * parts["margin"] + 10.0 * parts["teacher"] + 20.0 * parts["similarity"]
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_only_a_network_with_a_trunk_hears_stretches():
    with pytest.raises(ConfigError, match=r"wanted data.stretches = 0 for a resnet, got 0.5"):
        Learner(replace(recipe(), data=DataConfig(stretches=0.5)), 3, [])


def test_without_teachers_the_classifier_has_its_whole_weight_from_the_first_step():
    torch.manual_seed(0)
    learner = Learner(recipe(loss=LossConfig(margin_weight=1.0)), 3, [])
    loss, parts = learn(learner.train(), [], grown=0.0)
    assert parts == {"margin": pytest.approx(loss.item(), rel=1e-6)}
    assert loss.item() > 0.1


def test_what_is_frozen_stays_and_the_rest_learns():
    torch.manual_seed(0)
    learner = Learner(recipe(("network.layer2", "network.stem")), 3, []).train()
    prepared(learner, torch.device("cpu"))
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    optimiser = torch.optim.AdamW(learner.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):  # the first step opens the blocks, which begin as the identity
        optimiser.zero_grad()
        learn(learner, [])[0].backward()
        optimiser.step()
    moved = {name for name, value in learner.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name for name in before if name.startswith(("network.layer2.", "network.stem."))}
    assert moved == set(before) - frozen


def test_a_part_to_freeze_that_does_not_exist_is_named():
    with pytest.raises(
        ConfigError, match=r"wanted parts to freeze out of .*network\.layer1.*, got 'network\.l'"
    ):
        Learner(recipe(("network.l",)), 3, [])


def test_other_speakers_and_other_teachers_begin_anew(tmp_path):
    torch.manual_seed(0)
    first = Learner(recipe(), 3, [5])
    torch.save({"learner": first.state_dict()}, tmp_path / "last.pt")
    same, other = Learner(recipe(), 3, [5]), Learner(recipe(), 4, [])
    assert not same.begin_from(tmp_path / "last.pt")
    assert all(torch.equal(v, first.state_dict()[k]) for k, v in same.state_dict().items())
    untouched = other.margin.weight.detach().clone()
    assert other.begin_from(tmp_path / "last.pt")
    assert torch.equal(other.margin.weight, untouched)
    network = first.network.state_dict()
    assert all(torch.equal(v, network[k]) for k, v in other.network.state_dict().items())


def test_another_network_is_refused_as_a_start(tmp_path):
    torch.save({"learner": Learner(recipe(), 3, []).state_dict()}, tmp_path / "last.pt")
    small = ConformerConfig(channels=4, width=16, blocks=1, heads=2, pooling_width=8, dimension=6)
    with pytest.raises(ConfigError, match="of a run of the same network"):
        Learner(Recipe("y", model=NetworkConfig(conformer=small)), 3, []).begin_from(tmp_path / "last.pt")


def test_a_start_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "last.pt").write_text("name = 1")
    with pytest.raises(ConfigError, match=r"at .*last\.pt, got another file"):
        Learner(recipe(), 3, []).begin_from(tmp_path / "last.pt")


def test_residual_layers_may_be_added_to_a_start(tmp_path):
    sizes = {"channels": 4, "width": 16, "blocks": 1, "heads": 2, "pooling_width": 8, "dimension": 6}
    plain, deeper = (
        Learner(Recipe("y", model=NetworkConfig(conformer=ConformerConfig(residuals=n, **sizes))), 3, [])
        for n in (0, 2)
    )
    torch.save({"learner": plain.state_dict()}, tmp_path / "last.pt")
    assert not deeper.begin_from(tmp_path / "last.pt")
    features, mask = torch.randn(2, 32, 80), torch.ones(2, 32)
    assert torch.allclose(
        plain.network.eval()(features, mask), deeper.network.eval()(features, mask), atol=1e-5
    )
