"""The law of every network with every pooling: what is off the mask changes nothing."""

from itertools import product

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.conformer import ConformerConfig  # noqa: E402 - behind the skip
from rtspk.engine.residual_conformer import ResidualConformer, ResidualConformerConfig  # noqa: E402
from rtspk.errors import ConfigError  # noqa: E402
from rtspk.train.network import NetworkConfig, build_network, describe  # noqa: E402
from rtspk.train.resnet import ResNetConfig  # noqa: E402
from rtspk.train.transformer import TransformerConfig  # noqa: E402

POOLINGS = ("statistics", "attention", "mean")
BANDS = 24


def configs(pooling):
    end = {"pooling": pooling, "pooling_width": 8, "pooling_heads": 2, "dimension": 12}
    trunk = {"channels": 4, "width": 16, "blocks": 2, "heads": 2, **end}
    return {
        "conformer": NetworkConfig(conformer=ConformerConfig(**trunk)),
        "residual conformer": NetworkConfig(
            "residual_conformer",
            residual_conformer=ResidualConformerConfig(
                4, (1, 1, 1, 1), (2, 4, 8, 16), ConformerConfig(**trunk)
            ),
        ),
        "rotary": NetworkConfig("transformer", transformer=TransformerConfig(**trunk)),
        "sinusoidal": NetworkConfig(
            "transformer", transformer=TransformerConfig(positions="sinusoidal", **trunk)
        ),
        "resnet18": NetworkConfig("resnet", resnet=ResNetConfig(18, 4, **end)),
        "resnet34-image": NetworkConfig("resnet", resnet=ResNetConfig(34, 4, "image", **end)),
        "resnet50": NetworkConfig("resnet", resnet=ResNetConfig(50, 2, **end)),
    }


NAMES = tuple(configs("mean"))


@pytest.fixture(params=product(NAMES, POOLINGS), ids="-".join)
def network(request):
    name, pooling = request.param
    torch.manual_seed(0)
    model = build_network(configs(pooling)[name], BANDS)
    with torch.no_grad():  # as after training: nothing is zero, and the statistics are not those of the start
        for key, value in model.named_buffers():
            if "running" in key:
                value.uniform_(-0.1, 0.1) if "mean" in key else value.uniform_(0.5, 1.5)
        for key, value in model.named_parameters():
            if "norm" in key and value.ndim == 1:
                value.add_(0.3 * torch.rand_like(value))
    return model.eval()


def hear(network, features, mask):
    with torch.no_grad():
        return network(features, mask)


def test_frames_off_the_mask_change_nothing(network):
    features, mask = torch.randn(1, 96, BANDS), torch.ones(1, 96)
    mask[:, 30:55] = 0.0
    other = features.clone()
    other[:, 30:55] = 100.0 * torch.randn(1, 25, BANDS)
    assert torch.allclose(hear(network, features, mask), hear(network, other, mask), atol=1e-4)
    heard = features.clone()
    heard[:, 60:70] += 20.0 * torch.randn(1, 10, BANDS)
    assert not torch.allclose(hear(network, features, mask), hear(network, heard, mask), atol=1e-3)


def test_padding_changes_nothing(network):
    features, mask = torch.randn(2, 64, BANDS), torch.ones(2, 64)
    mask[1, 50:] = 0.0
    alone = hear(network, features, mask)
    for padding in (4, 32, 60):
        padded = torch.cat([features, torch.randn(2, padding, BANDS)], dim=1)
        longer = torch.cat([mask, torch.zeros(2, padding)], dim=1)
        answer = hear(network, padded, longer)
        if isinstance(network, ResidualConformer):  # to its trunk padding is silence, and its edge is heard
            assert (torch.cosine_similarity(alone, answer) > 0.999).all()
        else:
            assert torch.allclose(alone, answer, atol=1e-4)


def test_neighbours_in_a_batch_change_nothing(network):
    features, mask = torch.randn(3, 64, BANDS), (torch.rand(3, 64) > 0.3).float()
    alone = torch.cat([hear(network, features[i : i + 1], mask[i : i + 1]) for i in range(3)])
    assert torch.allclose(hear(network, features, mask), alone, atol=1e-4)


def test_an_empty_mask_gives_numbers(network):
    assert torch.isfinite(hear(network, torch.randn(1, 40, BANDS), torch.zeros(1, 40))).all()


def test_a_network_says_what_it_wants_and_gives(network):
    for frames in (network.frames_multiple, 3 * network.frames_multiple + 1):
        assert hear(network, torch.randn(2, frames, BANDS), torch.ones(2, frames)).shape == (2, 12)
    assert network.dimension == 12
    assert network.frames_multiple in {4, 8, 32}


def test_a_network_is_described_by_kind_size_and_pooling():
    assert describe(NetworkConfig()) == "Conformer of 6 blocks, width 160, attentive statistics pooling"
    sizes = TransformerConfig(pooling="attention")
    said = describe(NetworkConfig("transformer", transformer=sizes))
    assert said == "Transformer of 6 blocks, width 192, self-attention pooling"


def test_a_width_that_does_not_fall_into_heads_is_refused():
    with pytest.raises(ConfigError, match="wanted a width in whole heads of even width, got 100 in 3"):
        ConformerConfig(width=100, heads=3)
    with pytest.raises(ConfigError, match="got 12 in 4"):
        TransformerConfig(width=12, heads=4)
