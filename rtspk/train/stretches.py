"""Crops as an embedder's trunk hears a stream: in stretches of a hop, each a picture of its own.

See `rtspk.engine.trunk`: the windows of a stream pool the frames of several such stretches.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.engine.residual_conformer import SUBSAMPLING, ResidualConformer

__all__ = ["ROWS", "embed_in_stretches", "stretches"]

ROWS: int = 48  # of a stretch: the whole trunk frames of a hop
MEMORY: tuple[int, int] = 112, 240  # rows, at least and at most, over which a stretch's mean is taken


def stretches(features: Tensor, mask: Tensor, offset: int, memory: int) -> tuple[Tensor, Tensor]:
    """Cut crops up, each stretch less the mean of what was heard in the last rows up to its end.

    Args:
        features: float32 [shape=(B, T, mels)]
        mask: float32 [shape=(B, T)], 1 for the frames to listen to
        offset: rows of a stretch before the crop's first, whole trunk frames
        memory: rows over which means are taken

    Returns:
        pictures, float32 [shape=(B, stretches, ROWS, mels)], and which trunk frames are on: those with most
        of their rows on, or any where none has most, float32 [shape=(B, stretches * ROWS / 8)]
    """
    count = -(-(features.shape[1] + offset) // ROWS)
    behind = count * ROWS - features.shape[1] - offset
    x, on = F.pad(features, (0, 0, offset, behind)), F.pad(mask, (offset, behind))
    sums = F.pad((x * on.unsqueeze(-1)).cumsum(1), (0, 0, 1, 0))
    counts = F.pad(on.cumsum(1), (1, 0))
    ends = torch.arange(1, count + 1, device=x.device) * ROWS
    begins = (ends - memory).clamp(min=0)
    heard = (counts[:, ends] - counts[:, begins]).clamp(min=1.0).unsqueeze(-1)
    mean = (sums[:, ends] - sums[:, begins]) / heard  # (B, stretches, mels)
    batch, mels = len(x), x.shape[2]
    cut = x.reshape(batch, count, ROWS, mels) - mean.unsqueeze(2)
    pictures = cut * on.reshape(batch, count, ROWS, 1)
    rows = on.reshape(batch, -1, SUBSAMPLING).sum(2)
    most = rows > SUBSAMPLING / 2
    frames = torch.where(most.any(1, keepdim=True), most, rows > 0)
    return pictures, frames.to(mask.dtype)


def embed_in_stretches(network: ResidualConformer, features: Tensor, mask: Tensor) -> Tensor:
    """As `ResidualConformer.forward`, but in stretches; where they begin and what they remember is drawn."""
    offset = SUBSAMPLING * int(torch.randint(0, ROWS // SUBSAMPLING, ()))
    memory = int(torch.randint(*MEMORY, ()))
    pictures, on = stretches(features, mask, offset, memory)
    frames = network.trunk(pictures.flatten(0, 1))
    return network.head(frames.reshape(len(features), on.shape[1], -1), on)
