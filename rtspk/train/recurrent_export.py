"""A finished recurrent segmenter to what the engine runs: its parts (`rtspk.engine.recurrent`), a card."""

import json
from pathlib import Path

from rtspk.config import to_settings
from rtspk.engine.recurrent import PARTS
from rtspk.train.adopt import recurrence_tables, write_parts
from rtspk.train.checkpoint import read_finished
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
        ModelError: the path is no finished run.
    """
    state = read_finished(path, "beside")
    recipe = to_settings(json.loads(state["recipe"]), RecurrentRecipe, str(path))
    parts = {name: state["beside"][name].numpy().tobytes() for name in PARTS[:-1]}
    parts[PARTS[-1]] = recurrence_tables(*stacked(state["average"]))
    source = f"rtspk train {recipe.name}, seed {recipe.loop.seed}, {state['step']} steps"
    return write_parts(out, recipe.name, parts, licence, source, REFRESH)
