"""A model's two cards: `card.toml` for the engine, `README.md` for people."""

from dataclasses import asdict

from rtspk.engine.conformer import SUBSAMPLING
from rtspk.train.checkpoint import Checkpoint

__all__ = ["card_text", "readme_text"]

Value = str | int | float | bool | tuple[object, ...] | list[object]


def card_text(checkpoint: Checkpoint, identity: str) -> str:
    """How the model is fed and what its scores mean, as TOML."""
    recipe = checkpoint.recipe
    lines = [
        "# How this model is fed and what its scores mean; README.md beside it says where it comes from.",
        f'id = "{identity}"',
        'file = "model.onnx"',
        'licence = "Apache-2.0"',
        f'source = "rtspk train {recipe.name}, seed {recipe.loop.seed}, {checkpoint.step} steps"',
        f"dimension = {recipe.model.dimension}",
        'mask_input = "mask"',
        f"frames_multiple = {SUBSAMPLING}",
        "",
        "[features]",
        *(f"{name} = {_toml(value)}" for name, value in asdict(recipe.features).items()),
    ]
    if checkpoint.calibration is not None:
        fitted = asdict(checkpoint.calibration)
        lines += ["", "[calibration]", *(f"{name} = {value:.5g}" for name, value in fitted.items())]
    return "\n".join(lines) + "\n"


def readme_text(checkpoint: Checkpoint, identity: str) -> str:
    """Where the model comes from, as Markdown."""
    recipe = checkpoint.recipe
    parameters = sum(p.numel() for p in checkpoint.embedder.network.parameters())
    rows = [
        f"| {name} | {licence} | {people} | {hours} |" for name, licence, people, hours in checkpoint.sets
    ]
    rates = [f"| {length} | {rate:.2%} |" for length, rate in checkpoint.error_rates.items()]
    return "\n".join(
        [
            f"# {identity}",
            "",
            f"A speaker embedder: log-mel and a mask in, a unit vector of {recipe.model.dimension} out.",
            f"Conformer, {parameters / 1e6:.1f} M parameters, stored in half precision, computed in single.",
            "",
            f"Made by `rtspk train {recipe.name}` (seed {recipe.loop.seed}, {checkpoint.step} steps).",
            "Its answers are centred on the mean of its training speakers. Licence: Apache-2.0.",
            "",
            "## Trained on",
            "",
            "| set | licence | speakers | hours |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "## On speakers held out of training",
            "",
            "Equal error rate, plain cosine of vectors centred on the mean of these speakers. Crops are",
            "the loudest window of that length in seconds; full is at most 8 s.",
            "",
            "| length | EER |",
            "| --- | --- |",
            *rates,
            "",
        ]
    )


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
