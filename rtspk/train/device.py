"""Where a run computes: the processor, or a GPU where there is one."""

from dataclasses import fields, replace
from typing import TypeVar

import torch
from torch import nn

from rtspk.errors import ConfigError
from rtspk.train.batches import Batch
from rtspk.train.onednn import is_faulty, spared

__all__ = ["choose_device", "has_bfloat16", "moved", "prepared"]

BFLOAT16 = "avx512_bf16", "amx_bf16", "bf16", "sve_bf16"  # what processors call products in it

Network = TypeVar("Network", bound=nn.Module)


def choose_device(wanted: str, local: int = 0) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means for the process `local` of this machine.

    Raises:
        ConfigError: a GPU is wanted where there is none.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return torch.device("cpu")
    if local >= count:
        raise ConfigError(
            f"wanted a GPU for each process of this machine, got {count} for number {local + 1}"
        )
    return torch.device("cuda", local)


def prepared(network: Network, device: torch.device) -> Network:
    """The same network on a device, ready to learn there."""
    network.to(device)
    return spared(network) if device.type == "cpu" and is_faulty() else network


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16; a processor that does not is several times slower in it."""
    if device.type != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in BFLOAT16)


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, by way of pinned memory, so that the copy runs beside the work."""
    if device.type == "cpu":
        return batch
    tensors = {one.name: getattr(batch, one.name) for one in fields(batch)}
    return replace(
        batch,
        **{
            name: value.pin_memory().to(device, non_blocking=True) if value.device.type == "cpu" else value
            for name, value in tensors.items()
        },
    )
