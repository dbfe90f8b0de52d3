"""Optimisers by name, and how the learning rate moves over a run."""

import math
from typing import Any

import torch
from torch import nn

from rtspk.errors import ConfigError
from rtspk.train.muon import Muon
from rtspk.train.recipe import LoopConfig

__all__ = ["Optimiser", "cycle_ends", "rate_at"]


class Optimiser:
    """One or two of torch's optimisers as one; matrices decay, gains and offsets do not.

    "muon" is for the network's matrices alone (`rtspk.train.muon`); all else goes by AdamW.
    """

    def __init__(self, learner: nn.Module, loop: LoopConfig) -> None:
        learnt = {name: p for name, p in learner.named_parameters() if p.requires_grad}
        decayed = {name: p for name, p in learnt.items() if p.ndim > 1}
        others = [p for p in learnt.values() if p.ndim <= 1]
        self._learnt = list(learnt.values())
        self._parts: list[torch.optim.Optimizer] = []
        if loop.optimiser == "muon":
            matrices = [p for name, p in decayed.items() if p.ndim == 2 and name.startswith("network.")]
            decayed = {name: p for name, p in decayed.items() if not any(p is m for m in matrices)}
            self._parts.append(Muon(matrices, loop.rate, loop.weight_decay))
        groups = [
            {"params": list(decayed.values()), "weight_decay": loop.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        if loop.optimiser in {"muon", "adamw"}:
            self._parts.append(torch.optim.AdamW(groups, lr=loop.rate, betas=(0.9, 0.98)))
        else:
            self._parts.append(torch.optim.SGD(groups, lr=loop.rate, momentum=loop.momentum, nesterov=True))

    def step(self, rate: float, longest: float = math.inf) -> None:
        """Move the weights against their gradients at a learning rate, and forget the gradients.

        Args:
            rate: the learning rate
            longest: that all gradients together may be; longer ones are made so long

        Raises:
            ConfigError: a gradient is no number; the weights stay as they were.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self._learnt, longest))
        if not math.isfinite(norm):
            raise ConfigError(
                f"wanted gradients that are numbers, got {norm} at a learning rate of {rate:.3g}: "
                "begin anew with a lower loop.rate or a longer loop.warmup"
            )
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """All that the next step depends on."""
        return [part.state_dict() for part in self._parts]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go on from a state of the same optimiser over the same weights."""
        for part, own in zip(self._parts, state, strict=True):
            part.load_state_dict(own)


def rate_at(step: int, loop: LoopConfig) -> float:
    """The learning rate: a linear warm-up, then half a cosine down to the end rate, once or again and again.

    With `cycles` above 1 the cosine begins anew after each (warm restarts, arXiv:1608.03983).
    """
    if step < loop.warmup:
        return loop.rate * (step + 1) / loop.warmup
    done = (step - loop.warmup) * loop.cycles / max(1, loop.steps - loop.warmup)
    within = done - math.floor(done) if done < loop.cycles else 1.0
    return loop.rate_end + 0.5 * (loop.rate - loop.rate_end) * (1.0 + math.cos(math.pi * within))


def cycle_ends(loop: LoopConfig) -> list[int]:
    """After how many steps each cycle of the learning rate is over; the last is the run's end."""
    falling = max(1, loop.steps - loop.warmup)
    return [loop.warmup + -(-falling * cycle // loop.cycles) for cycle in range(1, loop.cycles + 1)]
