"""A plain Transformer encoder, norms first: the ladder's first rung below the Conformer.

B is the batch, T the frames, D the width.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rtspk.config import refuse_outside
from rtspk.engine.conformer import (
    SUBSAMPLING,
    Attention,
    ChannelDropout,
    FeedForward,
    Subsampling,
    attention_bias,
    centre,
    check_heads,
    rotations,
    subsampled,
)
from rtspk.engine.pooling import PoolingKind, build_pooling

__all__ = ["Transformer", "TransformerConfig"]


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Sizes of the network."""

    channels: int = 32  # of the subsampling convolutions
    width: int = 192
    blocks: int = 6
    heads: int = 6
    expansion: int = 4  # of the feed-forward layers
    positions: Literal["rotary", "sinusoidal"] = "rotary"
    dropout: float = 0.1
    pooling: PoolingKind = "statistics"
    pooling_width: int = 128  # of the layer that weighs the frames
    pooling_heads: int = 1  # of the pooling "attention"
    dimension: int = 192

    def __post_init__(self) -> None:
        sizes = ("channels", "blocks", "expansion", "pooling_width", "pooling_heads", "dimension")
        refuse_outside(self, 1, math.inf, "width", *sizes)
        refuse_outside(self, 0.0, 0.99, "dropout")
        check_heads(self.width, self.heads)


class Block(nn.Module):
    """Attention, then feed-forward, each behind its norm (arXiv:2002.04745)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.feed_forward = FeedForward(config.width, config.expansion, config.dropout)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None, bias: Tensor) -> Tensor:
        x = x + self.attention(x, rotation, bias)
        return x + self.feed_forward(x)


class Transformer(nn.Module):
    """Log-mel and a mask in, a voice out."""

    frames_multiple = SUBSAMPLING

    def __init__(self, config: TransformerConfig, mels: int = 80) -> None:
        super().__init__()
        self.config, self.dimension = config, config.dimension
        self.subsampling = Subsampling(mels, config.channels, 0, config.width)
        self.dropout = ChannelDropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.pooling = build_pooling(config.pooling, config.width, config.pooling_width, config.pooling_heads)
        self.pooled_norm = nn.BatchNorm1d(self.pooling.dimension)
        self.project = nn.Linear(self.pooling.dimension, config.dimension)
        self.embedding_norm = nn.BatchNorm1d(config.dimension)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed a batch; a frame off the mask changes nothing, wherever it stands.

        Args:
            features: float32 [shape=(B, T, mels)], without normalisation
            mask: float32 [shape=(B, T)], 1 for the frames to listen to, 0 for the rest

        Returns:
            float32 [shape=(B, dimension)], not yet of unit length
        """
        config = self.config
        x = centre(features, mask)
        mask = subsampled(mask, SUBSAMPLING)
        x = self.subsampling(x, mask)  # (B, T/4, D)
        rotation = None
        if config.positions == "rotary":
            rotation = rotations(x.shape[1], config.width // config.heads, x)
        else:
            positions = torch.cat(rotations(x.shape[1], config.width, x), dim=-1)
            x = x * config.width**0.5 + positions  # arXiv:1706.03762
        bias = attention_bias(mask, x)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, rotation, bias)
        pooled = self.pooling(self.norm(x), mask)
        return self.embedding_norm(self.project(self.pooled_norm(pooled)))
