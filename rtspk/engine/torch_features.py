"""Log-mel in torch, batched and on any device: the twin of the numba kernel."""

import torch
from torch import Tensor, nn

from rtspk.kernels.framing import window_shape
from rtspk.kernels.mel import MelConfig, mel_filters

__all__ = ["TorchLogMel"]


class TorchLogMel(nn.Module):
    """Kaldi-compatible log-mel: samples float32 [shape=(B, n)] -> [shape=(B, frames, mels)]."""

    taper: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("taper", torch.from_numpy(window_shape(config)))
        self.register_buffer("filters", torch.tensor(mel_filters(config).T, dtype=torch.float32))

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """Frames of every row of the batch, without padding at the ends."""
        config = self.config
        x = samples.unfold(-1, config.window, config.hop)  # (B, frames, window)
        if config.remove_dc:
            x = x - x.mean(-1, keepdim=True)
        before = torch.cat([x[..., :1], x[..., :-1]], dim=-1)
        x = (x - config.preemphasis * before) * self.taper
        power = torch.fft.rfft(x, config.fft).abs().square()[..., :-1]
        return (power @ self.filters).clamp_min(config.floor).log()
