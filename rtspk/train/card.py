"""A model's two cards: `card.toml` for the engine, `README.md` for people."""

import hashlib
import json
from dataclasses import asdict

from rtspk.engine.residual_conformer import ResidualConformer
from rtspk.train.checkpoint import Checkpoint
from rtspk.train.network import describe

__all__ = ["card_text", "identity_of", "metrics_text", "readme_text", "toml_value"]

FILES = ('file = "head.onnx"', 'trunk = "trunk.onnx"', 'features_input = "frames"')  # with a trunk
TABLES = {"trunk.npz": 'trunk_tables = "trunk.npz"', "head.npz": 'head_tables = "head.npz"'}
Value = str | int | float | bool | tuple[object, ...] | list[object]


def identity_of(name: str, *networks: bytes) -> str:
    """A model's id, which every gallery remembers: a name, and a digest of its networks."""
    return f"{name}-{hashlib.sha256(b''.join(networks)).hexdigest()[:8]}"


def card_text(checkpoint: Checkpoint, identity: str, tables: tuple[str, ...] = ()) -> str:
    """How the model is fed and what its scores mean, as TOML; `tables`: the files that hold some."""
    recipe, network = checkpoint.recipe, checkpoint.embedder.network
    has_trunk = isinstance(network, ResidualConformer)
    lines = [
        "# How this model is fed and what its scores mean; README.md beside it says where it comes from.",
        f'id = "{identity}"',
        *(FILES if has_trunk else ['file = "model.onnx"']),
        *(line for name, line in TABLES.items() if name in tables),
        f"licence = {toml_value(recipe.licence)}",
        f'source = "rtspk train {recipe.name}, seed {recipe.loop.seed}, {checkpoint.step} steps"',
        f"dimension = {network.dimension}",
        'mask_input = "mask"',
        f"frames_multiple = {network.frames_multiple}",
        *(['cohort = "cohort.npy"'] if len(checkpoint.cohort) > 1 else []),
        "",
        "[features]",
        *(f"{name} = {toml_value(value)}" for name, value in asdict(recipe.features.mel()).items()),
    ]
    if checkpoint.calibration is not None:
        fitted = asdict(checkpoint.calibration)
        lines += ["", "[calibration]", *(f"{name} = {value:.5g}" for name, value in fitted.items())]
    return "\n".join(lines) + "\n"


def metrics_text(checkpoint: Checkpoint) -> str:
    """What was measured, as TOML: fractions, open-set error rates by length and closed-set accuracies."""
    lines = []
    for name, table in (("eer", checkpoint.error_rates), ("accuracy", checkpoint.accuracy)):
        if table:
            lines += [f"[{name}]", *(f'"{key}" = {value:.6g}' for key, value in table.items()), ""]
    return "\n".join(lines)


def readme_text(checkpoint: Checkpoint, identity: str) -> str:
    """Where the model comes from, as Markdown."""
    recipe, network = checkpoint.recipe, checkpoint.embedder.network
    heard = "MFCC" if recipe.features.kind == "mfcc" else "log-mel"
    narrow = "matrices and pictures" if len(checkpoint.examples[0]) else "matrices"
    parameters = sum(p.numel() for p in network.parameters())
    rows = [
        f"| {name} | {licence} | {people or 'not known'} | {hours} |"
        for name, licence, people, hours in checkpoint.sets
    ]
    return "\n".join(
        [
            f"# {identity}",
            "",
            f"A speaker embedder: {heard} and a mask in, a unit vector of {network.dimension} out.",
            f"{describe(recipe.model)}: {parameters / 1e6:.1f} M parameters,",
            f"in half precision in `weights.safetensors`; ONNX Runtime multiplies {narrow} in eight bits.",
            "",
            f"Made by `rtspk train {recipe.name}` (seed {recipe.loop.seed}, {checkpoint.step} steps).",
            *([f"Begun from {recipe.credit}."] if recipe.credit else []),
            "Its answers are centred on the mean of its training speakers; what tells recordings apart and",
            f"not voices is made small in them (`rtspk.train.compensation`). Licence: {recipe.licence}.",
            "",
            "## Trained on",
            "",
            "| set | licence | speakers | hours |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            *_open_set(checkpoint.error_rates),
            *_closed_set(checkpoint.accuracy),
        ]
    )


def _open_set(rates: dict[str, float]) -> list[str]:
    if not rates:
        return []
    return [
        "## On speakers held out of training",
        "",
        "Equal error rate, plain cosine of vectors centred on the mean of these speakers. Crops are",
        "the loudest window of that length in seconds; full is at most 8 s.",
        "",
        "| length | EER |",
        "| --- | --- |",
        *(f"| {length} | {rate:.2%} |" for length, rate in rates.items()),
        "",
    ]


def _closed_set(accuracy: dict[str, float]) -> list[str]:
    if not accuracy:
        return []
    return [
        "## On other utterances of the training speakers",
        "",
        "How often the classifier that training used names the right one of them.",
        "",
        "| utterances | accuracy |",
        "| --- | --- |",
        *(f"| {name} | {share:.2%} |" for name, share in accuracy.items()),
        "",
    ]


def toml_value(value: Value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
