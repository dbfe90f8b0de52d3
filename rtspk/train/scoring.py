"""The network as it ships: centred on its training speakers, whitened within them, of unit length."""

from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.audio import loudest
from rtspk.engine.conformer import Conformer
from rtspk.train.development import embed_all
from rtspk.train.manifest import Utterance
from rtspk.train.store import SampleStore
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["CentredEmbedder", "centred", "sets_of", "whitening"]

CROP: int = samples_of(4.0)
LEAST: int = samples_of(1.5)  # a shorter utterance says little of its speaker
UTTERANCES: int = 6  # of a speaker
SHRINKAGE: float = 0.5  # towards a ball; chosen on the speakers held out (bench/LOG.md)


class CentredEmbedder(nn.Module):
    """Unit vectors: the network's answer, less the training speakers' mean, whitened."""

    mean: Tensor
    whitening: Tensor

    def __init__(self, network: Conformer, mean: Tensor, whitening: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors, float32 [shape=(B, dimension)]; arguments as for the Conformer."""
        return F.normalize((self.network(features, mask) - self.mean) @ self.whitening)


def centred(
    network: Conformer, features: nn.Module, speakers: list[list[Utterance]], store: SampleStore
) -> CentredEmbedder:
    """Measure the mean and the spread within speakers on clean crops of training speech."""
    chosen = [(number, u) for number, own in enumerate(speakers) for u in _longest(own)]
    crops = [loudest(store.read(u.path, u.start, u.end), CROP) for _, u in chosen]
    vectors = embed_all(network, features, crops)
    matrix = whitening(vectors, np.array([number for number, _ in chosen]), SHRINKAGE)
    return CentredEmbedder(network, torch.from_numpy(vectors.mean(0)), torch.from_numpy(matrix))


def whitening(vectors: FloatArray, speakers: NDArray[np.int64], shrinkage: float) -> FloatArray:
    """Within-class covariance normalisation (Hatch, Kajarekar and Stolcke, 2006), shrunk towards a ball.

    Args:
        vectors: float32 [shape=(n, dimension)]
        speakers: int64 [shape=(n,)], whose each vector is
        shrinkage: 0 trusts the data, 1 gives a multiple of the identity

    Returns:
        float32 [shape=(dimension, dimension)], to be multiplied from the right
    """
    _, own, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, own, vectors)
    rest = (vectors - sums[own] / counts[own, None])[counts[own] > 1]
    freedom = max(1, len(rest) - int((counts > 1).sum()))
    spread = rest.T @ rest / freedom
    ball = np.eye(len(spread)) * max(np.trace(spread) / len(spread), 1e-6)
    inverse = np.linalg.inv((1.0 - shrinkage) * spread + shrinkage * ball)
    return np.asarray(np.linalg.cholesky(inverse), np.float32)


def _longest(utterances: list[Utterance]) -> list[Utterance]:
    """A few utterances of a speaker: the longest, of which at least one counts."""
    ordered = sorted(utterances, key=lambda utterance: -utterance.duration)[:UTTERANCES]
    return [u for u in ordered if u.duration >= LEAST] or ordered[:1]


def sets_of(speakers: list[list[Utterance]]) -> list[tuple[str, str, int, float]]:
    """Data sets trained on: name, licence, speakers, hours."""
    people: dict[tuple[str, str], int] = defaultdict(int)
    hours: dict[tuple[str, str], float] = defaultdict(float)
    for own in speakers:
        key = own[0].dataset, own[0].licence
        people[key] += 1
        hours[key] += seconds_of(sum(u.duration for u in own)) / 3600.0
    return [(*key, people[key], round(hours[key], 2)) for key in sorted(people)]
