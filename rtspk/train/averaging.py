"""Averages of the network's weights over a run, by name: what is measured and ships."""

from typing import Any

import torch
from torch import Tensor, nn

from rtspk.train.recipe import LoopConfig

__all__ = ["Average"]

Weights = dict[str, Tensor]


class Average:
    """The mean of a network's weights over its run.

    "ema" decays with the steps; "last" is the mean of the last few saves (arXiv:1706.03762, section 6.1), and
    "none" the last save alone: both stand still between saves.
    Where a run begins with another's weights, a part of these may be blended in again, for what they knew and
    this run's speech does not tell (arXiv:2109.01903).
    """

    def __init__(self, network: nn.Module, loop: LoopConfig) -> None:
        self._loop = loop
        self._recent: list[Weights] = []  # of "last", oldest first
        self._origin: Weights = {}  # of a run that began with another's
        self.weights = _copy(network)

    def begin(self, network: nn.Module) -> None:
        """Forget everything but the weights that the network has now."""
        self._recent = []
        self.weights = _copy(network)
        self._origin = _copy(network) if self._loop.blend < 1.0 else {}

    def learn(self, network: nn.Module, step: int) -> None:
        """Take part in a step, counted from 0, that changed the network."""
        if self._loop.average != "ema":
            return
        decay = min(self._loop.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1.0 - decay)
            else:
                self.weights[name].copy_(value)

    def save(self, network: nn.Module) -> None:
        """Take part in a save, before anything is measured."""
        if self._loop.average == "none":
            self.weights = _copy(network)
        elif self._loop.average == "last":
            self._recent = [*self._recent, _copy(network)][-self._loop.last :]
            self.weights = _mean(self._recent)

    def blended(self) -> Weights:
        """What is measured and ships: the mean, and of what the run began with as much as the recipe says."""
        if not self._origin:
            return self.weights
        return {
            name: torch.lerp(self._origin[name], value, self._loop.blend)
            if value.is_floating_point()
            else value
            for name, value in self.weights.items()
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"average": self.weights, "recent": self._recent, "origin": self._origin}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; one without recent saves has none."""
        like = next(iter(self.weights.values()))
        self.weights = {name: value.to(like.device) for name, value in state["average"].items()}
        self._origin = {name: value.to(like.device) for name, value in state.get("origin", {}).items()}
        self._recent = [
            {name: value.to(like.device) for name, value in one.items()} for one in state.get("recent", [])
        ]


def _copy(network: nn.Module) -> Weights:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _mean(several: list[Weights]) -> Weights:
    """The mean of what is a float; counters are those of the last."""
    return {
        name: torch.stack([one[name] for one in several]).mean(0)
        if value.is_floating_point()
        else value.clone()
        for name, value in several[-1].items()
    }
