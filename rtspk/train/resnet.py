"""A ResNet that looks at log-mel as at a picture; frames off the mask are zero between all its layers.

B is the batch, C the channels, T the frames, M the mel bands.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.config import refuse_outside
from rtspk.engine.conformer import centre
from rtspk.engine.pooling import PoolingKind, build_pooling

__all__ = ["ResNet", "ResNetConfig"]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # of each layer (arXiv:1512.03385)
WIDER: int = 4  # a bottleneck's output, in its inner channels


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Sizes of the network."""

    depth: Literal[18, 34, 50] = 34  # 50 is of bottlenecks
    channels: int = 32  # of the first layer; every layer after it has twice as many
    stem: Literal["speech", "image"] = "speech"  # "image": 7 x 7 and pooling, a quarter of time and mel
    pooling: PoolingKind = "statistics"
    pooling_width: int = 128  # of the layer that weighs the frames
    pooling_heads: int = 1  # of the pooling "attention"
    dimension: int = 192

    def __post_init__(self) -> None:
        refuse_outside(self, 1, math.inf, "channels", "pooling_width", "pooling_heads", "dimension")


class Basic(nn.Module):
    """Two convolutions of 3 x 3 beside the identity."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = shortcut(inputs, channels, stride)
        nn.init.zeros_(self.norm2.weight)  # a block is the identity at first (arXiv:1706.02677)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        after = halve(mask) if self.stride == 2 else mask
        y = F.relu(self.norm1(self.conv1(x))) * after
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x)) * after, after


class Bottleneck(nn.Module):
    """A convolution of 3 x 3 between two of 1 x 1, beside the identity."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, WIDER * channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(WIDER * channels)
        self.shortcut = shortcut(inputs, WIDER * channels, stride)
        nn.init.zeros_(self.norm3.weight)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        after = halve(mask) if self.stride == 2 else mask
        y = F.relu(self.norm1(self.conv1(x))) * mask
        y = F.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return F.relu(y + self.shortcut(x)) * after, after


class Stem(nn.Module):
    """The first convolution: of 3 x 3 at full resolution, or as for photographs, down to a quarter."""

    def __init__(self, kind: Literal["speech", "image"], channels: int) -> None:
        super().__init__()
        self.image = kind == "image"
        side, stride = (7, 2) if self.image else (3, 1)
        self.conv = nn.Conv2d(1, channels, side, stride, side // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if not self.image:
            return F.relu(self.norm(self.conv(x))) * mask, mask
        mask = halve(mask)
        x = F.relu(self.norm(self.conv(x))) * mask
        mask = halve(mask)
        return F.max_pool2d(x, 3, 2, 1) * mask, mask


class ResNet(nn.Module):
    """Log-mel and a mask in, a voice out."""

    def __init__(self, config: ResNetConfig, mels: int = 80) -> None:
        super().__init__()
        self.config, self.dimension = config, config.dimension
        halvings = 5 if config.stem == "image" else 3
        self.frames_multiple = 2**halvings
        c = config.channels
        self.stem = Stem(config.stem, c)
        wider = WIDER if config.depth == 50 else 1
        counts = BLOCKS[config.depth]
        self.layer1 = layer(config, counts[0], c, c, 1)
        self.layer2 = layer(config, counts[1], wider * c, 2 * c, 2)
        self.layer3 = layer(config, counts[2], 2 * wider * c, 4 * c, 2)
        self.layer4 = layer(config, counts[3], 4 * wider * c, 8 * c, 2)
        width = 8 * wider * c * -(-mels // self.frames_multiple)
        self.pooling = build_pooling(config.pooling, width, config.pooling_width, config.pooling_heads)
        self.pooled_norm = nn.BatchNorm1d(self.pooling.dimension)
        self.project = nn.Linear(self.pooling.dimension, config.dimension)
        self.embedding_norm = nn.BatchNorm1d(config.dimension)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )  # arXiv:1502.01852
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a fifth of a step less

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed a batch; a frame off the mask changes nothing, wherever it stands.

        Args:
            features: float32 [shape=(B, T, mels)], without normalisation
            mask: float32 [shape=(B, T)], 1 for the frames to listen to, 0 for the rest

        Returns:
            float32 [shape=(B, dimension)], not yet of unit length
        """
        x = centre(features, mask).unsqueeze(1)  # (B, 1, T, mels)
        x, heard = self.stem(x, mask[:, None, :, None])
        for blocks in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in blocks:
                x, heard = block(x, heard)
        x = x.transpose(1, 2).flatten(2)  # (B, T/8, C * M/8), of 32 instead with the stem for images
        pooled = self.pooling(x, heard[:, 0, :, 0])
        return self.embedding_norm(self.project(self.pooled_norm(pooled)))


def layer(config: ResNetConfig, blocks: int, inputs: int, channels: int, stride: int) -> nn.ModuleList:
    """So many blocks, of which the first may halve time and mel."""
    kind, outputs = (Bottleneck, WIDER * channels) if config.depth == 50 else (Basic, channels)
    first = kind(inputs, channels, stride)
    return nn.ModuleList([first, *(kind(outputs, channels, 1) for _ in range(blocks - 1))])


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity, or what makes it fit."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def halve(mask: Tensor) -> Tensor:
    """The mask (B, 1, T, 1) of half as many frames: one is heard where either of its two was."""
    return F.max_pool2d(mask, (2, 1), (2, 1), ceil_mode=True)
