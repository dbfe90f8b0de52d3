"""What crops are changed by: banks of rooms, far seats and sounds, simulated or decoded once."""

from pathlib import Path

import numpy as np

from rtspk.train.augment import Augmenter
from rtspk.train.far_field import far_seats
from rtspk.train.manifest import read_noises
from rtspk.train.progress import Progress
from rtspk.train.recipe import Recipe
from rtspk.train.rooms import room_bank
from rtspk.train.store import SampleStore

__all__ = ["build_augmenter"]

FAR: int = 5  # what tells the chance of far seats from that of all else
WHOLE: int = 1 << 40  # samples, more than any recording has


def build_augmenter(recipe: Recipe, data: Path, cache: Path, progress: Progress) -> Augmenter:
    """Make the augmenter that a recipe wants.

    Args:
        recipe: how often what is changed, and the seed
        data: the folder of the table of noises
        cache: where rooms and decoded sounds are kept
        progress: hears of every room and sound
    """
    config, seed, table = recipe.augment, recipe.loop.seed, recipe.data.noise
    noises, music = (read_noises(data / table, music=kind) if table else [] for kind in (False, True))
    store = SampleStore.build(noises + music, cache, lambda a, b: progress("decode noise", a, b))
    rooms = room_bank(config.rooms, seed, cache, lambda a, b: progress("simulate rooms", a, b))
    rng = np.random.default_rng((seed, FAR))
    seats = [seat for _ in range(config.rooms if config.far else 0) for seat in far_seats(1, rng)]
    noise, tunes = ([store.read(path, 0, WHOLE) for path in paths] for paths in (noises, music))
    return Augmenter(config, rooms, noise, tunes, seats)
