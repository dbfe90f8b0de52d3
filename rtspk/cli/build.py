"""`rtspk train` and `rtspk export`: a recipe becomes a checkpoint, a checkpoint becomes a model folder."""

from pathlib import Path
from typing import Annotated

import typer

from rtspk.cli.screen import plain, progress, say
from rtspk.errors import ConfigError

__all__ = ["export", "train"]

RECIPES: Path = Path(__file__).parents[1] / "train" / "recipes"


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of one that comes with rtspk.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Where the manifest is.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Checkpoints and the log; a run there goes on.")
    ],
) -> None:
    """Train a model; a run that was broken off goes on where it was."""
    _need_torch()
    path = _recipe(recipe)
    if not data.is_dir():
        raise ConfigError(f"wanted a folder of training data, got {data}")
    from rtspk.train.loop import Trainer
    from rtspk.train.recipe import Recipe

    wanted = Recipe.read(path)
    with progress() as advance:
        checkpoint = Trainer(wanted, data, out, advance).run()
    say(f"{plain(str(checkpoint))}: next `rtspk export {plain(str(checkpoint))} --out DIR`")


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model folder to make.")],
) -> None:
    """Turn a checkpoint into a model folder: safetensors, ONNX and a card, for `--model`."""
    _need_torch()
    if not checkpoint.is_file():
        raise ConfigError(f"wanted a checkpoint, got no file at {checkpoint}")
    from rtspk.train.export import export_checkpoint

    identity = export_checkpoint(checkpoint, out)
    say(f"{plain(str(out))} holds {identity}: try it with `rtspk listen --model {plain(str(out))} ...`")


def _recipe(wanted: str) -> Path:
    """A recipe's file, by path or by the name of a bundled one."""
    path = Path(wanted)
    if path.is_file():
        return path
    bundled = RECIPES / f"{wanted}.toml"
    if "/" not in wanted and bundled.is_file():
        return bundled
    names = ", ".join(sorted(one.stem for one in RECIPES.glob("*.toml"))) or "none"
    raise ConfigError(f"wanted a recipe (a TOML file, or one of {names}), got {wanted!r}")


def _need_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("torchaudio") is None:
        raise ConfigError(
            "wanted torch and torchaudio for training, got an installation without: pip install rtspk[train]"
        )
