"""The embedder's network: a residual trunk over time and mel, and a Conformer that listens to its frames.

B is the batch, T the frames, M the mel bands, C the channels, D the width of a trunk frame.
Needs torch; the engine itself runs the exported ONNX file and never imports this module.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.config import refuse_outside
from rtspk.engine.conformer import Block, ChannelDropout, ConformerConfig, all_scales, subsampled
from rtspk.engine.pooling import build_pooling, shares, statistics
from rtspk.errors import ConfigError

__all__ = ["Residual", "ResidualConformer", "ResidualConformerConfig"]

SUBSAMPLING = 8  # feature frames per trunk frame


@dataclass(frozen=True, slots=True)
class ResidualConformerConfig:
    """Sizes of the network: as they stand 5.5 M parameters."""

    channels: int = 32  # of the first layer; every layer after it has twice as many
    blocks: tuple[int, ...] = (3, 4, 6, 3)  # of each layer, as in a ResNet-34 (arXiv:1512.03385)
    inner: tuple[int, ...] = (16, 32, 96, 176)  # channels between a block's two convolutions
    conformer: ConformerConfig = field(
        default_factory=lambda: ConformerConfig(
            width=96, blocks=2, heads=4, kernel=7, dropout=0.03, pooling_width=64
        )
    )

    def __post_init__(self) -> None:
        refuse_outside(self, 1, math.inf, "channels", "blocks", "inner")
        if not len(self.blocks) == len(self.inner) > 0:
            raise ConfigError(f"wanted as many blocks as inner, got {self.blocks} and {self.inner}")

    @property
    def dimension(self) -> int:
        """Numbers of a voice."""
        return self.conformer.dimension


class Residual(nn.Module):
    """Two convolutions beside the identity; their norms, if they ever had any, are folded into them."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inner, 3, stride, 1)
        self.second = nn.Conv2d(inner, outputs, 3, padding=1)
        fits = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if fits else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """A picture (B, C, T, M) to the next."""
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class ResidualConformer(nn.Module):
    """Log-mel and a mask in, a voice out: what the trunk's statistics say and what the Conformer adds.

    The Conformer adds nothing at first, so that a trunk and a projection which another network has learnt go
    on from where they were. What a frame off the mask holds is zero to the trunk and changes nothing; that
    it is there shifts the frames beside it by a little, as the edge of a picture does.
    """

    frames_multiple = SUBSAMPLING

    def __init__(self, config: ResidualConformerConfig, mels: int = 80) -> None:
        super().__init__()
        inner = config.conformer
        self.config, self.dimension = config, inner.dimension
        self.stem = nn.Conv2d(1, config.channels, 3, padding=1)
        trunk, inputs = [], config.channels
        for number, (count, width) in enumerate(zip(config.blocks, config.inner, strict=True)):
            outputs = config.channels << number
            for block in range(count):
                trunk.append(Residual(inputs, width, outputs, 2 if number and not block else 1))
                inputs = outputs
        self.layers = nn.Sequential(*trunk)
        frame = inputs * -(-mels // SUBSAMPLING)
        self.project = nn.Linear(2 * frame, inner.dimension)
        self.narrow = nn.Linear(frame, inner.width)
        self.dropout = ChannelDropout(inner.dropout)
        self.blocks = nn.ModuleList(Block(inner) for _ in range(inner.blocks))
        wide = inner.width * inner.blocks
        self.norm = nn.LayerNorm(wide)
        self.pooling = build_pooling(inner.pooling, wide, inner.pooling_width, inner.pooling_heads)
        self.add = nn.Linear(self.pooling.dimension, inner.dimension)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a third of a step less

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed a batch; what a frame off the mask holds changes nothing.

        Args:
            features: float32 [shape=(B, T, mels)], log-mel without normalisation
            mask: float32 [shape=(B, T)], 1 for the frames to listen to, 0 for the rest

        Returns:
            float32 [shape=(B, dimension)], not yet of unit length
        """
        x = self.trunk(self.picture(features, mask))
        mask = subsampled(mask, SUBSAMPLING)
        return self.head(x, mask)

    @staticmethod
    def picture(features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, mels) less their mean over the mask, zero off it."""
        mean = (features * shares(mask)).sum(1, keepdim=True)
        return (features - mean) * mask.unsqueeze(-1)

    def trunk(self, picture: Tensor) -> Tensor:
        """Trunk frames (B, T/8, D) of a picture (B, T, mels)."""
        x = self.layers(F.relu(self.stem(picture.unsqueeze(1))))  # (B, C, T/8, mels/8)
        frames: Tensor = x.transpose(1, 2).flatten(2)
        return frames

    def head(self, x: Tensor, mask: Tensor) -> Tensor:
        """The voice, (B, dimension), of trunk frames (B, T, D) and their mask (B, T)."""
        pooled = torch.cat(statistics(x, shares(mask)), dim=-1)  # (B, 2 * D)
        vector: Tensor = self.project(pooled) + self.add(self._listen(x, mask))
        return vector

    def _listen(self, x: Tensor, mask: Tensor) -> Tensor:
        scales = all_scales(self.blocks, self.config.conformer, self.dropout(self.narrow(x)), mask)
        pooled: Tensor = self.pooling(self.norm(scales), mask)
        return pooled
