"""Training batches: what step n sees depends on the seed and n alone, so a resumed run sees the same."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rtspk.errors import ConfigError
from rtspk.kernels.mel import MelConfig
from rtspk.train.augment import Augmenter
from rtspk.train.manifest import Utterance, at_speeds
from rtspk.train.recipe import DataConfig
from rtspk.train.store import SampleStore
from rtspk.types import FloatArray, samples_of

__all__ = ["Batch", "Batches"]

LENGTHS = 6  # crop lengths in use
SPEECH_BELOW_PEAK_DB = 30.0  # frames this far below the crop's loud frames count as silence


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's crops.

    samples : float32 [shape=(B, n)]
    mask : float32 [shape=(B, frames)]
    speakers : int64 [shape=(B,)], -1 where nobody knows
    targets : int64 [shape=(B,)], rows of the teachers' table, -1 where no teacher heard
    """

    samples: Tensor
    mask: Tensor
    speakers: Tensor
    targets: Tensor


class Batches(Dataset[Batch]):
    """Item n is the batch of step n; speakers are drawn, then their utterances, then some of nobody known."""

    def __init__(
        self,
        utterances: list[Utterance],
        store: SampleStore,
        augmenter: Augmenter,
        features: MelConfig,
        data: DataConfig,
        seed: int,
        steps: int,
    ) -> None:
        self.store, self.augmenter, self.features, self.data = store, augmenter, features, data
        self.size, self.seed, self.steps = data.batch, seed, steps
        utterances = at_speeds(utterances, data.speeds)
        names = sorted({u.speaker for u in utterances if u.speaker})
        self.speakers: list[list[Utterance]] = [[] for _ in names]
        index = {name: number for number, name in enumerate(names)}
        self.unlabelled = [u for u in utterances if not u.speaker]
        strangers = int(data.unlabelled * data.batch) if self.unlabelled else 0
        self.counts = (data.batch - strangers) // data.each, strangers
        if self.counts[0] < 1:
            raise ConfigError(
                f"wanted room for {data.each} crops of a speaker in batches of {data.batch}, "
                f"got {strangers} of nobody known in them"
            )
        if len(names) < 2 and not data.targets:
            raise ConfigError(f"wanted two speakers or more to tell apart, got {len(names)}")
        if self.counts[0] > len(names):
            raise ConfigError(
                f"wanted at least {self.counts[0]} speakers for batches of {data.batch} "
                f"with {data.each} crops each, got {len(names)}"
            )
        for utterance in utterances:
            if not utterance.speaker:
                continue
            self.speakers[index[utterance.speaker]].append(utterance)
        # Those with little speech are drawn less often: the same seconds again teach little.
        amount = np.array([sum(u.duration for u in own) for own in self.speakers], np.float64)
        chance = np.sqrt(np.clip(amount, samples_of(5.0), samples_of(60.0)))
        self.chance: NDArray[np.float64] = chance / chance.sum()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        late = step >= self.steps * (1.0 - self.data.late_share)
        length = int(
            rng.choice(self._lengths(self.data.late_crop_seconds if late else self.data.crop_seconds))
        )
        known, strangers = self.counts
        drawn = rng.choice(len(self.speakers), known, replace=False, p=self.chance)
        speakers = np.concatenate([np.repeat(drawn, self.data.each), np.full(strangers, -1)])
        chosen = [self._utterance(speaker, rng) for speaker in speakers]
        crops = [self._crop(utterance, length, rng) for utterance in chosen]
        masks, changed = [], []
        for number, crop in enumerate(crops):
            full = len(crop) == length
            padded = crop if full else np.concatenate([crop, np.zeros(length - len(crop), np.float32)])
            masks.append(self._mask(padded, len(crop), rng))
            others = [
                crops[i]
                for i in rng.integers(0, len(crops), 3)
                if chosen[i].speaker != chosen[number].speaker and len(crops[i]) > 0
            ]
            changed.append(self.augmenter(padded, others, rng, self.data.late_augment if late else 1.0))
        return Batch(
            samples=torch.from_numpy(np.stack(changed)),
            mask=torch.from_numpy(np.stack(masks)),
            speakers=torch.from_numpy(speakers.astype(np.int64)),
            targets=torch.tensor([u.target for u in chosen]),
        )

    def _lengths(self, seconds: tuple[float, float]) -> NDArray[np.int64]:
        """A few lengths only, in whole trunk frames: a new shape costs the matrix library much."""
        lengths = np.linspace(samples_of(seconds[0]), samples_of(seconds[1]), LENGTHS).astype(np.int64)
        return lengths - (lengths - self.features.window) % (4 * self.features.hop)

    def _utterance(self, speaker: int, rng: Generator) -> Utterance:
        own = self.unlabelled if speaker < 0 else self.speakers[speaker]
        return own[rng.integers(len(own))]

    def _crop(self, utterance: Utterance, length: int, rng: Generator) -> FloatArray:
        wanted = round(length * utterance.speed)
        last = utterance.end - utterance.start - wanted
        start = utterance.start + int(rng.integers(0, max(1, last + 1)))
        end = min(start + wanted, utterance.end)
        return self.store.read(utterance.path, start, end, utterance.speed)[:length]

    def _mask(self, samples: FloatArray, length: int, rng: Generator) -> FloatArray:
        """Which frames to listen to: none past the end, at times none that are silent, at times a gap."""
        config = self.features
        frames = 1 + (len(samples) - config.window) // config.hop
        mask = np.zeros(frames, np.float32)
        mask[: max(1, 1 + (length - config.window) // config.hop)] = 1.0
        if rng.random() < self.data.masked:
            blocks = samples[: frames * config.hop].reshape(frames, config.hop)
            level = 10.0 * np.log10(np.square(blocks).mean(1) + 1e-9)
            speech = level > np.percentile(level, 90) - SPEECH_BELOW_PEAK_DB
            # Speech keeps 50 ms on both sides; "same" would be too long for a crop shorter than 11 frames.
            speech = np.convolve(speech, np.ones(11))[5 : 5 + frames] > 0.5
            if (mask * speech).sum() >= 30:
                mask *= speech
        if rng.random() < self.data.gap:
            gap = int(rng.integers(10, max(11, frames // 2)))
            start = int(rng.integers(0, max(1, frames - gap)))
            if mask.sum() - mask[start : start + gap].sum() >= 60:
                mask[start : start + gap] = 0.0
        return mask
