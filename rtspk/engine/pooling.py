"""From frames to one vector: poolings that count the frames on the mask and no others.

B is the batch, T the frames, D the width of a frame. Needs torch, as the networks do that pool with it.
"""

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["AttentiveStatistics", "Mean", "Pooling", "PoolingKind", "SelfAttention", "build_pooling"]

PoolingKind = Literal["statistics", "attention", "mean"]


class Mean(nn.Module):
    """The mean of the frames."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dimension = width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and their mask (B, T) to (B, dimension)."""
        return (x.float() * shares(mask)).sum(1)  # (B, D)


class SelfAttention(nn.Module):
    """Each head's weighted mean of the frames, one after the other (arXiv:1703.03130)."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.dimension = heads * width
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, heads)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and their mask (B, T) to (B, dimension)."""
        score = attention(self.outer(torch.tanh(self.inner(x))), mask)  # (B, T, heads)
        return (score.transpose(1, 2) @ x.float()).flatten(1)  # (B, heads * D)


class AttentiveStatistics(nn.Module):
    """Attentive statistics with context (arXiv:1803.10963, arXiv:2005.07143) over masked frames."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.dimension = 2 * width
        self.inner = nn.Linear(3 * width, hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and their mask (B, T) to (B, dimension)."""
        mean, deviation = statistics(x, shares(mask))
        context = torch.cat([x, mean.unsqueeze(1).expand_as(x), deviation.unsqueeze(1).expand_as(x)], dim=-1)
        score = attention(self.outer(torch.tanh(self.inner(context))), mask)  # (B, T, D)
        return torch.cat(statistics(x, score), dim=-1)  # (B, 2 * D)


Pooling = AttentiveStatistics | SelfAttention | Mean


def build_pooling(kind: PoolingKind, width: int, hidden: int, heads: int) -> Pooling:
    """Make a pooling.

    Args:
        kind: which
        width: of a frame
        hidden: width of the layer that weighs the frames
        heads: of "attention", each with weights of its own
    """
    if kind == "mean":
        return Mean(width)
    return SelfAttention(width, hidden, heads) if kind == "attention" else AttentiveStatistics(width, hidden)


def shares(mask: Tensor) -> Tensor:
    """The same weight for every frame on the mask, (B, T, 1); all zeros where there is none."""
    weight = mask.unsqueeze(-1)
    return weight / weight.sum(1, keepdim=True).clamp(min=1.0)


def attention(score: Tensor, mask: Tensor) -> Tensor:
    """Softmax of scores (B, T, any) over the frames on the mask."""
    weight = mask.unsqueeze(-1)
    return torch.softmax(score.float() + (weight - 1.0) * 1e4, dim=1) * weight


def statistics(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation over time, each (B, D)."""
    x = x.float()
    mean = (x * weight).sum(1)
    variance = ((x - mean.unsqueeze(1)).square() * weight).sum(1)
    return mean, (variance + 1e-5).sqrt()
