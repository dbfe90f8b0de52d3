"""A recipe of a segmenter that hears several frames at a step, read from strict TOML.

`task = "recurrent-segmenter"` tells it from others.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtspk.config import read_toml, refuse_outside
from rtspk.errors import ConfigError
from rtspk.train.recipe import LoopConfig, refuse_blend, refuse_name

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
        refuse_outside(self, 0.01, math.inf, "every_seconds")
        refuse_outside(self, 0, math.inf, "workers")
        refuse_outside(self, 0.0, 0.99, "begun")  # some must be whole
        refuse_outside(self, 1, math.inf, "batch")


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
        refuse_blend(self.loop, self.start)
        if self.group < 2:
            raise ConfigError(f"wanted a group of 2 frames or more, got {self.group}")
        if self.loop.cycles != 1:
            raise ConfigError(f"wanted a segmenter's run of one cycle, got {self.loop.cycles}")

    @classmethod
    def read(cls, path: Path) -> "RecurrentRecipe":
        """Read a recipe; an unknown key or a value of the wrong kind is a ConfigError."""
        return read_toml(path, cls)
