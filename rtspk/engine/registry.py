"""Installed models: folders in the user's data directory beside the one that comes with rtspk.

A model is known by the `id` of its card, or by the path of its folder; one of them is in use by default.
"""

import os
import re
import shutil
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from rtspk.config import read_toml
from rtspk.engine.embedder import BUNDLED, read_card
from rtspk.errors import ConfigError, ModelError
from rtspk.files import write_atomically

__all__ = ["IDENTITY", "SHIPPED", "STAGES", "InstalledModel", "Registry", "check_stage", "resolve_model"]

SHIPPED: str = "bundled"  # the name of the model that comes with rtspk
STAGES: tuple[str, ...] = ("experimental", "staging", "production")
# Besides the networks: weights are what a GPU runs, and `naming.toml` says what scores mean for names.
FILES: tuple[str, ...] = ("card.toml", "README.md", "metrics.toml", "weights.safetensors", "naming.toml")
IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it names a folder


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model that a name leads to."""

    id: str
    folder: Path
    stage: str
    dimension: int
    size: int  # bytes of the network
    licence: str
    in_use: bool
    error_rates: dict[str, float]  # equal error rate by length, from `metrics.toml`; empty where unknown
    accuracy: dict[str, float]  # of the classifier of training by closed set, likewise


@dataclass(frozen=True, slots=True)
class _State:
    """What `registry.toml` says."""

    in_use: str = SHIPPED
    stages: dict[str, str] = field(default_factory=dict)


class Registry:
    """The models of one folder; every verb reads the folder anew, so programs may share it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = _default_folder() if folder is None else folder

    def models(self) -> list[InstalledModel]:
        """The bundled model, then the installed ones by name."""
        state = self._state()
        return [
            _described(BUNDLED / "embedder", "production", in_use=state.in_use == SHIPPED),
            *(
                _described(one, state.stages.get(one.name, STAGES[0]), in_use=state.in_use == one.name)
                for one in self._folders()
            ),
        ]

    def add(self, source: Path, stage: str = STAGES[0]) -> str:
        """Copy an exported folder in; the same id again replaces what was there.

        Returns:
            The model's id.

        Raises:
            ModelError: the folder holds no model.
            ConfigError: the stage is none, or the card is no valid card.
        """
        check_stage(stage)
        if not (source / "card.toml").is_file():
            raise ModelError(f"wanted a model folder with card.toml, got none at {source}")
        card = read_card(source)
        if not IDENTITY.fullmatch(card.id) or card.id == SHIPPED:
            raise ModelError(f"wanted an id of letters, digits, dots and dashes, got {card.id!r} in {source}")
        named = [
            *card.networks,
            *filter(None, (card.trunk_tables, card.head_tables, card.cohort, card.voicing)),
        ]
        for name in named:
            if Path(name).name != name or not (source / name).is_file():
                raise ModelError(f"wanted the file {name} beside its card, got none in {source}")
        target = self.folder / card.id
        if source.resolve() != target.resolve():
            self._copy(source, target, [*named, *FILES])
        state = self._state()
        self._write(replace(state, stages={**state.stages, card.id: stage}))
        return card.id

    def use(self, name: str) -> InstalledModel:
        """Make a model the one that every command takes; "bundled" goes back to the one that is shipped."""
        name = self._named(name)
        if name != SHIPPED:
            self._installed(name)
        self._write(replace(self._state(), in_use=name))
        return next(model for model in self.models() if model.in_use)

    def remove(self, name: str) -> None:
        """Delete an installed model; one that is in use is refused."""
        folder, state = self._installed(name), self._state()
        if state.in_use == name:
            raise ConfigError(
                f"wanted a model that is not in use, got {name}: `rtspk models use bundled` first"
            )
        shutil.rmtree(folder)
        self._write(replace(state, stages={k: v for k, v in state.stages.items() if k != name}))

    def folder_of(self, model: str | Path | None) -> Path:
        """The folder of a model: by path, by id, "bundled", or None for the one in use.

        Raises:
            ModelError: no model of that name is installed.
        """
        if model is not None and Path(model).exists():
            return Path(model)
        name = self._state().in_use if model is None else self._named(str(model))
        return BUNDLED / "embedder" if name == SHIPPED else self._installed(name)

    def _named(self, name: str) -> str:
        """A model's name here: the id of the shipped one means that one, unless it is installed too."""
        if name == SHIPPED or name in {one.name for one in self._folders()}:
            return name
        return SHIPPED if name == read_card().id else name

    def _folders(self) -> list[Path]:
        """What is installed, by name; not what is being copied."""
        found = (card.parent for card in self.folder.glob("*/card.toml"))
        return sorted(one for one in found if IDENTITY.fullmatch(one.name))

    def _installed(self, name: str) -> Path:
        folder = self.folder / name
        if IDENTITY.fullmatch(name) and (folder / "card.toml").is_file():
            return folder
        ids = ", ".join([SHIPPED, *(one.name for one in self._folders())])
        raise ModelError(f"wanted a model: a folder with card.toml, or one of {ids}; got {name!r}")

    def _copy(self, source: Path, target: Path, names: list[str]) -> None:
        """Copy beside the target first: a model that is half copied is never seen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh, old = self.folder / f".new-{target.name}", self.folder / f".old-{target.name}"
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)
        fresh.mkdir()
        for name in names:
            if (source / name).is_file():
                shutil.copyfile(source / name, fresh / name)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def _state(self) -> _State:
        path = self.folder / "registry.toml"
        return read_toml(path, _State) if path.is_file() else _State()

    def _write(self, state: _State) -> None:
        lines = [f'in_use = "{state.in_use}"', "", "[stages]"]
        lines += [f'"{name}" = "{stage}"' for name, stage in sorted(state.stages.items())]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "registry.toml", ("\n".join(lines) + "\n").encode())


def check_stage(stage: str) -> None:
    """Refuse what is no stage."""
    if stage not in STAGES:
        raise ConfigError(f"wanted a stage of {', '.join(STAGES)}, got {stage!r}")


def resolve_model(model: str | Path | None = None) -> Path:
    """The folder of a model by path or id; None is the one in use."""
    return Registry().folder_of(model)


def _default_folder() -> Path:
    """Where models are installed: RTSPK_MODELS, or the user's data directory."""
    from platformdirs import user_data_path

    named = os.environ.get("RTSPK_MODELS")
    return Path(named) if named else user_data_path("rtspk", appauthor=False) / "models"


def _described(folder: Path, stage: str, *, in_use: bool) -> InstalledModel:
    card = read_card(folder)
    networks = [folder / name for name in card.networks]
    return InstalledModel(
        id=card.id,
        folder=folder,
        stage=stage,
        dimension=card.dimension,
        size=sum(network.stat().st_size for network in networks if network.is_file()),
        licence=card.licence,
        in_use=in_use,
        error_rates=_metrics(folder, "eer"),
        accuracy=_metrics(folder, "accuracy"),
    )


def _metrics(folder: Path, table: str) -> dict[str, float]:
    """A table of a model's `metrics.toml`; what cannot be read says nothing."""
    try:
        rates = tomllib.loads((folder / "metrics.toml").read_text(encoding="utf-8")).get(table, {})
    except (OSError, ValueError):
        return {}
    if not isinstance(rates, dict):
        return {}
    return {str(name): float(rate) for name, rate in rates.items() if isinstance(rate, int | float)}
