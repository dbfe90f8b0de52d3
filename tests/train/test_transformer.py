"""The plain Transformer knows the order of what it hears."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.conformer import Attention  # noqa: E402 - behind the skip
from rtspk.train.transformer import Transformer, TransformerConfig  # noqa: E402


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal"])
def test_frames_in_another_order_are_another_sound(positions):
    torch.manual_seed(0)
    sizes = TransformerConfig(4, 16, 2, 2, positions=positions, pooling="mean", dimension=12)
    network = Transformer(sizes, 24).eval()
    # Stretches of one value each: the subsampling sees the same in both orders, but for the seams.
    features = torch.randn(1, 2, 24).repeat_interleave(64, dim=1)
    mask = torch.ones(1, 128)
    with torch.no_grad():
        assert not torch.allclose(network(features, mask), network(features.flip(1), mask), atol=1e-3)


def test_attention_without_rotation_is_its_definition():
    torch.manual_seed(0)
    layer = Attention(8, 2, 0.0).eval()
    x = torch.randn(1, 5, 8)
    q, k, v = layer.qkv(layer.norm(x)).squeeze(0).split(8, dim=1)
    heads = []
    for at in (slice(0, 4), slice(4, 8)):
        weights = torch.softmax(q[:, at] @ k[:, at].T / 2.0, dim=1)
        heads.append(weights @ v[:, at])
    slow = layer.out(torch.cat(heads, dim=1))
    assert torch.allclose(layer(x, None, torch.zeros(1, 1, 1, 5))[0], slow, atol=1e-5)
