"""Teachers' embeddings of every training utterance, ready to be learned from."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtspk.errors import FormatError

__all__ = ["read_targets"]


def read_targets(path: Path, rows: list[int]) -> list[Tensor]:
    """Read one table for each teacher, centred on the mean of `rows` and scaled to unit length.

    A row of zeros says that the teacher did not hear that utterance, and stays zero.

    Args:
        path: an .npz with an array [shape=(utterances, width)] for each teacher
        rows: the rows that training uses; the mean is theirs alone
    """
    try:
        with np.load(path) as tables:
            arrays = [tables[name].astype(np.float32) for name in sorted(tables.files)]
    except (OSError, ValueError) as error:
        raise FormatError(f"expected an .npz of teachers' embeddings at {path}, got {error}") from error
    centred = []
    for array in arrays:
        if max(rows) >= len(array):
            raise FormatError(f"expected at least {max(rows) + 1} rows in {path}, got {len(array)}")
        length = np.linalg.norm(array, axis=1, keepdims=True)
        unit = array / length.clip(1e-6)
        heard = np.unique([row for row in rows if length[row] > 0])
        unit -= unit[heard].mean(0)
        unit *= length > 0
        centred.append(torch.from_numpy(unit / np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-6)))
    return centred
