"""Crops of conversations for the segmenter: features, and the chances of the classes that it should give.

Batch k of a run depends on the seed and on k alone, so that a run that goes on sees what it would have seen.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rtspk.config import refuse_outside
from rtspk.engine.powerset import CLASSES, LOCAL_SPEAKERS, class_of, reordered
from rtspk.engine.segmenter import ROWS
from rtspk.errors import ConfigError
from rtspk.train.activity_set import FRAMES_PER_SECOND, PIECE_FRAMES, ActivitySet
from rtspk.types import FloatArray

__all__ = ["ActivityBatches", "ActivityDataConfig", "local_classes", "target"]

REORDERED = reordered()
SWELL_ROWS: int = 80  # 0.8 s between two levels


@dataclass(frozen=True, slots=True)
class ActivityDataConfig:
    """What the segmenter is trained on; paths are relative to `--data`."""

    train: str = "train"  # a folder of `rtspk simulate`
    development: str = ""  # another, of other speakers; empty for none
    unlabelled: str = ""  # a folder of recordings in which the teacher says who speaks; empty for none
    unlabelled_share: float = 0.3  # of the crops that are from there
    teacher: str = ""  # an ONNX segmentation network; empty for none
    teacher_share: float = 0.5  # of the target, beside the exact reference
    pause_seconds: float = 0.0  # shorter pauses in which nobody speaks count as speech
    batch: int = 64
    crop_seconds: float = 5.0
    short_share: float = 0.2  # of the batches, with shorter crops, as at the start of a stream
    shortest_seconds: float = 0.6
    noise: float = 0.4  # share of crops with stationary noise added to their features
    events: float = 0.4  # share of crops with knocks, rustling and breath, which are nobody's speech
    tilt: float = 0.5  # share of crops with a smooth change of their spectrum
    swell: float = 0.0  # share of crops that grow louder and softer by some dB, as people turn and lean
    masked: float = 0.3  # share of crops with a band of mels masked
    workers: int = 1

    def __post_init__(self) -> None:
        longest = PIECE_FRAMES / FRAMES_PER_SECOND
        if not 1 / FRAMES_PER_SECOND <= self.shortest_seconds <= self.crop_seconds <= longest:
            raise ConfigError(
                f"wanted crops of 0.04 to {longest:g} s, shortest_seconds first, "
                f"got {self.shortest_seconds:g} and {self.crop_seconds:g}"
            )
        if self.unlabelled and not self.teacher:
            raise ConfigError("wanted a teacher for unlabelled recordings, got none")
        refuse_outside(self, 0, math.inf, "pause_seconds", "workers")
        refuse_outside(self, 1, math.inf, "batch")
        shares = "teacher_share", "unlabelled_share", "short_share"
        refuse_outside(self, 0.0, 1.0, *shares, "noise", "events", "tilt", "swell", "masked")


class ActivityBatches(Dataset[tuple[Tensor, Tensor]]):
    """Batch k: features float32 [shape=(B, 4 T, mels)] and targets float32 [shape=(B, T, 7)]."""

    def __init__(
        self,
        pieces: ActivitySet,
        config: ActivityDataConfig,
        seed: int,
        steps: int,
        unlabelled: ActivitySet | None = None,
    ) -> None:
        self._pieces, self._config, self._seed, self._steps = pieces, config, seed, steps
        self._unlabelled = unlabelled

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        config = self._config
        rng = np.random.default_rng((self._seed, step))
        seconds = config.crop_seconds
        if rng.random() < config.short_share:
            seconds = rng.uniform(config.shortest_seconds, seconds)
        frames = round(seconds * FRAMES_PER_SECOND)
        features, targets = [], []
        for _ in range(config.batch):
            pieces, share = self._pieces, config.teacher_share
            if self._unlabelled is not None and rng.random() < config.unlabelled_share:
                pieces, share = self._unlabelled, 1.0
            piece, first = int(rng.integers(len(pieces))), int(rng.integers(PIECE_FRAMES - frames + 1))
            rows = pieces.features[piece, first * ROWS : (first + frames) * ROWS].astype(np.float32)
            features.append(_changed(rows, config, rng))
            taught = None
            if len(pieces.taught):
                taught = pieces.taught[piece, first : first + frames].astype(np.float32)
            bits = pieces.speakers[piece, first : first + frames]
            targets.append(target(bits, taught, share))
        return torch.from_numpy(np.stack(features)), torch.from_numpy(np.stack(targets))


def local_classes(bits: NDArray[np.uint16]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The class of each frame, the three who speak most being the local speakers.

    Args:
        bits: uint16 [shape=(frames,)], who is active

    Returns:
        int64 [shape=(frames,)], and bool [shape=(frames,)]: whether the class tells all; it does not where
        more than two speak, or somebody who is none of the three
    """
    active = (bits[:, None] >> np.arange(16)) & 1 == 1  # (frames, 16)
    order = np.argsort(-active.sum(0), kind="stable")
    local = active[:, order[:LOCAL_SPEAKERS]]
    known = (active.sum(1) == local.sum(1)) & (local.sum(1) <= 2)
    local[local.sum(1) > 2, LOCAL_SPEAKERS - 1] = False
    return class_of(local), known


