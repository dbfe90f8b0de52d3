"""The embedder's network: a Conformer whose mask keeps other people's frames out of everything.

B is the batch, T the frames, D the width of the trunk, H the attention heads.
Needs torch; the engine itself runs the exported ONNX file and never imports this module.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.config import refuse_outside
from rtspk.engine.pooling import PoolingKind, build_pooling, shares
from rtspk.errors import ConfigError

__all__ = [
    "SUBSAMPLING",
    "Attention",
    "ChannelDropout",
    "Conformer",
    "ConformerConfig",
    "FeedForward",
    "Subsampling",
    "all_scales",
    "attention_bias",
    "centre",
    "check_heads",
    "rotations",
    "subsampled",
]

SUBSAMPLING = 4  # feature frames per trunk frame


@dataclass(frozen=True, slots=True)
class ConformerConfig:
    """Sizes of the network: as they stand 4.5 M parameters; width 256, 7 blocks and 8 heads make 12.4 M."""

    channels: int = 32  # of the subsampling convolutions
    residuals: int = 0  # blocks of two more convolutions over time and mel, after the subsampling
    width: int = 160
    blocks: int = 6
    heads: int = 5
    expansion: int = 4  # of the feed-forward layers
    kernel: int = 15  # of the depthwise convolution, in trunk frames of 40 ms
    dropout: float = 0.1
    pooling: PoolingKind = "statistics"
    pooling_width: int = 128  # of the layer that weighs the frames
    pooling_heads: int = 1  # of the pooling "attention"
    dimension: int = 192

    def __post_init__(self) -> None:
        sizes = ("channels", "blocks", "expansion", "kernel", "pooling_width", "pooling_heads", "dimension")
        refuse_outside(self, 1, math.inf, "width", *sizes)
        refuse_outside(self, 0, math.inf, "residuals")
        refuse_outside(self, 0.0, 0.99, "dropout")
        check_heads(self.width, self.heads)
        if self.kernel % 2 == 0:
            raise ConfigError(f"wanted a kernel with a middle, got the even {self.kernel}")


class Residual(nn.Module):
    """Two convolutions over time and mel beside the identity, which is all that it is at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = F.silu(self.first_norm(self.first(x * mask))) * mask
        return x + self.second_norm(self.second(y))


