"""The network as it ships: centred on its training speakers, compensated, of unit length."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.audio import loudest
from rtspk.engine.torch_features import TorchLogMel
from rtspk.train.augment import Augmenter
from rtspk.train.compensation import compensation
from rtspk.train.development import embed_all
from rtspk.train.manifest import Utterance
from rtspk.train.network import SpeakerNetwork
from rtspk.train.selection import recording_of
from rtspk.train.store import SampleStore
from rtspk.train.targets import SPEAKERS
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["CentredEmbedder", "centred", "cohort_of", "sets_of", "voices"]

CROP: int = samples_of(3.0)
LEAST: int = samples_of(1.5)  # a shorter utterance says little of its speaker
UTTERANCES: int = 4  # of a speaker
COHORT: int = 1000  # speakers of it


class CentredEmbedder(nn.Module):
    """Unit vectors: the network's answer, less the training speakers' mean, times a compensation.

    mean : float32 [shape=(dimension,)]
    compensation : float32 [shape=(dimension, dimension)]; None is the identity
    """

    mean: Tensor
    compensation: Tensor

    def __init__(self, network: SpeakerNetwork, mean: Tensor, compensation: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("compensation", torch.eye(len(mean)) if compensation is None else compensation)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors, float32 [shape=(B, dimension)]; arguments as for the network."""
        return self.voice(self.network(features, mask))

    def voice(self, answer: Tensor) -> Tensor:
        """Unit vectors of what the network answers, float32 [shape=(B, dimension)]."""
        return F.normalize((answer - self.mean) @ self.compensation)


def centred(
    network: SpeakerNetwork,
    features: TorchLogMel,
    speakers: list[list[Utterance]],
    store: SampleStore,
    augmenter: Augmenter,
    seed: int,
) -> CentredEmbedder:
    """Measure mean and compensation on crops of training speech, each as it is and changed once.

    Every data set of enough speakers weighs the same, however large: one set's microphones are not the world.
    """
    speakers = [own for own in speakers if own[0].speed == 1.0]
    chosen = [_longest(own) for own in speakers]
    utterances = [u for own in chosen for u in own]
    whose = np.repeat(np.arange(len(chosen)), [len(own) for own in chosen])
    crops = _crops(utterances, store)
    vectors = embed_all(network, features, crops)
    sets = np.array([u.dataset for u in utterances])
    people = Counter(own[0].dataset for own in speakers)
    counted = [name for name in people if people[name] >= SPEAKERS] or list(people)
    mean = np.mean([vectors[sets == name].mean(0) for name in counted], axis=0)
    clean = _unit(vectors - mean)
    rng = np.random.default_rng((seed, 4))
    often = replace(augmenter.config, room=0.5, noise=0.6, telephone=0.25, lowpass=0.25)
    harsh = replace(augmenter, config=often)
    for number, crop in enumerate(crops):  # in place: the speech of thousands of speakers is much
        crops[number] = harsh(crop, [], rng)
    changed = _unit(embed_all(network, features, crops) - mean)
    between = np.stack([clean[sets == name].mean(0) for name in counted])
    made = compensation(np.concatenate([clean, changed]), np.tile(whose, 2).tolist(), between)
    return CentredEmbedder(network, torch.from_numpy(mean), torch.from_numpy(made))


def cohort_of(
    embedder: CentredEmbedder,
    features: TorchLogMel,
    speakers: list[list[Utterance]],
    store: SampleStore,
    seed: int,
) -> Tensor:
    """Voices of training speakers for scores to be normalised by, float32 [shape=(speakers, dimension)].

    At most `COHORT` speakers, drawn from those with enough speech at their own speed.
    """
    able = [own for own in speakers if own[0].speed == 1.0 and max(u.duration for u in own) >= LEAST]
    chosen = np.random.default_rng((seed, 3)).permutation(len(able))[:COHORT]
    if not len(chosen):
        return torch.zeros(0, embedder.mean.numel())
    return F.normalize(voices(embedder, features, [able[i] for i in sorted(chosen)], store))


def voices(
    network: nn.Module, features: TorchLogMel, speakers: list[list[Utterance]], store: SampleStore
) -> Tensor:
    """Where each speaker's voice lies: a mean of unit vectors, float32 [shape=(speakers, dimension)]."""
    chosen = [_longest(own) for own in speakers]
    vectors = embed_all(network, features, _crops([u for own in chosen for u in own], store))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = np.cumsum([0, *(len(own) for own in chosen[:-1])])
    counts = np.array([len(own) for own in chosen], np.float32)
    return torch.from_numpy(np.add.reduceat(vectors, starts) / counts[:, None])


def _unit(vectors: FloatArray) -> FloatArray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)


def _crops(utterances: list[Utterance], store: SampleStore) -> list[FloatArray]:
    return [loudest(store.read(u.path, u.start, u.end, u.speed), CROP) for u in utterances]


def _longest(utterances: list[Utterance]) -> list[Utterance]:
    """A few utterances of a speaker: the longest, of which at least one counts."""
    ordered = sorted(utterances, key=lambda utterance: -utterance.duration)[:UTTERANCES]
    return [u for u in ordered if u.duration >= LEAST] or ordered[:1]


def sets_of(utterances: list[Utterance]) -> list[tuple[str, str, int, float]]:
    """Data sets trained on: name, licence, known speakers, hours; speech at other speeds counts once."""
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    lengths: dict[tuple[str, str], dict[tuple[Path, int, int], int]] = defaultdict(dict)
    for u in utterances:
        key = u.dataset, u.licence
        people[key] |= {u.voice} - {""}
        lengths[key][recording_of(u)] = u.end - u.start
    return [
        (*key, len(people[key]), round(seconds_of(sum(own.values())) / 3600.0, 2))
        for key, own in sorted(lengths.items())
    ]
