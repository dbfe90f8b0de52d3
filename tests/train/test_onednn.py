"""Convolutions that learn without a faulty part of oneDNN."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from torch import nn  # noqa: E402 - behind the skip

from rtspk.train.onednn import spared  # noqa: E402
from rtspk.train.resnet import ResNet, ResNetConfig  # noqa: E402


@pytest.mark.parametrize(
    ("made", "shape"),
    [
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 3, 9, 8)),
        (lambda: nn.Conv2d(4, 6, (3, 1), dilation=2, groups=2, bias=False), (2, 4, 9, 8)),
        (lambda: nn.Conv1d(6, 6, 5, padding=2, groups=6), (3, 6, 11)),
    ],
)
def test_a_spared_convolution_answers_and_learns_as_by_its_definition(made, shape):
    torch.manual_seed(0)
    layer, heard = made(), torch.randn(shape)
    slow, told = made().double(), heard.double().requires_grad_()
    slow.load_state_dict(layer.state_dict())
    heard.requires_grad_()
    answer, expected = spared(layer)(heard), slow(told)
    weights = torch.randn_like(answer)
    (answer * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    torch.testing.assert_close(answer.double(), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(heard.grad.double(), told.grad, atol=1e-5, rtol=1e-4)
    for own, other in zip(layer.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(own.grad.double(), other.grad, atol=1e-5, rtol=1e-4)


def test_what_is_frozen_or_the_input_asks_for_no_gradient():
    layer = spared(nn.Conv2d(2, 2, 3))
    layer.weight.requires_grad = False
    heard = torch.randn(1, 2, 5, 5)
    layer(heard).sum().backward()
    assert layer.weight.grad is None
    assert layer.bias.grad is not None


def test_a_spared_network_keeps_the_names_of_its_weights_and_onednn_stays_on():
    plain, network = (ResNet(ResNetConfig(depth=18, channels=2), 16) for _ in range(2))
    assert list(spared(network).state_dict()) == list(plain.state_dict())
    before = torch.backends.mkldnn.enabled
    network(torch.randn(2, 24, 16), torch.ones(2, 24)).sum().backward()
    assert torch.backends.mkldnn.enabled is before


def test_a_small_resnet_learns_for_many_steps_on_one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # where the faulty gradient corrupts memory at once
    try:
        network = spared(ResNet(ResNetConfig(depth=18, channels=4), 80))
        for _ in range(8):
            network(torch.randn(4, 60, 80), torch.ones(4, 60)).square().sum().backward()
    finally:
        torch.set_num_threads(threads)
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
