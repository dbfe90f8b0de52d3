"""A recipe of the segmenter, read from strict TOML; `task = "segmenter"` tells it from an embedder's."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtspk.config import read_toml
from rtspk.engine.segmenter import ACTIVITY_HOP, ROWS
from rtspk.engine.segmenter_network import SegmenterConfig
from rtspk.errors import ConfigError
from rtspk.kernels.mel import MelConfig
from rtspk.train.activity_batches import ActivityDataConfig
from rtspk.train.recipe import LoopConfig, refuse_blend, refuse_name
from rtspk.types import SAMPLE_RATE

__all__ = ["SegmenterRecipe", "task_of"]


@dataclass(frozen=True, slots=True)
class SegmenterRecipe:
    """A name and its parts."""

    name: str
    task: Literal["segmenter"]
    start: str = ""  # a checkpoint to take the weights from, beside the run's own folder
    features: MelConfig = field(default_factory=MelConfig)
    model: SegmenterConfig = field(default_factory=SegmenterConfig)
    data: ActivityDataConfig = field(default_factory=ActivityDataConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        refuse_name(self.name)
        refuse_blend(self.loop, self.start)
        if (self.features.sample_rate, self.features.hop * ROWS) != (SAMPLE_RATE, ACTIVITY_HOP):
            raise ConfigError(
                f"wanted features of {SAMPLE_RATE} Hz with a hop of {ACTIVITY_HOP // ROWS} samples, "
                f"got {self.features.sample_rate} and {self.features.hop}"
            )
        if self.loop.cycles != 1:
            raise ConfigError(f"wanted a segmenter's run of one cycle, got {self.loop.cycles}")

    @classmethod
    def read(cls, path: Path) -> "SegmenterRecipe":
        """Read a recipe; an unknown key or a value of the wrong kind is a ConfigError."""
        return read_toml(path, cls)


def task_of(path: Path) -> str:
    """What a recipe is for: "segmenter", "recurrent-segmenter", or "" (an embedder, or no TOML)."""
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("task", ""))
    except (OSError, ValueError):
        return ""
