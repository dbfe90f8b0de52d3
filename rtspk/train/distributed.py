"""One run over several processes that `torchrun` started, with the same result as one process would give.

Every process holds every batch, hears its own rows of it, and computes the losses over the voices of all;
torch's DistributedDataParallel averages the gradients. Data workers share the work by steps, not by rows.
"""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn import functional as collective
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses
from torch.nn.parallel import DistributedDataParallel

from rtspk.engine.conformer import ChannelDropout
from rtspk.errors import ConfigError
from rtspk.train.batches import Batch
from rtspk.train.learner import Learner

__all__ = ["ALONE", "Ranks", "joined", "spread"]

PATIENCE = timedelta(hours=12)  # the others wait while the first decodes the data, or measures


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which process this is, of how many; `local` counts those of one machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes, logs and measures."""
        return self.rank == 0

    @classmethod
    def of_environment(cls) -> "Ranks":
        """What `torchrun` says; alone where it did not start us."""
        return cls(
            *(int(os.environ.get(n, d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
        )

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first of each machine go first, so that the others find its files."""
        if self.count > 1 and self.local:
            distributed.barrier()
        yield
        if self.count > 1 and not self.local:
            distributed.barrier()

    def rows(self, total: int) -> slice:
        """This process's rows of a batch."""
        if total < self.count:
            raise ConfigError(f"wanted a batch with a row for each of {self.count} processes, got {total}")
        return slice(total * self.rank // self.count, total * (self.rank + 1) // self.count)

    def shared(self, batch: Batch | None, owner: int, device: torch.device) -> Batch:
        """Give every process the batch that one of them has."""
        if self.count == 1:
            assert batch is not None
            return batch
        names = [one.name for one in fields(Batch)]
        own = [getattr(batch, name).to(device) for name in names] if batch is not None else []
        shapes = [[(tensor.shape, tensor.dtype) for tensor in own]]
        distributed.broadcast_object_list(shapes, owner, device=device)
        tensors = own or [torch.empty(shape, dtype=kind, device=device) for shape, kind in shapes[0]]
        for tensor in tensors:
            distributed.broadcast(tensor, owner)
        return Batch(**dict(zip(names, tensors, strict=True)))


ALONE = Ranks()


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Be one of the processes while this lasts."""
    if ranks.count == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def spread(learner: Learner, ranks: Ranks) -> nn.Module:
    """The learner to call instead: its network trains on this process's rows alone, and answers for all."""
    if ranks.count == 1:
        return learner
    rows = _Rows(ranks)
    network = learner.network
    network.register_forward_pre_hook(rows.enter)
    network.register_forward_hook(rows.leave)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.forward = functools.partial(rows.normalise, module)  # type: ignore[method-assign] # of this one
        elif isinstance(module, ChannelDropout):
            module.forward = functools.partial(rows.drop, module)  # type: ignore[method-assign] # of this one
    return DistributedDataParallel(learner, broadcast_buffers=False)


class _Rows:
    """What the network must know of the rows that other processes hear; outside of training, nothing."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._own, self._total = slice(0), 0

    def enter(self, network: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Keep this process's rows of features and mask."""
        if not network.training:
            return None
        features, mask = inputs
        self._total = len(mask)
        self._own = self._ranks.rows(self._total)
        return features[self._own], mask[self._own]

    def leave(self, network: nn.Module, _: tuple[Tensor, Tensor], voices: Tensor) -> Tensor | None:
        """Put all processes' embeddings together, in order, (B, dimension).

        Going back, the sum over processes makes the gradient too large by their number, which is what the
        mean over processes takes away again; heads, whose gradient is whole everywhere, keep theirs.
        """
        if not network.training:
            return None
        return _summed(F.pad(voices, (0, 0, self._own.start, self._total - self._own.stop)))

    def drop(self, module: ChannelDropout, x: Tensor) -> Tensor:
        """Drop what a single process would have dropped of these rows."""
        if not module.training or module.rate == 0.0:
            return x
        keep = torch.rand(self._total, 1, x.shape[2], device=x.device)[self._own] >= module.rate
        return x * (keep.to(x.dtype) / (1.0 - module.rate))

    def normalise(self, module: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
        """Batch norm over all processes' rows; torch's own SyncBatchNorm knows GPUs alone."""
        if not module.training:
            return type(module).forward(module, x)
        means, variances, batches = module.running_mean, module.running_var, module.num_batches_tracked
        assert means is not None
        assert variances is not None
        assert batches is not None
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        near = means.clone()  # the squares of what is left when it is taken away do not drown the variance
        apart = x.float() - near.view(shape)
        count = self._total * x[0, 0].numel()
        # Both sums in one round: a network of many batch norms waits for rounds more than for numbers.
        sums = _summed(torch.cat([apart.sum(axes), apart.square().sum(axes)])) / count
        offset, square = sums.chunk(2)
        variance = (square - offset.square()).clamp(min=0.0)
        with torch.no_grad():
            means.lerp_(near + offset, module.momentum or 0.0)
            variances.lerp_(variance * count / (count - 1), module.momentum or 0.0)
            batches.add_(1)
        scale = (variance + module.eps).rsqrt() * module.weight
        return ((apart - offset.view(shape)) * scale.view(shape) + module.bias.view(shape)).to(x.dtype)


def _summed(own: Tensor) -> Tensor:
    """The sum over processes, which gradients go through."""
    summed: Tensor = collective.all_reduce(own)  # type: ignore[no-untyped-call] # torch gives it no types
    return summed
