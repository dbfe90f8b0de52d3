"""A finished segmenter to what the engine runs: ONNX, safetensors in half precision, and its cards."""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from rtspk.config import to_settings
from rtspk.engine.segmenter_network import SegmenterNetwork
from rtspk.files import make_folder, write_atomically
from rtspk.train.card import identity_of, toml_value
from rtspk.train.checkpoint import read_finished
from rtspk.train.onnx_file import exported
from rtspk.train.segmenter_card import RATES, activity_text
from rtspk.train.segmenter_recipe import SegmenterRecipe
from rtspk.train.weights_file import halved

__all__ = ["export_segmenter"]


def export_segmenter(path: Path, out: Path) -> str:
    """Write `model.onnx`, `weights.safetensors`, `card.toml`, `README.md` and `metrics.toml` into a folder.

    Args:
        path: `final.pt` of a finished run
        out: a folder, made where it is missing

    Returns:
        The model's id: the recipe's name and a digest of the network.

    Raises:
        ModelError: the path is no finished run.
    """
    state = read_finished(path, "error")
    recipe = to_settings(json.loads(state["recipe"]), SegmenterRecipe, str(path))
    network = SegmenterNetwork(recipe.model, recipe.features.mels)
    network.load_state_dict(state["average"])
    network.eval()
    make_folder(out)
    group = network.frames_multiple
    frames = group * torch.export.Dim("groups", min=2)
    program = exported(
        network,
        (torch.randn(2, 5 * group, recipe.features.mels),),
        ["features"],
        ["classes"],
        ({0: torch.export.Dim("batch", min=1), 1: frames},),
    )
    identity = identity_of(recipe.name, program)
    steps, error = int(state["step"]), dict(state["error"])
    about = {"network": "segmenter", "config": json.dumps(asdict(network.config))}  # to build it again
    write_atomically(out / "model.onnx", program)
    write_atomically(out / "weights.safetensors", halved(network, about))
    write_atomically(out / "card.toml", _card(recipe, identity, steps).encode())
    write_atomically(out / "README.md", activity_text(recipe, identity, steps, network, error).encode())
    write_atomically(out / "metrics.toml", _metrics(error).encode())
    return identity


def _card(recipe: SegmenterRecipe, identity: str, steps: int) -> str:
    lines = [
        "# How this model is fed; README.md beside it says where it comes from.",
        f'id = "{identity}"',
        'file = "model.onnx"',
        'licence = "Apache-2.0"',
        f'source = "rtspk train {recipe.name}, seed {recipe.loop.seed}, {steps} steps"',
        f"seconds = {recipe.data.crop_seconds:g}",
        "",
        "[features]",
        *(f"{name} = {toml_value(value)}" for name, value in asdict(recipe.features).items()),
    ]
    return "\n".join(lines) + "\n"


def _metrics(error: dict[str, float]) -> str:
    """What was measured, as TOML: shares of the speech; nothing where nothing was."""
    if not error:
        return ""
    return "\n".join(["[local_error]", *(f"{name} = {error[name]:.6g}" for name in RATES), ""])
