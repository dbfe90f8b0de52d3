"""What a finished training run leaves, read back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtspk.config import to_settings
from rtspk.engine.calibration import Calibration
from rtspk.errors import ModelError
from rtspk.train.network import build_network
from rtspk.train.recipe import Recipe
from rtspk.train.scoring import CentredEmbedder

__all__ = ["Checkpoint", "read_checkpoint", "read_finished", "task_of_checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a finished run leaves."""

    recipe: Recipe
    embedder: CentredEmbedder
    step: int
    cohort: Tensor  # voices of training speakers, float32 [shape=(speakers, dimension)]
    calibration: Calibration | None  # None where no speakers were held out
    error_rates: dict[str, float]  # on the speakers held out, by length
    accuracy: dict[str, float]  # of the classifier, on utterances held out: "validation", "test"
    sets: list[tuple[str, str, int, float]]  # name, licence, speakers, hours
    examples: tuple[Tensor, Tensor]  # features [shape=(crops, T, mels)] and masks, for ranges at export


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the `final.pt` of an embedder's run.

    Raises:
        ModelError: the file is missing, no such checkpoint, or of a run that is not finished.
    """
    state = read_finished(path, "mean")
    recipe = to_settings(json.loads(state["recipe"]), Recipe, str(path))
    network = build_network(recipe.model, recipe.features.width)
    network.load_state_dict(state["average"])
    embedder = CentredEmbedder(network, state["mean"], state.get("compensation"))
    calibration = Calibration(**state["calibration"]) if state["calibration"] else None
    nothing = torch.zeros(0, 0, recipe.features.width), torch.zeros(0, 0)
    examples = (state["examples"], state["masks"]) if "examples" in state else nothing
    return Checkpoint(
        recipe,
        embedder.eval(),
        int(state["step"]),
        state["cohort"],
        calibration,
        dict(state["eer"]),
        dict(state["accuracy"]),
        list(state["sets"]),
        examples,
    )


def read_finished(path: Path, last: str) -> dict[str, Any]:
    """What is in the `final.pt` of a run of any kind.

    Args:
        path: of the file
        last: what a run of this kind adds when it is done

    Raises:
        ModelError: the file is missing, no such checkpoint, or of a run that is not finished.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise ModelError(f"wanted a checkpoint at {path}, got nothing there") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ModelError(f"wanted a checkpoint of rtspk train in {path}, got another kind of file") from error
    if not isinstance(state, dict) or not {"recipe", "average"} <= state.keys():
        raise ModelError(f"wanted a checkpoint of rtspk train in {path}, got another kind of file")
    if last not in state:
        raise ModelError(
            f"wanted final.pt of a finished run, got {path} at step {state['step']}: let it finish first"
        )
    return state


def task_of_checkpoint(path: Path) -> str:
    """What a checkpoint's recipe is for, as `task_of` says of a recipe; of what cannot be read, ""."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        return str(json.loads(state["recipe"]).get("task", ""))
    except Exception:  # torch raises many kinds for a damaged file; whoever reads it next says what is wrong
        return ""
