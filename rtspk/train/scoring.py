"""What a trained network's vectors are measured from: the training speakers' mean, and who they were."""

from collections import defaultdict

import numpy as np
from torch import nn

from rtspk.audio import loudest
from rtspk.train.development import embed_all
from rtspk.train.manifest import Utterance
from rtspk.train.store import SampleStore
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["sets_of", "training_mean"]

CROP: int = samples_of(4.0)


def training_mean(
    network: nn.Module, features: nn.Module, speakers: list[list[Utterance]], store: SampleStore
) -> FloatArray:
    """Mean answer over the training speakers, one clean crop of each; float32 [shape=(dimension,)]."""
    longest = [max(own, key=lambda utterance: utterance.duration) for own in speakers]
    crops = [loudest(store.read(u.path, u.start, u.end), CROP) for u in longest]
    return np.asarray(embed_all(network, features, crops).mean(0), np.float32)


def sets_of(speakers: list[list[Utterance]]) -> list[tuple[str, str, int, float]]:
    """Data sets trained on: name, licence, speakers, hours."""
    people: dict[tuple[str, str], int] = defaultdict(int)
    hours: dict[tuple[str, str], float] = defaultdict(float)
    for own in speakers:
        key = own[0].dataset, own[0].licence
        people[key] += 1
        hours[key] += seconds_of(sum(u.duration for u in own)) / 3600.0
    return [(*key, people[key], round(hours[key], 2)) for key in sorted(people)]
