"""Trials from the speakers held out of training: what choices are made on, so that no evaluation set is."""

from collections import defaultdict
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtspk.audio import loudest
from rtspk.engine.calibration import Calibration
from rtspk.engine.torch_features import TorchLogMel
from rtspk.errors import ConfigError
from rtspk.kernels.framing import frame_count
from rtspk.metrics import equal_error_rate
from rtspk.train.manifest import Utterance
from rtspk.train.store import SampleStore
from rtspk.types import FloatArray, samples_of

__all__ = ["Development", "choose_held_out", "embed_all"]

LONGEST = samples_of(8.0)  # of what counts as full length here
CALIBRATED = tuple(map(samples_of, (1.0, 2.0, 4.0, 8.0)))
UTTERANCES = 8  # a speaker gives at most
BATCH = 32  # crops that are embedded at once


def choose_held_out(utterances: list[Utterance], wanted: tuple[str, ...], seed: int) -> frozenset[str]:
    """Choose speakers with at least four utterances of 2 s, as many of each set as "dataset:count" says."""
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for entry in wanted:
        dataset, colon, count = entry.rpartition(":")
        if not colon or not count.isdigit():
            raise ConfigError(f'wanted held-out speakers as "dataset:count", got {entry!r}')
        long: dict[str, int] = defaultdict(int)
        for u in utterances:
            if u.dataset == dataset and u.speed == 1.0 and u.duration >= samples_of(2.0):
                long[u.speaker] += 1
        able = sorted(speaker for speaker, number in long.items() if number >= 4)
        if len(able) < int(count):
            raise ConfigError(
                f"wanted {count} speakers of {dataset!r} with four utterances of 2 s to hold out, "
                f"got {len(able)}"
            )
        chosen.update(rng.choice(able, int(count), replace=False).tolist())
    return frozenset(chosen)


class Development:
    """Held-out utterances and all their trials within a data set and gender."""

    def __init__(self, utterances: list[Utterance], store: SampleStore, seed: int) -> None:
        rng = np.random.default_rng(seed)
        own: dict[str, list[Utterance]] = defaultdict(list)
        for u in utterances:
            if u.duration >= samples_of(2.0):
                own[u.speaker].append(u)
        kept = [us[i] for us in own.values() for i in sorted(rng.permutation(len(us))[:UTTERANCES])]
        self.samples = [store.read(u.path, u.start, u.end) for u in kept]
        self.utterances = kept
        pairs = [
            (i, j)
            for i, j in combinations(range(len(kept)), 2)
            if kept[i].dataset == kept[j].dataset and kept[i].gender == kept[j].gender
        ]
        self.pairs: NDArray[np.int64] = np.array(pairs, np.int64)
        self.same: NDArray[np.bool_] = np.array([kept[i].speaker == kept[j].speaker for i, j in pairs])
        if self.same.all() or not self.same.any():
            raise ConfigError(
                f"wanted two speakers or more of one data set and gender to hold out, got none in {len(own)}"
            )

    def error_rates(self, network: nn.Module, features: TorchLogMel) -> dict[str, float]:
        """Equal error rate by length: "full", "3.0" and "1.5" seconds; cosine of centred vectors."""
        rates = {}
        for name, length in (("full", LONGEST), ("3.0", samples_of(3.0)), ("1.5", samples_of(1.5))):
            vectors = embed_all(network, features, [loudest(s, length) for s in self.samples])
            rates[name] = equal_error_rate(self._scores(vectors - vectors.mean(0)), self.same)
        return rates

    def calibration(self, embedder: nn.Module, features: TorchLogMel) -> Calibration:
        """Fit probability to score and speech, on crops of 1 to 8 seconds of every trial."""
        scores, speech = [], []
        for length in CALIBRATED:
            crops = [loudest(s, length) for s in self.samples]
            scores.append(self._scores(embed_all(embedder, features, crops)))
            lengths = np.array([len(crop) for crop in crops])
            speech.append(np.minimum(lengths[self.pairs[:, 0]], lengths[self.pairs[:, 1]]))
        same = np.tile(self.same, len(CALIBRATED))
        return Calibration.fit(np.concatenate(scores), same, np.concatenate(speech))

    def _scores(self, vectors: FloatArray) -> FloatArray:
        """Cosine of each trial's two vectors, float32 [shape=(trials,)]."""
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray((unit[self.pairs[:, 0]] * unit[self.pairs[:, 1]]).sum(1))


@torch.no_grad()
def embed_all(network: nn.Module, features: TorchLogMel, crops: list[FloatArray]) -> FloatArray:
    """Embed crops of any lengths where the network is, batched by length; float32 [shape=(crops, dimension)].

    The features must be there too.
    """
    network.eval()
    device = next(network.parameters()).device
    order = sorted(range(len(crops)), key=lambda i: len(crops[i]))
    vectors: list[FloatArray | None] = [None] * len(crops)
    for at in range(0, len(order), BATCH):
        part = order[at : at + BATCH]
        longest = max(len(crops[i]) for i in part)
        samples, rows = torch.zeros(len(part), longest), []
        for row, i in enumerate(part):
            samples[row, : len(crops[i])] = torch.from_numpy(crops[i])
            rows.append(len(crops[i]))
        frames: Tensor = features(samples.to(device))
        mask = torch.zeros(frames.shape[:2])
        for row, length in enumerate(rows):
            mask[row, : max(1, frame_count(length, features.config))] = 1.0
        answer = network(frames, mask.to(device)).float().cpu().numpy()
        for row, i in enumerate(part):
            vectors[i] = answer[row]
    return np.stack([v for v in vectors if v is not None])
