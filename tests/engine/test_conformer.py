"""The network's law: what is off the mask changes nothing."""

import pytest

torch = pytest.importorskip("torch", reason="the network itself needs the torch extra")

from rtspk.engine.conformer import Conformer, ConformerConfig  # noqa: E402 - behind the skip

CONFIG = ConformerConfig(channels=4, width=16, blocks=2, heads=2, pooling_width=8, dimension=12)


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = Conformer(CONFIG)
    with torch.no_grad():  # as after training: the running statistics are not those of the start
        for name, value in model.named_buffers():
            if "running" in name:
                value.uniform_(0.5, 1.5)
    return model.eval()


def test_frames_off_the_mask_change_nothing(network):
    features, mask = torch.randn(1, 80, 80), torch.ones(1, 80)
    mask[:, 24:40] = 0.0
    other = features.clone()
    other[:, 24:40] = 100.0 * torch.randn(1, 16, 80)
    assert torch.allclose(network(features, mask), network(other, mask), atol=1e-5)


@pytest.mark.parametrize("padding", [4, 20, 64])
def test_padding_changes_nothing(network, padding):
    features, mask = torch.randn(2, 48, 80), torch.ones(2, 48)
    padded = torch.cat([features, torch.randn(2, padding, 80)], dim=1)
    longer = torch.cat([mask, torch.zeros(2, padding)], dim=1)
    assert torch.allclose(network(features, mask), network(padded, longer), atol=1e-5)


def test_neighbours_in_a_batch_change_nothing(network):
    features, mask = torch.randn(5, 60, 80), (torch.rand(5, 60) > 0.3).float()
    alone = torch.cat([network(features[i : i + 1], mask[i : i + 1]) for i in range(5)])
    assert torch.allclose(network(features, mask), alone, atol=1e-5)


def test_loudness_changes_nothing(network):
    features, mask = torch.randn(1, 60, 80), torch.ones(1, 60)
    assert torch.allclose(network(features, mask), network(features + 7.0, mask), atol=1e-4)


def test_an_empty_mask_gives_numbers(network):
    assert torch.isfinite(network(torch.randn(1, 40, 80), torch.zeros(1, 40))).all()
