"""A bank of simulated rooms: impulse responses by the image-source method of pyroomacoustics."""

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import ConfigError
from rtspk.files import make_folder, write_atomically
from rtspk.types import SAMPLE_RATE, FloatArray

if TYPE_CHECKING:
    import pyroomacoustics

__all__ = ["LONGEST", "draw_room", "room_bank"]

LONGEST = SAMPLE_RATE // 2  # later reflections are cut


def room_bank(count: int, seed: int, folder: Path, progress: Callable[[int, int], None]) -> list[FloatArray]:
    """Simulate (or read, where done before) `count` shoebox rooms, each with one voice and one microphone.

    The direct sound stands at sample 0 with height 1, so that levels and times are kept.
    """
    path = folder / f"rooms-{count}-{seed}.npz"
    if not path.exists():
        if count and find_spec("pyroomacoustics") is None:
            raise ConfigError("wanted pyroomacoustics for rooms, got none: pip install 'rtspk[train]'")
        make_folder(folder)
        rng = np.random.default_rng(seed)
        responses = []
        for number in range(count):
            responses.append(_simulate(rng))
            progress(number + 1, count)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, *[response.astype(np.float16) for response in responses])
        write_atomically(path, buffer.getvalue())  # a killed run leaves no half of a bank
    with np.load(path) as bank:
        return [bank[name].astype(np.float32) for name in bank.files]


def draw_room(rng: np.random.Generator) -> "tuple[pyroomacoustics.ShoeBox, NDArray[np.float64]]":
    """Draw an empty room of everyday size and furnishing, and its size in metres [shape=(3,)]."""
    import pyroomacoustics

    size = rng.uniform([3.0, 3.0, 2.4], [10.0, 8.0, 4.0])
    absorption = rng.uniform(0.15, 0.7)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=pyroomacoustics.Material(absorption),
        max_order=int(rng.integers(6, 13)),
    )
    return room, size


def _simulate(rng: np.random.Generator) -> FloatArray:
    room, size = draw_room(rng)
    source = rng.uniform(0.4, size - 0.4)
    distance = rng.uniform(0.3, 4.0)
    direction = rng.normal(size=3)
    microphone = np.clip(source + distance * direction / np.linalg.norm(direction), 0.2, size - 0.2)
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float32)
    onset = int(np.argmax(np.abs(response)))
    response = response[onset : onset + LONGEST]
    return response / np.abs(response[0])
