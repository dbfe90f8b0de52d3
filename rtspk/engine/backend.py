"""Which device the embedder runs on: ONNX Runtime on the CPU, or torch on a GPU."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from rtspk.engine.embedder import Embedder, find_card, load_embedder, read_card
from rtspk.errors import ConfigError

__all__ = ["DeviceKind", "cuda_missing", "load_backend"]

DeviceKind = Literal["auto", "cpu", "cuda"]


def load_backend(path: Path | None = None, *, device: str = "auto", threads: int = 1) -> Embedder:
    """Load an embedder where it runs best.

    Args:
        path: a folder with a `card.toml`, or the card itself; None is the model that comes with rtspk
        device: "cpu", "cuda", or "auto": a GPU where there is one that torch can use, else the CPU
        threads: for the network on the CPU

    Raises:
        ModelError: the folder or its network is missing or damaged.
        ConfigError: the card is no valid card, or there is no GPU and one was asked for.
    """
    if device not in get_args(DeviceKind):
        raise ConfigError(f"wanted a device of {', '.join(get_args(DeviceKind))}, got {device!r}")
    if device == "cpu":
        return load_embedder(path, threads)
    missing = cuda_missing()
    if missing and device == "cuda":
        raise ConfigError(f"wanted a GPU, got none: {missing}")
    if missing:
        return load_embedder(path, threads)
    from rtspk.engine.torch_embedder import TorchEmbedder, can_run

    card = find_card(path)
    if device == "auto" and not can_run(card.parent):
        return load_embedder(path, threads)
    return TorchEmbedder(read_card(card), card.parent, "cuda")


def cuda_missing() -> str:
    """Why torch cannot use a GPU here, or nothing where it can.

    torch itself is imported only where a driver is there: the import takes a second that a CPU need not pay.
    """
    if find_spec("torch") is None or find_spec("safetensors") is None:
        return "torch is not installed (pip install rtspk[torch])"
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return "no NVIDIA device"
    import torch

    return "" if torch.cuda.is_available() else "torch finds no CUDA device"
