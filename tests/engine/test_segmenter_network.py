"""What the segmenter's network answers, whatever the loudness, the length and the company."""

import pytest

torch = pytest.importorskip("torch", reason="the network itself needs the torch extra")

from rtspk.engine.segmenter_network import SegmenterConfig, SegmenterNetwork  # noqa: E402 - behind the skip
from rtspk.errors import ConfigError  # noqa: E402

CONFIG = SegmenterConfig(channels=4, width=16, blocks=2, heads=2)


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = SegmenterNetwork(CONFIG, mels=40)
    with torch.no_grad():  # as after training: the running statistics are not those of the start
        for name, value in model.named_buffers():
            if "running" in name:
                value.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("frames", [4, 60, 1000])
def test_every_40_ms_get_chances_of_seven_classes(network, frames):
    said = network(torch.randn(2, frames, 40))
    assert (said.shape, said.dtype) == ((2, frames // 4, 7), torch.float32)
    assert torch.allclose(said.exp().sum(-1), torch.ones(2, frames // 4), atol=1e-5)


def test_neighbours_in_a_batch_change_nothing(network):
    features = torch.randn(3, 60, 40)
    alone = torch.cat([network(features[i : i + 1]) for i in range(3)])
    assert torch.allclose(network(features), alone, atol=1e-5)


def test_loudness_changes_nothing(network):
    features = torch.randn(1, 60, 40)
    assert torch.allclose(network(features), network(features + 7.0), atol=1e-4)


def test_what_is_heard_at_one_end_matters_at_the_other(network):
    features = torch.randn(1, 200, 40)
    other = features.clone()
    other[:, :8] = torch.randn(1, 8, 40)  # further off than the convolutions of two blocks reach
    assert not torch.allclose(network(features)[:, -1], network(other)[:, -1], atol=1e-5)


def test_chances_are_in_single_precision_under_autocast(network):
    with torch.autocast("cpu", torch.bfloat16):
        said = network(torch.randn(1, 40, 40))
    assert said.dtype == torch.float32


def test_the_network_is_as_large_as_its_configuration_says():
    parameters = sum(p.numel() for p in SegmenterNetwork(SegmenterConfig()).parameters())
    assert parameters / 1e6 == pytest.approx(1.1, abs=0.05)


def test_heads_that_do_not_fit_the_width_are_refused():
    with pytest.raises(ConfigError, match="whole heads"):
        SegmenterNetwork(SegmenterConfig(width=18, heads=4))
