"""A finished recurrent segmenter to what the engine runs: its parts (`rtspk.engine.recurrent`), a card."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from rtspk.config import to_settings
from rtspk.engine.recurrent import PARTS
from rtspk.errors import ModelError
from rtspk.files import make_folder, write_atomically
from rtspk.train.adopt import card_text, recurrence_tables
from rtspk.train.recurrent_network import stacked
from rtspk.train.recurrent_recipe import RecurrentRecipe

__all__ = ["export_recurrent"]

REFRESH: int = 8  # hops: at fewer steps recurrences go on for longer without harm (bench/LOG.md)


def export_recurrent(path: Path, out: Path, licence: str) -> str:
    """Write the network's parts and `card.toml` into a folder.

    Args:
        path: `final.pt` of a finished run
        out: a folder, made where it is missing
        licence: of the public network that it began with

    Returns:
        The model's id: the recipe's name and a digest of its parts.

    Raises:
        ModelError: the run is not finished.
    """
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    if "beside" not in state:
        raise ModelError(
            f"wanted final.pt of a finished run, got {path} at step {state['step']}: let it finish first"
        )
    recipe = to_settings(json.loads(state["recipe"]), RecurrentRecipe, str(path))
    parts = {name: state["beside"][name].numpy().tobytes() for name in PARTS[:-1]}
    parts[PARTS[-1]] = recurrence_tables(*stacked(state["average"]))
    identity = f"{recipe.name}-{hashlib.sha256(b''.join(parts.values())).hexdigest()[:8]}"
    make_folder(out)
    for name, program in parts.items():
        write_atomically(out / name, program)
    source = f"rtspk train {recipe.name}, seed {recipe.loop.seed}, {state['step']} steps"
    write_atomically(out / "card.toml", card_text(identity, licence, source, REFRESH).encode())
    return identity
