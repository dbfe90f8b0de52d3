"""Checkpoint to what the engine runs: ONNX, safetensors in half precision, a card, and a word for people."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.engine.residual_conformer import ResidualConformer
from rtspk.errors import ModelError
from rtspk.files import bytes_of, make_folder, write_atomically
from rtspk.train.card import card_text, identity_of, metrics_text, readme_text
from rtspk.train.checkpoint import read_checkpoint
from rtspk.train.head_tables import head_tables
from rtspk.train.onnx_file import exported
from rtspk.train.scoring import CentredEmbedder
from rtspk.train.trunk_tables import trunk_tables
from rtspk.train.weights_file import halved

__all__ = ["export_checkpoint"]


def export_checkpoint(path: Path, out: Path) -> str:
    """Write networks, `weights.safetensors`, `card.toml`, `README.md` and `metrics.toml` into a folder.

    A network is `model.onnx`, or, where it has a trunk, that as `trunk.onnx` and the rest as `head.onnx`.
    These two are written a second time for kernels of our own, as `trunk.npz`, where it is in eight bits, and
    `head.npz`.

    Args:
        path: `final.pt` of a finished run
        out: a folder, made where it is missing

    Returns:
        The model's id, which every gallery remembers: the recipe's name and a digest of the network.

    Raises:
        ModelError: the path is no finished run, or of a model that the engine could not feed.
    """
    checkpoint = read_checkpoint(path)
    features = checkpoint.recipe.features
    if features.kind != "mel":
        raise ModelError(
            f"wanted a model on log-mel, which is all that the engine computes, got {features.kind}"
        )
    make_folder(out)
    model = checkpoint.embedder
    networks = _networks(model, features.width, checkpoint.examples)
    identity = identity_of(checkpoint.recipe.name, *networks.values())
    for name, network in networks.items():
        write_atomically(out / name, network)
    tables = _tables(model, networks)
    for name, table in tables.items():
        write_atomically(out / name, table)
    kind = checkpoint.recipe.model.network
    about = {"network": kind, "config": json.dumps(asdict(model.network.config))}  # to build it again
    write_atomically(out / "weights.safetensors", halved(model, about))
    if len(checkpoint.cohort) > 1:
        cohort = checkpoint.cohort.half().numpy()
        write_atomically(out / "cohort.npy", bytes_of(lambda file: np.save(file, cohort)))
    write_atomically(out / "card.toml", card_text(checkpoint, identity, tuple(tables)).encode())
    write_atomically(out / "README.md", readme_text(checkpoint, identity).encode())
    write_atomically(out / "metrics.toml", metrics_text(checkpoint).encode())
    return identity


def _tables(model: CentredEmbedder, networks: dict[str, bytes]) -> dict[str, bytes]:
    """The files of tables of a network with a trunk, by name, as far as kernels of our own know its make."""
    network = model.network
    if not isinstance(network, ResidualConformer):
        return {}
    heads = network.config.conformer.heads
    tables = {
        "trunk.npz": trunk_tables(networks["trunk.onnx"]),
        "head.npz": head_tables(network.state_dict(), heads, model.mean, model.compensation),
    }
    return {name: table for name, table in tables.items() if table is not None}


class _Trunk(nn.Module):
    """The part of a network that a stream goes through once."""

    def __init__(self, network: ResidualConformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        return self.network.trunk(picture)


class _Head(nn.Module):
    """The part of a network that is asked for every window."""

    def __init__(self, model: CentredEmbedder, network: ResidualConformer) -> None:
        super().__init__()
        self.model, self.network = model, network

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        return self.model.voice(self.network.head(frames, mask))


def _networks(model: CentredEmbedder, width: int, examples: tuple[Tensor, Tensor]) -> dict[str, bytes]:
    """The files of a model's networks, by name."""
    network = model.network
    group = network.frames_multiple
    # Frames in whole groups, as the network takes them: only so can the exporter prove that lengths agree.
    batch, groups = torch.export.Dim("batch", min=1), torch.export.Dim("groups", min=2)
    rows: dict[int, object] = {0: batch, 1: group * groups}
    heard, masks = examples
    heard = F.pad(heard.float(), (0, 0, 0, -heard.shape[1] % group))
    masks = F.pad(masks, (0, -masks.shape[1] % group))
    features, mask = torch.randn(2, 5 * group, width), torch.ones(2, 5 * group)
    if not isinstance(network, ResidualConformer):
        pairs = [(heard[i : i + 1], masks[i : i + 1]) for i in range(len(heard))]
        inputs, shapes = ["features", "mask"], (rows, rows)
        whole = exported(model, (features, mask), inputs, ["embedding"], shapes, pairs, ("compensation",))
        return {"model.onnx": whole}
    pictures = [(network.picture(heard[i : i + 1], masks[i : i + 1]),) for i in range(len(heard))]
    trunk = exported(_Trunk(network), (features,), ["picture"], ["frames"], (rows,), pictures)
    with torch.no_grad():
        frames = network.trunk(features)
    shape: dict[int, object] = {0: batch, 1: groups}
    head = exported(
        _Head(model, network),
        (frames, mask[:, ::group]),
        ["frames", "mask"],
        ["embedding"],
        (shape, shape),
        exact=("model.compensation",),
    )
    return {"trunk.onnx": trunk, "head.onnx": head}
