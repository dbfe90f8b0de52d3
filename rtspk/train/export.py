"""Checkpoint to what the engine runs: ONNX, safetensors in half precision, a card, and a word for people."""

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.errors import ModelError
from rtspk.files import write_atomically
from rtspk.train.card import card_text, metrics_text, readme_text
from rtspk.train.checkpoint import read_checkpoint
from rtspk.train.onnx_file import exported
from rtspk.train.scoring import CentredEmbedder
from rtspk.train.weights_file import halved

__all__ = ["export_checkpoint"]


def export_checkpoint(path: Path, out: Path) -> str:
    """Write `model.onnx`, `weights.safetensors`, `card.toml`, `README.md` and `metrics.toml` into a folder.

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
    out.mkdir(parents=True, exist_ok=True)
    model = checkpoint.embedder
    network = _onnx(model, features.width, checkpoint.examples)
    identity = f"{checkpoint.recipe.name}-{hashlib.sha256(network).hexdigest()[:8]}"
    write_atomically(out / "model.onnx", network)
    kind = checkpoint.recipe.model.network
    about = {"network": kind, "config": json.dumps(asdict(model.network.config))}  # to build it again
    write_atomically(out / "weights.safetensors", halved(model, about))
    if len(checkpoint.cohort) > 1:
        buffer = io.BytesIO()
        np.save(buffer, checkpoint.cohort.half().numpy())
        write_atomically(out / "cohort.npy", buffer.getvalue())
    write_atomically(out / "card.toml", card_text(checkpoint, identity).encode())
    write_atomically(out / "README.md", readme_text(checkpoint, identity).encode())
    write_atomically(out / "metrics.toml", metrics_text(checkpoint).encode())
    return identity


def _onnx(model: CentredEmbedder, width: int, examples: tuple[Tensor, Tensor]) -> bytes:
    group = model.network.frames_multiple
    # Frames in whole groups, as the network takes them: only so can the exporter prove that lengths agree.
    batch, frames = torch.export.Dim("batch", min=1), group * torch.export.Dim("groups", min=2)
    example = (torch.randn(2, 5 * group, width), torch.ones(2, 5 * group))
    shapes = ({0: batch, 1: frames}, {0: batch, 1: frames})
    heard, masks = examples
    heard = F.pad(heard.float(), (0, 0, 0, -heard.shape[1] % group))
    masks = F.pad(masks, (0, -masks.shape[1] % group))
    pairs = [(heard[i : i + 1], masks[i : i + 1]) for i in range(len(heard))]
    return exported(
        model, example, ["features", "mask"], ["embedding"], shapes, pairs, exact=("compensation",)
    )
