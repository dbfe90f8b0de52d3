"""The ResNets are those of the paper."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.resnet import ResNet, ResNetConfig  # noqa: E402 - behind the skip


@pytest.mark.parametrize(("depth", "trunk"), [(18, 11_170_240), (34, 21_278_400), (50, 23_501_760)])
def test_the_trunk_has_the_weights_of_the_paper(depth, trunk):
    # Those of the published networks (11.69, 21.80 and 25.56 M) without the classifier of 1000 classes and
    # without the stem's second and third colour.
    network = ResNet(ResNetConfig(depth, 64, "image", "mean"))
    end = (network.pooled_norm, network.project, network.embedding_norm)
    ends = sum(p.numel() for part in end for p in part.parameters())
    assert sum(p.numel() for p in network.parameters()) - ends == trunk


def test_a_block_is_the_identity_at_first():
    network = ResNet(ResNetConfig(18, 4)).eval()
    x, mask = torch.rand(1, 4, 8, 8), torch.ones(1, 1, 8, 1)
    y, after = network.layer1[0](x, mask)
    assert torch.allclose(x, y, atol=1e-6)
    assert torch.equal(mask, after)


def test_the_stem_for_images_halves_twice():
    features, mask = torch.randn(1, 64, 80), torch.ones(1, 1, 64, 1)
    for stem, frames in (("speech", 64), ("image", 16)):
        network = ResNet(ResNetConfig(18, 4, stem)).eval()
        x, heard = network.stem(features[:, None], mask)
        assert (x.shape[2], heard.shape[2]) == (frames, frames)
