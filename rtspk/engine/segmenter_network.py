"""The segmenter's network: log-mel of some seconds in, who of three local speakers is active in each 40 ms.

B is the batch, T the frames, D the width of the trunk.
Needs torch; the engine itself runs the exported ONNX file and never imports this module.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtspk.engine.conformer import (
    SUBSAMPLING,
    Block,
    ConformerConfig,
    Subsampling,
    attention_bias,
    centre,
    rotations,
)
from rtspk.engine.powerset import CLASSES

__all__ = ["SegmenterConfig", "SegmenterNetwork"]


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """Sizes of the network: as they stand 1.1 M parameters."""

    channels: int = 24  # of the subsampling convolutions
    width: int = 128
    blocks: int = 4
    heads: int = 4
    expansion: int = 2  # of the feed-forward layers
    kernel: int = 15  # of the depthwise convolution, in trunk frames of 40 ms
    dropout: float = 0.05

    def __post_init__(self) -> None:
        self.trunk()  # refuses what no trunk can be

    def trunk(self) -> ConformerConfig:
        """The Conformer blocks of it."""
        return ConformerConfig(
            channels=self.channels,
            width=self.width,
            blocks=self.blocks,
            heads=self.heads,
            expansion=self.expansion,
            kernel=self.kernel,
            dropout=self.dropout,
        )


class SegmenterNetwork(nn.Module):
    """Conformer blocks on a quarter of the frames, and a powerset class for each."""

    frames_multiple = SUBSAMPLING

    def __init__(self, config: SegmenterConfig, mels: int = 80) -> None:
        super().__init__()
        self.config = config
        trunk = config.trunk()
        self.subsampling = Subsampling(mels, config.channels, 0, config.width)
        self.blocks = nn.ModuleList(Block(trunk) for _ in range(config.blocks))
        self.classes = nn.Linear(config.width, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        """Logarithms of the chances of the seven classes of `rtspk.engine.powerset`.

        Args:
            features: float32 [shape=(B, T, mels)], log-mel without normalisation; T in whole groups of 4

        Returns:
            float32 [shape=(B, T / 4, 7)]
        """
        heard = torch.ones_like(features[:, :, 0])  # (B, T)
        x = centre(features, heard)
        mask = heard[:, ::SUBSAMPLING]  # (B, T/4)
        x = self.subsampling(x, mask)
        rotation = rotations(x.shape[1], self.config.width // self.config.heads, x)
        bias = attention_bias(mask, x)
        for block in self.blocks:
            x = block(x, mask, rotation, bias)
        return torch.log_softmax(self.classes(x).float(), dim=-1)
