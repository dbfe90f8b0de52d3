"""Batches of windows for a recurrent segmenter: what it hears at each step, and what its teacher says there.

Batch k of a run depends on the seed and on k alone, so that a run that goes on sees what it would have seen.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rtspk.errors import ConfigError
from rtspk.train.recurrent_recipe import RecurrentDataConfig
from rtspk.train.recurrent_set import RecurrentSet
from rtspk.types import FloatArray

__all__ = ["RecurrentBatches", "in_steps"]


class RecurrentBatches(Dataset[tuple[Tensor, Tensor]]):
    """Batch k: float32 [shape=(B, S, group * width)] and the teacher's chances, float32 [shape=(B, S, 7)].

    Whole windows, or in so many batches as there are windows that end early, some of these, all as long as
    the shortest of them.
    """

    def __init__(
        self, windows: RecurrentSet, config: RecurrentDataConfig, group: int, seed: int, steps: int
    ) -> None:
        self._windows, self._config, self._group = windows, config, group
        self._seed, self._steps = seed, steps
        length = windows.frames.shape[1]
        self._whole = np.flatnonzero(windows.counts == length)
        early = np.flatnonzero((windows.counts < length) & (windows.counts >= group))
        self._early = early[np.argsort(windows.counts[early], kind="stable")]
        if not len(self._whole):
            raise ConfigError(f"wanted whole windows among {len(windows)}, got none: begun is too large")

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self._seed, step))
        batch, windows = self._config.batch, self._windows
        if len(self._early) < 2 * batch or rng.random() >= self._config.begun:
            chosen, length = rng.choice(self._whole, batch), windows.frames.shape[1]
        else:  # of like lengths, so that little is cut off
            first = int(rng.integers(len(self._early) - 2 * batch + 1))
            chosen = rng.choice(self._early[first : first + 2 * batch], batch)
            length = int(windows.counts[chosen].min())
        return in_steps(windows, chosen, length, self._group)


def in_steps(
    windows: RecurrentSet, chosen: NDArray[np.int64], length: int, group: int
) -> tuple[Tensor, Tensor]:
    """The first frames of some windows in steps of a group; the teacher's chances are their mean.

    Returns:
        float32 [shape=(B, S, group * width)] and float32 [shape=(B, S, 7)]
    """
    steps = length // group
    heard: FloatArray = windows.frames[chosen, : steps * group].astype(np.float32)
    taught: FloatArray = windows.taught[chosen, : steps * group].astype(np.float32)
    rows = heard.reshape(len(chosen), steps, -1)
    chances = taught.reshape(len(chosen), steps, group, -1).mean(2)
    return torch.from_numpy(rows), torch.from_numpy(np.ascontiguousarray(chances))
