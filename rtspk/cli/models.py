"""`rtspk models`: which embedders are installed, and which one every command takes."""

from pathlib import Path
from typing import Annotated

import typer

from rtspk.cli.options import AsJson
from rtspk.cli.screen import answers, plain, print_json, say
from rtspk.errors import ConfigError

__all__ = ["Stage", "add", "list_", "remove", "use"]

Stage = Annotated[
    str, typer.Option("--stage", metavar="STAGE", help="How far it is: experimental, staging or production.")
]
HEAD = "EER by seconds, speakers held out of training"
CLOSED = "accuracy, training speakers"
Name = Annotated[str, typer.Argument(metavar="ID", help="As `rtspk models list` shows it, or `bundled`.")]


def list_(as_json: AsJson = False) -> None:
    """Show the models: stage, size, what was measured of them, and which one is in use."""
    from rtspk.engine.registry import Registry

    models = Registry().models()
    if as_json:
        rows = [
            {
                "id": model.id,
                "in_use": model.in_use,
                "stage": model.stage,
                "dimension": model.dimension,
                "bytes": model.size,
                "licence": model.licence,
                "eer": model.error_rates,
                "accuracy": model.accuracy,
                "folder": str(model.folder),
            }
            for model in models
        ]
        print_json({"models": rows})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("in use", "id", "stage", "dimension", "MB", HEAD, CLOSED):
        table.add_column(name, justify="right" if name in {"dimension", "MB"} else "left")
    for model in models:
        table.add_row(
            "*" if model.in_use else "",
            plain(model.id),
            model.stage,
            str(model.dimension),
            f"{model.size / 1e6:.1f}",
            _said(model.error_rates),
            _said(model.accuracy),
        )
    answers().print(table)


def add(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="As `rtspk export` makes it.")],
    stage: Stage = "experimental",
) -> None:
    """Install a model folder under the id of its card."""
    from rtspk.engine.registry import Registry

    identity = Registry().add(folder, stage)
    say(
        f"{plain(identity)} is installed ({stage}): `rtspk models use {plain(identity)}` makes it the default"
    )


def use(name: Name) -> None:
    """Make a model the default of every command that takes --model."""
    from rtspk.engine.registry import Registry

    model = Registry().use(name)
    say(f"{plain(model.id)} is in use; a gallery keeps to the model that made its prints")


def remove(name: Name) -> None:
    """Delete an installed model."""
    from rtspk.engine.registry import SHIPPED, Registry

    shipped, *others = Registry().models()
    if name in {SHIPPED, shipped.id} - {model.id for model in others}:
        raise ConfigError(f"wanted a model that was added, got {name}, which comes with rtspk and stays")
    Registry().remove(name)
    say(f"{plain(name)} is removed")


def _said(rates: dict[str, float]) -> str:
    return ", ".join(f"{name}: {rate:.2%}" for name, rate in rates.items()) or "-"
