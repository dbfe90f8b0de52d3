"""Teachers' embeddings of every training utterance, ready to be learned from."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from rtspk.errors import FormatError
from rtspk.train.compensation import compensation
from rtspk.train.manifest import Utterance

__all__ = ["SPEAKERS", "compensated", "read_targets"]

SPEAKERS: int = 20  # that a data set must have for its mean to count


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
        raise FormatError(
            f"wanted utterances with a row in {path} (their target), got none: `rtspk teach` makes them, "
            'and targets = "" in the recipe trains without'
        )
    try:
        with path.open("rb") as file, np.load(file) as tables:
            arrays = {name: tables[name].astype(np.float32) for name in sorted(tables.files)}
    except (OSError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise FormatError(f"wanted an .npz of teachers' embeddings at {path}, got {error}") from error
    centred = []
    for name, array in arrays.items():
        if used[-1] >= len(array):
            raise FormatError(f"wanted at least {used[-1] + 1} rows in {path}, got {len(array)} of {name}")
        length = np.linalg.norm(array, axis=1, keepdims=True)
        unit = array / length.clip(1e-6)
        heard = used[length[used, 0] > 0]
        if not len(heard):
            raise FormatError(f"wanted a teacher that heard the utterances in {path}, got {name} without")
        unit -= unit[heard].mean(0)
        unit *= length > 0
        unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-6)
        centred.append(torch.from_numpy(np.pad(unit, ((0, 1), (0, 0)))))
    return centred


def compensated(tables: list[Tensor], utterances: list[Utterance]) -> list[Tensor]:
    """Teachers' tables with what tells recordings apart made small, as it is in a finished model.

    A teacher knows data sets by their microphones too, and a student need not learn that.

    Args:
        tables: as `read_targets` gives them
        utterances: those that training uses; people at their own speed count

    Raises:
        FormatError: none of them is of somebody known and was heard by a teacher.
    """
    known = [u for u in utterances if u.speaker and u.speed == 1.0 and u.target >= 0]
    rows = torch.tensor([u.target for u in known])
    if not known:
        raise FormatError("wanted known speakers with a target, for targets that are compensated, got none")
    speakers = np.unique([u.speaker for u in known], return_inverse=True)[1]
    sets = np.array([u.dataset for u in known])
    counted = [name for name in np.unique(sets) if len(set(speakers[sets == name])) >= SPEAKERS]
    made = []
    for table in tables:
        vectors = table[rows].numpy()
        heard = np.linalg.norm(vectors, axis=1) > 0.0
        own = [heard & (sets == name) for name in counted or np.unique(sets)]
        means = np.stack([vectors[one].mean(0) for one in own if one.any()])
        small = table @ torch.from_numpy(compensation(vectors[heard], speakers[heard].tolist(), means))
        made.append(small / small.norm(dim=1, keepdim=True).clamp(min=1e-6))
    return made