class Subsampling(nn.Module):
    """Two strided convolutions, then residual ones: a quarter of the frames, mel folded into the width."""

    def __init__(self, mels: int, channels: int, residuals: int, width: int) -> None:
        super().__init__()
        c = channels
        self.first = nn.Conv2d(1, c, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(c, c, 3, stride=2, padding=1, groups=c)
        self.pointwise = nn.Conv2d(c, c, 1)
        self.residuals = nn.ModuleList(Residual(c) for _ in range(residuals))
        self.project = nn.Linear(c * ((mels + 3) // 4), width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, mels) and the mask of trunk frames (B, T/4) to trunk frames (B, T/4, D)."""
        x = F.silu(self.first(x.unsqueeze(1)))  # (B, C, T/2, mels/2)
        x = F.silu(self.pointwise(self.depthwise(x)))  # (B, C, T/4, mels/4)
        for residual in self.residuals:
            x = residual(x, mask[:, None, :, None])
        x = x.transpose(1, 2).flatten(2)  # (B, T/4, C * mels/4)
        return self.project(x)


class ChannelDropout(nn.Module):
    """Drops whole channels for a whole utterance: a few random numbers where dropout draws millions."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Frames (B, T, D), in training with some channels at zero and the others larger."""
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.rate
        return x * (keep.to(x.dtype) / (1.0 - self.rate))


class FeedForward(nn.Module):
    """The half-step feed-forward layer of arXiv:2005.08100."""

    def __init__(self, width: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width * expansion)
        self.down = nn.Linear(width * expansion, width)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """What is added to frames (B, T, D)."""
        return self.dropout(self.down(F.silu(self.up(self.norm(x)))))


class Attention(nn.Module):
    """Self-attention whose positions, where a rotation is given, are relative by it (arXiv:2104.09864)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None, bias: Tensor) -> Tensor:
        """What is added to frames (B, T, D); the bias, (B, 1, 1, T), to the scores."""
        B, T, D = x.shape  # noqa: N806
        qkv = self.qkv(self.norm(x)).view(B, T, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, H, T, D/H)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        score = q * (D // self.heads) ** -0.5 @ k.transpose(-2, -1) + bias  # (B, H, T, T)
        y = torch.softmax(score, dim=-1).to(v.dtype) @ v
        return self.dropout(self.out(y.transpose(1, 2).reshape(B, T, D)))


class Convolution(nn.Module):
    """Gated pointwise, then depthwise convolution over time; frames off the mask stay zero."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        D = config.width  # noqa: N806
        self.norm = nn.LayerNorm(D)
        self.gate = nn.Linear(D, 2 * D)
        self.depthwise = nn.Conv1d(D, D, config.kernel, padding=config.kernel // 2, groups=D)
        self.batch_norm = nn.BatchNorm1d(D)
        self.out = nn.Linear(D, D)
        self.dropout = ChannelDropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = F.glu(self.gate(self.norm(x)), dim=-1) * mask.unsqueeze(-1)
        x = self.batch_norm(self.depthwise(x.transpose(1, 2))).transpose(1, 2)
        return self.dropout(self.out(F.silu(x)))


class Block(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, norm."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.before = FeedForward(config.width, config.expansion, config.dropout)
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.convolution = Convolution(config)
        self.after = FeedForward(config.width, config.expansion, config.dropout)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, mask: Tensor, rotation: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.attention(x, rotation, bias)
        x = x + self.convolution(x, mask)
        x = x + 0.5 * self.after(x)
        return self.norm(x)


class Conformer(nn.Module):
    """Log-mel and a mask in, a voice out.

    Multi-scale aggregation of all blocks follows MFA-Conformer (arXiv:2203.15249).
    """

    frames_multiple = SUBSAMPLING

    def __init__(self, config: ConformerConfig, mels: int = 80) -> None:
        super().__init__()
        self.config, self.dimension = config, config.dimension
        self.subsampling = Subsampling(mels, config.channels, config.residuals, config.width)
        self.dropout = ChannelDropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        wide = config.width * config.blocks
        self.norm = nn.LayerNorm(wide)
        self.pooling = build_pooling(config.pooling, wide, config.pooling_width, config.pooling_heads)
        self.pooled_norm = nn.BatchNorm1d(self.pooling.dimension)
        self.project = nn.Linear(self.pooling.dimension, config.dimension)
        self.embedding_norm = nn.BatchNorm1d(config.dimension)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed a batch; a frame off the mask changes nothing, wherever it stands.

        Args:
            features: float32 [shape=(B, T, mels)], log-mel without normalisation
            mask: float32 [shape=(B, T)], 1 for the frames to listen to, 0 for the rest

        Returns:
            float32 [shape=(B, dimension)], not yet of unit length
        """
        x = centre(features, mask)
        mask = subsampled(mask, SUBSAMPLING)
        x = self.subsampling(x, mask)
        scales = all_scales(self.blocks, self.config, self.dropout(x), mask)
        pooled = self.pooling(self.norm(scales), mask)
        return self.embedding_norm(self.project(self.pooled_norm(pooled)))


def all_scales(blocks: nn.ModuleList, config: ConformerConfig, x: Tensor, mask: Tensor) -> Tensor:
    """Frames (B, T, D) through all blocks, the answers of each side by side (B, T, blocks * D)."""
    rotation = rotations(x.shape[1], config.width // config.heads, x)
    bias = attention_bias(mask, x)
    scales = []
    for block in blocks:
        x = block(x, mask, rotation, bias)
        scales.append(x)
    return torch.cat(scales, dim=-1)


def centre(features: Tensor, mask: Tensor) -> Tensor:
    """Features without their mean over the mask, of a deviation near 1, zero off the mask."""
    mean = (features * shares(mask)).sum(1, keepdim=True)
    return (features - mean) * mask.unsqueeze(-1) * 0.25  # log-mel has a deviation of about 4


def subsampled(mask: Tensor, group: int) -> Tensor:
    """The mask of trunk frames (B, T/group): those are on that hold any frame (B, T) which is."""
    return F.max_pool1d(mask.unsqueeze(1), group, group, ceil_mode=True).squeeze(1)


def attention_bias(mask: Tensor, like: Tensor) -> Tensor:
    """What is added to attention's scores so that no frame listens to one off the mask, (B, 1, 1, T)."""
    return ((mask - 1.0) * 1e4).to(like.dtype)[:, None, None, :]


def check_heads(width: int, heads: int) -> None:
    """Refuse a width that does not fall into heads of even width, as rotation needs them."""
    if heads < 1 or width % (2 * heads):
        raise ConfigError(f"wanted a width in whole heads of even width, got {width} in {heads}")


def rotations(length: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions, each (T, D/H/2)."""
    rate = 10_000.0 ** (-torch.arange(0, width, 2, device=like.device, dtype=torch.float32) / width)
    angle = torch.arange(length, device=like.device, dtype=torch.float32).unsqueeze(1) * rate
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the two halves of each head's vector against one another by position."""
    cosine, sine = rotation
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
