"""Where a run computes: the processor, or a GPU where there is one."""

from dataclasses import fields, replace

import torch

from rtspk.errors import ConfigError
from rtspk.train.batches import Batch

__all__ = ["choose_device", "leave_faulty_kernels", "moved"]


def choose_device(wanted: str, local: int = 0) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means for the process `local` of this machine.

    Raises:
        ConfigError: a GPU is wanted where there is none.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        leave_faulty_kernels()
        return torch.device("cpu")
    if local >= count:
        raise ConfigError(
            f"wanted a GPU for each process of this machine, got {count} for number {local + 1}"
        )
    return torch.device("cuda", local)


def leave_faulty_kernels() -> None:
    """Have torch do without oneDNN where that writes past its own memory.

    On processors with AVX2 and no AVX-512, torch 2.11's gradient of a convolution's weights ends in "double
    free or corruption", or never ends.
    """
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # torch types it as what it is inside


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
