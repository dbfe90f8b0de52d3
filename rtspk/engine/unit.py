"""Vectors scaled to unit length."""

import numpy as np

from rtspk.errors import ModelError
from rtspk.types import FloatArray

__all__ = ["unit"]


def unit(vector: FloatArray) -> FloatArray:
    """Scale to unit length.

    Raises:
        ModelError: for a vector that is zero or not finite.
    """
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm < 1e-12:
        raise ModelError(f"wanted a voice, got a vector of length {norm}")
    return (vector / np.float32(norm)).astype(np.float32)
