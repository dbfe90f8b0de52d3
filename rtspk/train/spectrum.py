"""SpecAugment: stretches of time and of mel bands are hidden from the network."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["mask_spectrum"]


def mask_spectrum(features: Tensor, mask: Tensor, strength: float = 1.0) -> Tensor:
    """SpecAugment (arXiv:1904.08779): one stretch of time and two of mel bands set to the crop's mean."""
    B, T, mels = features.shape  # noqa: N806
    weight = mask.unsqueeze(-1)
    mean = (features * weight).sum((1, 2), keepdim=True) / (
        weight.sum((1, 2), keepdim=True).clamp(min=1.0) * mels
    )
    time_axis, mel_axis = torch.arange(T)[None, :, None], torch.arange(mels)[None, None, :]
    hidden = _stretches(B, T, int(strength * T / 8))(time_axis)
    for _ in range(2):
        hidden = hidden | _stretches(B, mels, int(10 * strength))(mel_axis)
    return torch.where(hidden.to(features.device), mean, features)


def _stretches(rows: int, length: int, longest: int) -> Callable[[Tensor], Tensor]:
    width = torch.randint(0, longest + 1, (rows, 1, 1))
    start = (torch.rand(rows, 1, 1) * (length - width)).long()
    return lambda axis: (axis >= start) & (axis < start + width)
