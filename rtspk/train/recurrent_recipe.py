"""A recipe of a segmenter that hears several frames at a step, read from strict TOML.

`task = "recurrent-segmenter"` tells it from others.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtspk.config import read_toml, refuse_outside
from rtspk.errors import ConfigError
from rtspk.train.recipe import LoopConfig, refuse_name

__all__ = ["RecurrentDataConfig", "RecurrentRecipe"]


@dataclass(frozen=True, slots=True)
class RecurrentDataConfig:
    """What it is trained on; paths are relative to `--data`. No references are needed: the teacher says."""

    train: str = "train"  # a folder of recordings; those in its folders too
    development: str = ""  # another, of other speakers; empty for none
    teacher: str = "segmentation-3.0.onnx"  # pyannote's, which it also begins with
    every_seconds: float = 3.0  # from the beginning of a window of ten seconds to the next one's
    begun: float = 0.3  # share of windows that end early, as a stream that has just begun
    batch: int = 32
    workers: int = 0

    def __post_init__(self) -> None:
        refuse_outside(self, 0, math.inf, "every_seconds", "workers")
        if self.every_seconds <= 0.0 or not 0.0 <= self.begun < 1.0 or self.batch < 1:
            raise ConfigError(
                "wanted every_seconds above 0, begun of 0 to below 1 and a batch of 1 or more, "
                f"got {self.every_seconds:g}, {self.begun:g} and {self.batch}"
            )


@dataclass(frozen=True, slots=True)
class RecurrentRecipe:
    """A name and its parts."""

    name: str
    task: Literal["recurrent-segmenter"]
    group: int = 2  # frames of 17 ms that recurrences hear at a step
    start: str = ""  # a checkpoint to take the weights from, beside the run's own folder
    data: RecurrentDataConfig = field(default_factory=RecurrentDataConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        refuse_name(self.name)
        if self.group < 2:
            raise ConfigError(f"wanted a group of 2 frames or more, got {self.group}")
        if self.loop.cycles != 1:
            raise ConfigError(f"wanted a segmenter's run of one cycle, got {self.loop.cycles}")

    @classmethod
    def read(cls, path: Path) -> "RecurrentRecipe":
        """Read a recipe; an unknown key or a value of the wrong kind is a ConfigError."""
        return read_toml(path, cls)
