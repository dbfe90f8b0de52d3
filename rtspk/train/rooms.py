"""Simulated rooms: impulse responses by the image-source method of pyroomacoustics.

The direct sound stands at sample 0 with height 1, so that levels and times are kept.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import ConfigError
from rtspk.files import bytes_of, make_folder, write_atomically
from rtspk.types import SAMPLE_RATE, FloatArray

if TYPE_CHECKING:
    import pyroomacoustics

__all__ = ["SEATS", "room_bank", "room_seats"]

SEATS: int = 10  # in a room with several: one for each speaker there can be
LONGEST = SAMPLE_RATE // 2  # later reflections are cut
WALL: float = 0.2  # metres from a wall to whatever is near it


def room_bank(count: int, seed: int, folder: Path, progress: Callable[[int, int], None]) -> list[FloatArray]:
    """Simulate (or read, where done before) `count` shoebox rooms, each with one voice and one microphone."""
    rng = np.random.default_rng(seed)
    path = folder / f"rooms-{count}-{seed}.npz"
    return _kept(path, count, lambda _number: _one_voice(rng), progress)


def room_seats(
    count: int, seed: int, folder: Path, progress: Callable[[int, int], None]
) -> list[list[FloatArray]]:
    """Simulate (or read, where done before) rooms with one microphone; a list of impulse responses for each.

    Each seat is another distance from the microphone: near ones sound direct, far ones reverberant.

    Args:
        count: of rooms
        seed: decides everything
        folder: where they are kept
        progress: called with rooms done and rooms in all
    """
    path = folder / f"seats-{count}-{seed}.npz"
    all_seats = _kept(path, count, lambda number: _seats(np.random.default_rng((seed, number))), progress)
    return [all_seats[first : first + SEATS] for first in range(0, len(all_seats), SEATS)]


def _kept(
    path: Path,
    count: int,
    simulate: Callable[[int], list[FloatArray]],
    progress: Callable[[int, int], None],
) -> list[FloatArray]:
    """The responses of all rooms in a file, which is made where it is not there."""
    if not path.exists():
        if count and find_spec("pyroomacoustics") is None:
            raise ConfigError("wanted pyroomacoustics for rooms, got none: pip install 'rtspk[train]'")
        make_folder(path.parent)
        responses: list[NDArray[np.float16]] = []
        for number in range(count):
            responses += [response.astype(np.float16) for response in simulate(number)]
            progress(number + 1, count)
        # A killed run leaves no half of a bank.
        write_atomically(path, bytes_of(lambda file: np.savez_compressed(file, *responses)))
    with np.load(path) as bank:
        return [bank[name].astype(np.float32) for name in bank.files]


def _one_voice(rng: np.random.Generator) -> list[FloatArray]:
    room, size = _draw_room(rng)
    source = rng.uniform(0.4, size - 0.4)
    distance = rng.uniform(0.3, 4.0)
    direction = rng.normal(size=3)
    microphone = np.clip(source + distance * direction / np.linalg.norm(direction), WALL, size - WALL)
    room.add_source(source)
    room.add_microphone(microphone)
    return _responses(room)


def _seats(rng: np.random.Generator) -> list[FloatArray]:
    room, size = _draw_room(rng)
    microphone = rng.uniform(0.4, size - 0.4)
    room.add_microphone(microphone)
    for _ in range(SEATS):
        direction = rng.normal(size=3)
        away = rng.uniform(0.3, 4.0) * direction / np.linalg.norm(direction)
        room.add_source(np.clip(microphone + away, WALL, size - WALL))
    return _responses(room)


def _draw_room(rng: np.random.Generator) -> "tuple[pyroomacoustics.ShoeBox, NDArray[np.float64]]":
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


def _responses(room: "pyroomacoustics.ShoeBox") -> list[FloatArray]:
    """From each source of a room to its microphone."""
    room.compute_rir()
    responses = []
    for heard in room.rir[0]:
        response = np.asarray(heard, np.float32)
        onset = int(np.argmax(np.abs(response)))
        response = response[onset : onset + LONGEST]
        responses.append(response / np.abs(response[0]))
    return responses
