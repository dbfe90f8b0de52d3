"""What a network hears while it trains: log-mel or MFCC, in torch, batched and on any device."""

from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rtspk.engine.torch_features import TorchLogMel
from rtspk.kernels.mel import MelConfig
from rtspk.kernels.mfcc import MfccConfig, cepstra

__all__ = ["FeatureConfig", "TorchMfcc", "build_features"]


@dataclass(frozen=True, slots=True)
class FeatureConfig(MelConfig):
    """What the network hears. The engine computes log-mel only: a model on MFCC is for experiments."""

    kind: Literal["mel", "mfcc"] = "mel"
    coefficients: int = 40  # of MFCC
    lifter: float = 22.0  # of MFCC; 0 leaves the coefficients as they are

    def __post_init__(self) -> None:
        MelConfig.__post_init__(self)  # super() does not find its class under slots
        if self.kind == "mfcc":
            self.mfcc()

    @property
    def width(self) -> int:
        """Numbers in a frame."""
        return self.mels if self.kind == "mel" else self.coefficients

    def mel(self) -> MelConfig:
        """The log-mel part alone, as a model's card states it."""
        return MelConfig(*(getattr(self, one.name) for one in fields(MelConfig)))

    def mfcc(self) -> MfccConfig:
        """The same as the kernels' settings."""
        return MfccConfig(**asdict(self.mel()), num_ceps=self.coefficients, lifter=self.lifter)


class TorchMfcc(TorchLogMel):
    """Kaldi-compatible MFCC: samples float32 [shape=(B, n)] -> [shape=(B, frames, num_ceps)]."""

    transform: Tensor

    def __init__(self, config: MfccConfig) -> None:
        super().__init__(config)
        unit_rows = np.eye(config.mels, dtype=np.float32)  # the cepstra of these are the transform itself
        self.register_buffer("transform", torch.from_numpy(cepstra(unit_rows, config)))

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """Frames of every row of the batch, without padding at the ends."""
        return super().forward(samples) @ self.transform


def build_features(config: FeatureConfig) -> TorchLogMel:
    """The features that a recipe wants, as a module to move where the network is."""
    return TorchMfcc(config.mfcc()) if config.kind == "mfcc" else TorchLogMel(config.mel())
