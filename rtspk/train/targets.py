"""Teachers' embeddings of every training utterance, ready to be learned from."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from rtspk.errors import FormatError

__all__ = ["read_targets"]


def read_targets(path: Path, rows: list[int]) -> list[Tensor]:
    """Read one table for each teacher, centred on the mean of `rows` and scaled to unit length.

    A row of zeros says that the teacher did not hear that utterance, and stays zero. Such a row is added at
    the end, so that row -1, of an utterance without a target, is silence too.

    Args:
        path: an .npz with an array [shape=(utterances, width)] for each teacher
        rows: the rows that training uses, -1 for none; the mean is over them alone

    Raises:
        FormatError: no such table, too few rows, or a teacher that heard none of them.
    """
    used = np.unique([row for row in rows if row >= 0]).astype(np.int64)
    if not len(used):
        raise FormatError(f"expected utterances with a row in {path} (their target), got none")
    try:
        with path.open("rb") as file, np.load(file) as tables:
            arrays = {name: tables[name].astype(np.float32) for name in sorted(tables.files)}
    except (OSError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise FormatError(f"expected an .npz of teachers' embeddings at {path}, got {error}") from error
    centred = []
    for name, array in arrays.items():
        if used[-1] >= len(array):
            raise FormatError(f"expected at least {used[-1] + 1} rows in {path}, got {len(array)} of {name}")
        length = np.linalg.norm(array, axis=1, keepdims=True)
        unit = array / length.clip(1e-6)
        heard = used[length[used, 0] > 0]
        if not len(heard):
            raise FormatError(f"expected a teacher that heard the utterances in {path}, got {name} without")
        unit -= unit[heard].mean(0)
        unit *= length > 0
        unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-6)
        centred.append(torch.from_numpy(np.pad(unit, ((0, 1), (0, 0)))))
    return centred
