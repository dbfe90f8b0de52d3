"""Poolings against their definitions, frame by frame over the mask."""

import pytest

torch = pytest.importorskip("torch", reason="the networks need the torch extra")

from rtspk.engine.pooling import AttentiveStatistics, Mean, SelfAttention, build_pooling  # noqa: E402 - behind the skip


def batch():
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]]).float()
    return torch.randn(2, 7, 5), mask


def moments(frames, weights):
    mean = sum(w * f for w, f in zip(weights, frames, strict=True))
    variance = sum(w * (f - mean) ** 2 for w, f in zip(weights, frames, strict=True))
    return mean, (variance + 1e-5).sqrt()


def test_the_mean_is_of_the_frames_on_the_mask():
    x, mask = batch()
    pooled = Mean(5)(x, mask)
    assert torch.allclose(pooled[0], (x[0, 0] + x[0, 1] + x[0, 3]) / 3, atol=1e-6)
    assert torch.allclose(pooled[1], x[1].mean(0), atol=1e-6)


@pytest.mark.parametrize("heads", [1, 3])
def test_self_attention_is_its_definition(heads):
    x, mask = batch()
    pooling = SelfAttention(5, 4, heads)
    pooled = pooling(x, mask)
    for row in range(2):
        frames = [x[row, t] for t in range(7) if mask[row, t]]
        scores = torch.stack([pooling.outer(torch.tanh(pooling.inner(frame))) for frame in frames])
        weights = scores.exp() / scores.exp().sum(0)
        slow = [sum(w * f for w, f in zip(weights[:, h], frames, strict=True)) for h in range(heads)]
        assert torch.allclose(pooled[row], torch.cat(slow), atol=1e-5)


def test_attentive_statistics_are_their_definition():
    x, mask = batch()
    pooling = AttentiveStatistics(5, 4)
    pooled = pooling(x, mask)
    for row in range(2):
        frames = [x[row, t] for t in range(7) if mask[row, t]]
        context = moments(frames, [1 / len(frames)] * len(frames))
        scores = torch.stack(
            [pooling.outer(torch.tanh(pooling.inner(torch.cat([frame, *context])))) for frame in frames]
        )
        weights = scores.exp() / scores.exp().sum(0)
        assert torch.allclose(pooled[row], torch.cat(moments(frames, weights)), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "wanted"), [("statistics", AttentiveStatistics), ("attention", SelfAttention), ("mean", Mean)]
)
def test_a_pooling_is_of_its_kind_and_says_how_wide_its_answer_is(kind, wanted):
    x, mask = batch()
    pooling = build_pooling(kind, 5, 4, 2)
    assert isinstance(pooling, wanted)
    assert pooling(x, mask).shape == (2, pooling.dimension)
