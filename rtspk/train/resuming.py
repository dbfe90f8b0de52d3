"""Go on with a run: read its checkpoint, and hold it against the recipe that is to go on."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rtspk.config import to_settings
from rtspk.errors import ConfigError
from rtspk.train.recipe import Recipe
from rtspk.train.recurrent_recipe import RecurrentRecipe
from rtspk.train.segmenter_recipe import SegmenterRecipe

__all__ = ["read_run"]

# What may change on the way: how fast a run is and what it is called, not what its steps do.
FREE: frozenset[str] = frozenset(
    {"name", "credit", "licence", "data.workers", "loop.device", "loop.threads", "loop.save_every"}
)


def read_run(path: Path, recipe: Recipe | SegmenterRecipe | RecurrentRecipe) -> dict[str, Any]:
    """Read the `last.pt` of a run that goes on.

    Raises:
        ConfigError: the file is damaged or something else, or its run had another recipe.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        written = json.loads(state["recipe"])
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ConfigError(
            f"wanted the checkpoint of a run to go on with, got a damaged file at {path}: "
            "without it the run begins anew"
        ) from error
    before = dict(_settings(asdict(to_settings(written, type(recipe), str(path)))))
    changed = [
        f"{name} = {value!r} (was {before[name]!r})"
        for name, value in _settings(asdict(recipe))
        if name not in FREE and value != before[name]
    ]
    if changed:
        raise ConfigError(
            f"wanted the recipe that the run in {path.parent} was begun with, got {', '.join(changed)}: "
            'another --out begins anew, and with start = "RUN/last.pt" from these weights'
        )
    return dict(state)


def _settings(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """All settings of a recipe as "loop.rate" and value."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
