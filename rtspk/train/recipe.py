"""A recipe: everything that decides what a training run makes, read from strict TOML."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtspk.config import read_toml, refuse_outside, refuse_reversed
from rtspk.engine.registry import IDENTITY
from rtspk.errors import ConfigError
from rtspk.train.augment import AugmentConfig
from rtspk.train.features import FeatureConfig
from rtspk.train.network import NetworkConfig

__all__ = ["DataConfig", "LoopConfig", "LossConfig", "Recipe", "refuse_blend", "refuse_name"]

SHORTEST_SECONDS: float = 0.1  # of a crop: three frames of a trunk


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What is trained on; paths are relative to `root`, which `--data` gives."""

    manifest: str = "train.csv"
    targets: str = "train_targets.npz"  # empty: there are no teachers
    compensated: bool = False  # teachers' vectors with what tells recordings apart made small
    noise: str = "noise.csv"
    datasets: tuple[str, ...] = ()  # that are taken; empty takes all
    most_spoken: int = 0  # only so many speakers, those with most speech; 0 takes all
    validation: float = 0.0  # share of each speaker's utterances on which the classifier is measured
    test: float = 0.0  # likewise, measured once, at the end
    speeds: tuple[float, ...] = ()  # long utterances are added at these, as speakers of their own: (0.9, 1.1)
    held_out: tuple[str, ...] = ()  # data sets with speakers kept for development, as "dataset:count"
    crop_seconds: tuple[float, float] = (1.5, 3.5)
    late_share: float = (
        0.0  # of the steps, at the end: longer and cleaner crops, as the engine will hear them
    )
    late_crop_seconds: tuple[float, float] = (2.0, 4.0)
    late_augment: float = 0.5  # the chance of each change of sound is multiplied by this
    masked: float = 0.5  # share of crops whose silence is masked, as the engine does
    gap: float = 0.3  # share of crops with a stretch masked, as if somebody else spoke there
    stretches: float = 0.0  # share of batches that the trunk of a residual_conformer hears as of a stream
    batch: int = 128
    each: int = 1  # crops of each speaker drawn
    unlabelled: float = 0.15  # share of a batch that is of nobody known, where the manifest has such
    workers: int = 1

    def __post_init__(self) -> None:
        refuse_outside(self, 0, math.inf, "most_spoken", "workers")
        shares = ("late_share", "masked", "gap", "stretches", "unlabelled")
        refuse_outside(self, 0.0, 1.0, "late_augment", *shares)
        refuse_outside(self, SHORTEST_SECONDS, 60.0, "crop_seconds", "late_crop_seconds")
        refuse_reversed(self, "crop_seconds", "late_crop_seconds")
        refuse_outside(self, 2, math.inf, "batch")  # batch norms need more than one
        refuse_outside(self, 1, self.batch, "each")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """The parts of the loss and their weights."""

    classifier: Literal["aam", "am", "softmax"] = "aam"  # margin on the angle, on the cosine, or none
    subcentres: int = 1  # of a speaker, with a margin
    scale: float = 32.0  # of the cosines
    margin: float = 0.2  # radians for "aam", of the cosine for "am"
    late_margin: float | None = None  # in the late steps (arXiv:2010.11255: larger); none is `margin` on
    margin_warmup: float = (
        0.3  # share of the steps over which the margin (beside teachers its weight too) grows
    )
    margin_weight: float = 0.3  # of the classifier, whichever it is
    teacher_weight: float = 10.0
    similarity_weight: float = 20.0

    def __post_init__(self) -> None:
        refuse_outside(self, 1, math.inf, "subcentres")
        refuse_outside(self, 0.0, math.inf, "scale", above=True)
        refuse_outside(self, 0.0, math.pi / 2, "margin", "late_margin")
        refuse_outside(self, 0.0, 1.0, "margin_warmup")
        refuse_outside(self, 0.0, math.inf, "margin_weight", "teacher_weight", "similarity_weight")


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How long and how fast."""

    steps: int = 4500
    warmup: int = 100
    rate: float = 1.5e-3
    cycles: int = 1  # falls of the learning rate, each from the top; of more than one the ends are kept
    optimiser: Literal["adamw", "sgd", "muon"] = "adamw"  # "muon" for matrices, and AdamW for the rest
    momentum: float = 0.9  # of sgd
    rate_end: float = 1e-5
    weight_decay: float = 0.05
    clip: float = 5.0
    average: Literal["ema", "last", "none"] = (
        "ema"  # what is measured and ships: a mean of weights, or the last
    )
    decay: float = 0.998  # of "ema"
    last: int = 5  # saves in the mean of "last"
    blend: float = 1.0  # share of that mean in what ships; the rest is what `start` was (arXiv:2109.01903)
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    bf16: bool = True  # where the device multiplies in it; else all is in single precision
    save_every: int = 250
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_outside(self, 0.0, 1.0, "blend", above=True)
        refuse_outside(self, 1, math.inf, "steps", "cycles", "last", "save_every", "threads")
        refuse_outside(self, 0, math.inf, "warmup", "rate_end", "weight_decay")
        refuse_outside(self, 0.0, math.inf, "rate", "clip", above=True)
        refuse_outside(self, 0.0, 1.0, "momentum", "decay")
        refuse_outside(self, 0, 2**40, "seed")  # what is made of it for each step must be 64 bits


@dataclass(frozen=True, slots=True)
class Recipe:
    """A name and its parts."""

    name: str
    # Beside the run's own folder, what to begin with: a checkpoint, or a public ResNet-34 as ONNX.
    start: str = ""
    credit: str = ""  # for a public network: whose it is, on the model's card
    licence: str = "Apache-2.0"  # of the model
    features: FeatureConfig = field(default_factory=FeatureConfig)
    model: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        refuse_name(self.name)
        refuse_blend(self.loop, self.start)

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a recipe; an unknown key or a value of the wrong kind is a ConfigError."""
        return read_toml(path, cls)


def refuse_blend(loop: LoopConfig, start: str) -> None:
    """Refuse to blend with a start that is none."""
    if loop.blend < 1.0 and not start:
        raise ConfigError(f"wanted a start to blend with, got none beside a blend of {loop.blend:g}")


def refuse_name(name: str) -> None:
    """Refuse a recipe's name that no model's id, which begins with it, may have."""
    if not IDENTITY.fullmatch(name):
        raise ConfigError(f"wanted a name of letters, digits, dots and dashes, got {name!r}")