def target(bits: NDArray[np.uint16], taught: FloatArray | None, share: float) -> FloatArray:
    """What the network should answer: the reference, and of it `share` as the teacher says.

    The teacher's speakers are put in the order that agrees best with the reference.

    Args:
        bits: uint16 [shape=(frames,)], who is active
        taught: float32 [shape=(frames, 7)], chances of the classes, or None
        share: 0 to 1

    Returns:
        float32 [shape=(frames, 7)]
    """
    classes, known = local_classes(bits)
    exact = np.eye(CLASSES, dtype=np.float32)[classes]
    if taught is None:
        return exact
    orders = taught[:, REORDERED]  # (frames, 6, 7)
    agreement = np.take_along_axis(orders, classes[:, None, None], axis=2)[..., 0]  # (frames, 6)
    best = int(np.argmax(agreement[known].sum(0)))
    weight = np.where(known, np.float32(share), np.float32(1.0)).astype(np.float32)[:, None]
    mixed: FloatArray = (np.float32(1.0) - weight) * exact + weight * orders[:, best]
    return mixed


def _changed(rows: FloatArray, config: ActivityDataConfig, rng: Generator) -> FloatArray:
    """Another microphone and another room's hum, on the features themselves: float32 [shape=(rows, mels)]."""
    mels = rows.shape[1]
    if rng.random() < config.tilt:
        knots = rng.normal(0.0, 1.5, 6)  # of natural logarithms of power
        rows = rows + np.interp(np.linspace(0, 5, mels), np.arange(6), knots).astype(np.float32)
    if config.swell and rng.random() < config.swell:
        knots = rng.normal(0.0, 0.7, 2 + len(rows) // SWELL_ROWS)  # likewise: 3 dB
        swell = np.interp(np.arange(len(rows)) / SWELL_ROWS, np.arange(len(knots)), knots)
        rows = rows + swell.astype(np.float32)[:, None]
    loud = float(np.percentile(rows.mean(1), 90))
    if rng.random() < config.noise:
        level = loud + rng.uniform(-8.0, -0.5)
        rows = np.logaddexp(rows, _hiss(len(rows), mels, level, rng)).astype(np.float32)
    if rng.random() < config.events:
        rows = rows.copy()
        for _ in range(int(rng.integers(1, 6))):
            length = min(len(rows), int(np.exp(rng.uniform(np.log(3.0), np.log(100.0)))))  # 30 ms to 1 s
            first = int(rng.integers(len(rows) - length + 1))
            fade = -rng.uniform(0.0, 5.0) * np.linspace(0.0, 1.0, length)[:, None]  # it dies away
            event = _hiss(length, mels, loud + rng.uniform(-4.0, 1.5), rng) + fade
            own = rows[first : first + length]
            rows[first : first + length] = np.logaddexp(own, event)
    if rng.random() < config.masked:
        width = int(rng.integers(mels // 20, mels // 4, endpoint=True))
        first = int(rng.integers(mels - width, endpoint=True))
        rows = rows.copy()
        rows[:, first : first + width] = rows[:, first : first + width].mean(0)
    return rows


def _hiss(rows: int, mels: int, level: float, rng: Generator) -> FloatArray:
    """Noise of a random spectrum around a level, as log-mel: float32 [shape=(rows, mels)]."""
    spectrum = np.interp(np.linspace(0, 5, mels), np.arange(6), rng.normal(0.0, 1.5, 6)) + level
    # A band of noise is a sum of few squares: its power has an exponential-like spread.
    power = rng.gamma(2.0, 0.5, (rows, mels)) * np.exp(spectrum)
    return np.log(power + 1e-20).astype(np.float32)
