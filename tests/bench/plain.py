"""An embedder that is quick and knows no network."""

import numpy as np

from rtspk.engine.embedder import EmbedderCard
from rtspk.types import Embedding

__all__ = ["MeanSpectrum"]


class MeanSpectrum:
    """A voice as the shape of its mean spectrum; remembers how much it was given."""

    card = EmbedderCard(id="plain", file="", licence="", dimension=80)
    cohort = None
    voicing = None
    trunk = None

    def __init__(self):
        self.lengths = []  # samples of each window

    def embed(self, windows):
        self.lengths += [window.segment.duration for window in windows]
        means = [window.features[window.mask > 0].mean(0) for window in windows]
        vectors = [(m - m.mean()) / np.linalg.norm(m - m.mean()) for m in means]
        return [Embedding(v, w.segment, w.net_speech) for v, w in zip(vectors, windows, strict=True)]
