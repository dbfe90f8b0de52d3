"""`rtspk train` and `rtspk export`: a recipe becomes a checkpoint, a checkpoint becomes a model folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.models import Stage
from rtspk.cli.options import AsJson
from rtspk.cli.screen import answers, note, plain, print_json, progress, say
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    from rtspk.train.recipe import Recipe

__all__ = ["export", "train"]

RECURRENT: str = "recurrent-segmenter"
TASKS: tuple[str, ...] = ("segmenter", RECURRENT)  # of recipes that are no embedder's
SWEPT: int = 20  # batches for each number of workers
RECIPES: Path = Path(__file__).parents[1] / "train" / "recipes"


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of one that comes with rtspk.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Where the manifest is.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Checkpoints and the log; a run there goes on.")
    ],
    track: Annotated[
        str,
        typer.Option(
            "--track", metavar="WHERE", help="none, tensorboard or mlflow; auto is TensorBoard if installed."
        ),
    ] = "auto",
    sweep: Annotated[
        str,
        typer.Option(
            "--sweep-workers",
            metavar="N,N...",
            help="Train nothing; how fast do batches come with N workers?",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Train a model; a run that was broken off goes on where it was.

    Several GPUs, or processes on a CPU: torchrun --nproc-per-node N -m rtspk train RECIPE ...
    """
    _need("train", "torch", "torchaudio")
    path = _recipe(recipe)
    if not data.is_dir():
        raise ConfigError(f"wanted a folder of training data, got {data}")
    from rtspk.train.device import choose_device
    from rtspk.train.distributed import Ranks, joined
    from rtspk.train.loop import Trainer
    from rtspk.train.recipe import Recipe
    from rtspk.train.segmenter_recipe import task_of

    if task := task_of(path):
        if task not in TASKS:
            raise ConfigError(f"wanted a task of {' or '.join(TASKS)}, or none for an embedder, got {task!r}")
        if sweep:
            raise ConfigError("wanted a segmenter's recipe without --sweep-workers, got it")
        _say_checkpoint(_train_segmenter(path, task, data, out, track), as_json=as_json)
        return
    wanted = Recipe.read(path)
    if sweep:
        _sweep(wanted, data, out, sweep, as_json=as_json)
        return
    ranks = Ranks.of_environment()
    with (
        joined(ranks, choose_device(wanted.loop.device, ranks.local)),
        progress(shown=ranks.first) as advance,
    ):
        with ranks.in_turn():
            trainer = Trainer(wanted, data, out, advance, note, track, ranks)
        checkpoint = trainer.run()
    if ranks.first:
        _say_checkpoint(checkpoint, as_json=as_json)


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model folder to make.")],
    register: Annotated[
        bool, typer.Option("--register", help="Install it too, as `rtspk models add` does.")
    ] = False,
    stage: Stage = "experimental",
    licence: Annotated[
        str, typer.Option("--licence", metavar="NAME", help="Of a public network.")
    ] = "not stated",
) -> None:
    """Turn a checkpoint into a model folder: safetensors, ONNX and a card, for `--model` or `--segmenter`.

    pyannote's segmenters as ONNX are taken too: taken apart where a stream goes on, matrices in eight bits.
    """
    _need("export", "torch", "torchaudio", "onnx", "onnxscript")
    if not checkpoint.is_file():
        raise ConfigError(f"wanted a checkpoint, got no file at {checkpoint}")
    from rtspk.train.checkpoint import task_of_checkpoint

    task = RECURRENT if checkpoint.suffix == ".onnx" else task_of_checkpoint(checkpoint)
    if task:
        if register:
            raise ConfigError("wanted an embedder to register, got a segmenter")
        identity, folder = _export_segmenter(checkpoint, task, out, licence), plain(str(out))
        say(f"{folder} holds {identity}: try it with `rtspk listen --segmenter {folder} ...`")
        return
    if register:
        from rtspk.engine.registry import Registry, check_stage

        check_stage(stage)  # before the work
    from rtspk.train.export import export_checkpoint

    identity = export_checkpoint(checkpoint, out)
    if register:
        Registry().add(out, stage)
    named = plain(identity if register else str(out))
    say(f"{plain(str(out))} holds {identity}: try it with `rtspk listen --model {named} ...`")


def _export_segmenter(checkpoint: Path, task: str, out: Path, licence: str) -> str:
    """Make a segmenter's folder of a checkpoint or of pyannote's ONNX file; returns its id."""
    if checkpoint.suffix == ".onnx":
        from rtspk.train.adopt import adopt_segmenter

        return adopt_segmenter(checkpoint, out, licence)
    if task == RECURRENT:
        from rtspk.train.recurrent_export import export_recurrent

        return export_recurrent(checkpoint, out, licence)
    from rtspk.train.segmenter_export import export_segmenter

    return export_segmenter(checkpoint, out)


def _train_segmenter(path: Path, task: str, data: Path, out: Path, track: str) -> Path:
    from rtspk.train.distributed import Ranks
    from rtspk.train.recurrent_recipe import RecurrentRecipe
    from rtspk.train.segmenter_loop import SegmenterTrainer
    from rtspk.train.segmenter_recipe import SegmenterRecipe

    processes = Ranks.of_environment().count
    if processes > 1:
        raise ConfigError(f"wanted one process for a segmenter, got {processes}: run it without torchrun")
    kind = RecurrentRecipe if task == RECURRENT else SegmenterRecipe
    with progress() as advance:
        return SegmenterTrainer(kind.read(path), data, out, advance, note, track).run()


def _say_checkpoint(checkpoint: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"checkpoint": str(checkpoint)})
    else:
        say(f"{plain(str(checkpoint))}: next `rtspk export {plain(str(checkpoint))} --out DIR`")


def _sweep(recipe: "Recipe", data: Path, out: Path, numbers: str, *, as_json: bool) -> None:
    """Say how fast batches come with each number of data workers."""
    from rtspk.train.loop import Trainer
    from rtspk.train.sweep import sweep_workers

    parts = [part.strip() for part in numbers.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"wanted numbers of workers such as 1,2,4, got {numbers!r}")
    with progress() as advance:
        trainer = Trainer(recipe, data, out, advance)
    count = min(SWEPT, recipe.loop.steps - 1)
    speeds = sweep_workers(trainer.batches, [int(part) for part in parts], count)
    if as_json:
        rows = [{"workers": s.workers, "batches_per_second": round(s.batches_per_second, 3)} for s in speeds]
        print_json({"batch": recipe.data.batch, "sweep": rows})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("workers", "batches/s", "crops/s", "first batch, s"):
        table.add_column(name, justify="right")
    for s in speeds:
        crops = s.batches_per_second * recipe.data.batch
        table.add_row(str(s.workers), f"{s.batches_per_second:.2f}", f"{crops:.0f}", f"{s.first:.2f}")
    answers().print(table)


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


def _need(verb: str, *packages: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"wanted {', '.join(packages)} to {verb}, got an installation without {', '.join(missing)}: "
            "pip install 'rtspk[train]'"
        )
