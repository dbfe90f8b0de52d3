"""Windows as a mixture of voices: how many there are, and whose each is, weighed against chance."""

import numpy as np
from numpy.typing import NDArray

from rtspk.types import FloatArray

__all__ = ["mixture"]

# Of unit vectors, summed over their dimensions: found on windows of simulated talk of training speakers.
WITHIN: float = 0.68  # variance of a voice's windows,
BETWEEN: float = 0.28  # and of the voices
COUNTED_SECONDS: float = 0.5  # of speech: one window; what was joined counts as one
# As in VBx (arXiv:2012.14952): windows overlap, so each says less than it would alone, and a voice costs more
# the more was said in all: over minutes its windows are less alike than the model knows (bench/LOG.md).
EVIDENCE: float = 0.5
COST: float = 5.0
COST_SECONDS: float = 200.0  # of speech, from which a voice costs that; before, with the square root, less
FAVOUR: float = 0.3  # how much voices that have spoken more are expected more
TRUST: float = 0.9  # in the groups to start with
LEAST: float = 0.5  # windows; a voice with less is none
ROUNDS: int = 10


def mixture(
    vectors: FloatArray, weights: FloatArray, start: NDArray[np.int64], common: float = 0.0
) -> NDArray[np.int64]:
    """Give windows to voices by variational Bayes: Gaussians of one spread, and one for their means.

    Args:
        vectors: float32 [shape=(n, dimension)], unit vectors or means of such
        weights: float32 [shape=(n,)], seconds of speech behind each
        start: int64 [shape=(n,)], groups to start with; voices can be joined, not parted
        common: of a cosine, what any two windows have: the means are around a point of that length, squared

    Returns:
        int64 [shape=(n,)], the number of each one's voice, from 0 on without gaps
    """
    precise = vectors.astype(np.float64)  # once, and not in every product
    counts = np.minimum(weights / np.float32(COUNTED_SECONDS), 1.0)  # (n,)
    within, between = WITHIN / vectors.shape[1], BETWEEN / vectors.shape[1]
    grown = min(1.0, float(weights.sum()) / COST_SECONDS)
    ratio = EVIDENCE / (COST * grown**0.5)
    chances = _given(start)  # (n, voices)
    for _ in range(ROUNDS):
        spoken = counts @ chances  # (voices,)
        kept = spoken > min(LEAST, float(spoken.max()) / 2)
        chances, spoken = chances[:, kept], spoken[kept]
        sure = within / (within + ratio * between * spoken)
        sums = (counts[:, None] * chances).T @ precise
        means = (ratio * between / within * sure)[:, None] * sums
        if common:
            heard = 1.0 / (between + within / (ratio * spoken))  # how sure each voice is of that point
            point = (heard / spoken) @ sums / (heard.sum() + vectors.shape[1] / common)
            means += sure[:, None] * point
        wide = np.square(means).sum(1) + vectors.shape[1] * between * sure
        fit = (EVIDENCE / within * counts)[:, None] * (precise @ means.T - 0.5 * wide)
        fit += FAVOUR * np.log(spoken / spoken.sum())
        chances = np.exp(fit - fit.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
    return np.unique(chances.argmax(1), return_inverse=True)[1].astype(np.int64)


def _given(start: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chances that trust the groups to start with."""
    count = int(start.max()) + 1
    chances = np.full((len(start), count), (1.0 - TRUST) / count)
    chances[np.arange(len(start)), start] += TRUST
    return chances
