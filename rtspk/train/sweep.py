"""How many data workers a run wants: how fast batches come with each number of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from torch.utils.data import DataLoader, Subset

from rtspk.errors import ConfigError
from rtspk.train.batches import Batches

__all__ = ["LoaderSpeed", "sweep_workers"]


@dataclass(frozen=True, slots=True)
class LoaderSpeed:
    """How fast batches come with so many workers; 0 workers make them in the training process itself."""

    workers: int
    batches_per_second: float
    first: float  # seconds until the first batch, which are not in the rate


def sweep_workers(batches: Batches, workers: Sequence[int], count: int) -> list[LoaderSpeed]:
    """Make the same batches with each number of workers, while nothing else wants them.

    Args:
        batches: what a run would train on
        workers: the numbers to try
        count: batches after the first, for each number

    Raises:
        ConfigError: nothing to try, or a number below 0.
    """
    if not workers or min(workers) < 0 or not 1 <= count < len(batches):
        raise ConfigError(
            f"wanted numbers of workers and 1 to {len(batches) - 1} batches, got {list(workers)} and {count}"
        )
    return [_speed(batches, number, count) for number in workers]


def _speed(batches: Batches, workers: int, count: int) -> LoaderSpeed:
    loader = DataLoader(
        Subset(batches, range(count + 1)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    begun = time.perf_counter()
    coming = iter(loader)
    next(coming)
    first = time.perf_counter() - begun
    rest = sum(1 for _ in coming)
    return LoaderSpeed(workers, rest / (time.perf_counter() - begun - first), first)
