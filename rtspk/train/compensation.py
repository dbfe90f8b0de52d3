"""What tells recordings apart and not voices, made small in every vector.

A linear map, learnt from training speakers when all else is learnt: directions in which one person's vectors
scatter shrink (within-class covariance normalisation, A. Hatch et al., Interspeech 2006), and those in which
the means of data sets lie (inter-dataset variability compensation, H. Aronowitz, ICASSP 2014). Scores then
mean the same for a microphone, a language or a room that training did not know so well.
"""

from collections.abc import Sequence

import numpy as np

from rtspk.types import FloatArray

__all__ = ["compensation"]

# Chosen on speakers held out of training, at three lengths and heard in rooms, noise and telephones.
WITHIN: float = 400.0
BETWEEN: float = 1000.0


def compensation(vectors: FloatArray, speakers: Sequence[int], means: FloatArray) -> FloatArray:
    """The map, symmetric, float32 [shape=(D, D)]; a vector is multiplied by it.

    Args:
        vectors: unit vectors of training speech, clean and changed, float32 [shape=(n, D)]
        speakers: whose each is
        means: of data sets, float32 [shape=(sets, D)]
    """
    wide = vectors.astype(np.float64)
    numbers = np.unique(np.asarray(speakers), return_inverse=True)[1]
    counts = np.bincount(numbers)
    centres = np.zeros((len(counts), wide.shape[1]))
    np.add.at(centres, numbers, wide)
    centres /= counts[:, None]
    apart = (wide - centres[numbers])[counts[numbers] > 1]
    within = apart.T @ apart / max(1, len(apart))
    between = means.astype(np.float64).T @ means / max(1, len(means))
    power, directions = np.linalg.eigh(WITHIN * within + BETWEEN * between)
    made: FloatArray = ((directions / np.sqrt(1.0 + power.clip(0.0))) @ directions.T).astype(np.float32)
    return made
