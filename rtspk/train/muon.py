"""Muon: an optimiser for a network's matrices, whose steps are orthogonal."""

from collections.abc import Iterable

import torch
from torch import Tensor

from rtspk.train.device import has_bfloat16

__all__ = ["Muon"]

MOMENTUM: float = 0.95
# Of the quintic that brings singular values near one in five rounds (K. Jordan, 2024).
QUINTIC: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
ROUNDS: int = 5
LIKE_ADAMW: float = 0.2  # root mean square of AdamW's steps (arXiv:2502.16982)
TINY: float = 1e-7


class Muon(torch.optim.Optimizer):
    """Steps along the gradient's momentum made orthogonal (K. Jordan, 2024), as large as AdamW's would be.

    It does what `torch.optim.Muon` with `match_rms_adamw` does, but in bfloat16 only where the device
    multiplies in it: elsewhere that takes many times as long (bench/LOG.md).

    Args:
        matrices: what is learnt, two dimensions each
        lr: the learning rate
        weight_decay: share of a matrix that goes in a step, for each unit of the rate
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move the matrices against their gradients."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1.0 - MOMENTUM)
                ahead = matrix.grad.lerp(momentum, MOMENTUM)  # Nesterov's
                matrix.mul_(1.0 - group["lr"] * group["weight_decay"])
                size = LIKE_ADAMW * max(matrix.shape) ** 0.5
                matrix.add_(_orthogonal(ahead), alpha=-group["lr"] * size)


def _orthogonal(matrix: Tensor) -> Tensor:
    """The same matrix with singular values near one."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    if has_bfloat16(matrix.device):
        x = x.bfloat16()
    x = x / x.norm().clamp(min=TINY)
    once, cubed, fifth = QUINTIC
    for _ in range(ROUNDS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=cubed, alpha=fifth), x, beta=once)
    return x.T if tall else x
