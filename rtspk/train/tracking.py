"""Where a run can be watched: TensorBoard or MLflow beside the log that every run writes."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from rtspk.errors import ConfigError
from rtspk.train.recipe import Recipe
from rtspk.train.recurrent_recipe import RecurrentRecipe
from rtspk.train.segmenter_recipe import SegmenterRecipe

__all__ = ["TRACKERS", "Row", "Tracker", "measured", "open_tracker"]

TRACKERS: tuple[str, ...] = ("auto", "none", "tensorboard", "mlflow")
AnyRecipe = Recipe | SegmenterRecipe | RecurrentRecipe
Row = dict[str, float | int | dict[str, float]]  # one line of the log
VALUE_LENGTH: int = 500  # of a parameter; MLflow's own limit is 6000


class Tracker(Protocol):
    """What hears of a run."""

    def log(self, row: Row) -> None:
        """Hear a line of the log; its key "step" says when."""

    def finish(self, checkpoint: Path, card: str) -> None:
        """Take the finished checkpoint and its model card."""

    def close(self, *, failed: bool) -> None:
        """End, whether the run is finished or not."""


class _Nothing:
    """Tracks nothing."""

    def log(self, row: Row) -> None:
        """Nothing."""

    def finish(self, checkpoint: Path, card: str) -> None:
        """Nothing."""

    def close(self, *, failed: bool) -> None:
        """Nothing."""


class _TensorBoard:
    """Event files in the run's folder; steps that a killed run wrote and will repeat are purged."""

    def __init__(self, recipe: AnyRecipe, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
        self._text("recipe", _as_markdown(recipe), step)

    def log(self, row: Row) -> None:
        """Scalars of a row."""
        for name, value in _scalars(row):
            self._writer.add_scalar(name, value, int(_step(row)))
        self._writer.flush()

    def finish(self, checkpoint: Path, card: str) -> None:
        """The card as a text; the checkpoint stays where it is."""
        self._text("model card", f"{checkpoint}\n\n{card}", 0)

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - other trackers say so
        """End the file."""
        self._writer.close()

    def _text(self, name: str, text: str, step: int) -> None:
        self._writer.add_text(name, text, step)


class _MLflow:
    """A run of the experiment "rtspk", named by its recipe; a run that goes on, goes on there too.

    The store is MLFLOW_TRACKING_URI, or an SQLite file beside the run's folder, for all runs that lie there.
    """

    def __init__(self, recipe: AnyRecipe, folder: Path) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        uri = os.environ.get("MLFLOW_TRACKING_URI")
        beside = folder.absolute().parent
        self._client = MlflowClient(uri or f"sqlite:///{beside / 'mlflow.db'}")
        note = folder / "mlflow-run"
        if note.is_file():
            self._run = note.read_text(encoding="utf-8").strip()
            self._client.update_run(self._run, status="RUNNING")
            return
        experiment = self._client.get_experiment_by_name("rtspk")
        if experiment is None:
            artifacts = None if uri else (beside / "mlflow-artifacts").as_uri()
            number = self._client.create_experiment("rtspk", artifacts)
        else:
            number = experiment.experiment_id
        self._run = self._client.create_run(number, run_name=recipe.name).info.run_id
        params = [Param(name, value[:VALUE_LENGTH]) for name, value in _flat(asdict(recipe))]
        self._client.log_batch(self._run, params=params)
        note.write_text(f"{self._run}\n", encoding="utf-8")

    def log(self, row: Row) -> None:
        """Metrics of a row."""
        for name, value in _scalars(row):
            self._client.log_metric(self._run, name, value, step=int(_step(row)))

    def finish(self, checkpoint: Path, card: str) -> None:
        """The checkpoint and its card become artifacts."""
        self._client.log_artifact(self._run, str(checkpoint))
        self._client.log_text(self._run, card, "README.md")

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


def open_tracker(kind: str, recipe: AnyRecipe, folder: Path, step: int) -> Tracker:
    """Begin to track a run, or go on with one.

    Args:
        kind: "none", "tensorboard", "mlflow", or "auto" for TensorBoard where it is installed
        recipe: what is trained
        folder: the run's own
        step: that the run is at

    Raises:
        ConfigError: there is no such tracker, or it is not installed.
    """
    if kind not in TRACKERS:
        raise ConfigError(f"wanted a tracker of {', '.join(TRACKERS)}, got {kind!r}")
    if kind == "auto":
        kind = "tensorboard" if find_spec("tensorboard") else "none"
    if kind == "none":
        return _Nothing()
    if find_spec(kind) is None:
        raise ConfigError(f"wanted {kind} to track with, got an installation without: pip install {kind}")
    return _TensorBoard(recipe, folder, step) if kind == "tensorboard" else _MLflow(recipe, folder)


def measured(row: Row) -> str:
    """The error rates and the accuracy of a row for people, with a comma behind each.

    >>> measured({"step": 2, "loss": 3.5, "eer": {"full": 0.041}, "accuracy": 0.9})
    'EER full 4.10%, accuracy 90.00%, '
    """
    rates = {name.replace("eer/", "EER "): value for name, value in _scalars(row)}
    wanted = [name for name in rates if name.startswith("EER ") or name == "accuracy"]
    return "".join(f"{name} {rates[name]:.2%}, " for name in wanted)


def _step(row: Row) -> float:
    step = row["step"]
    assert not isinstance(step, dict)
    return step


def _scalars(row: Row) -> Iterator[tuple[str, float]]:
    """The numbers of a row, nested ones as "eer/full"."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{key}", float(one)) for key, one in value.items())
        elif name != "step":
            yield name, float(value)


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A recipe's settings as "loop.rate" and text."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def _as_markdown(recipe: AnyRecipe) -> str:
    rows = [f"| {name} | {value} |" for name, value in _flat(asdict(recipe))]
    return "\n".join(["| setting | value |", "| --- | --- |", *rows])
