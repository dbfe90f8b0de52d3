"""Simulated rooms with several seats and one microphone, by the image-source method of pyroomacoustics.

Each seat is another distance from the microphone: near ones sound direct, far ones reverberant.
"""

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from rtspk.errors import ConfigError
from rtspk.files import make_folder, write_atomically
from rtspk.train.rooms import LONGEST, draw_room
from rtspk.types import FloatArray

__all__ = ["SEATS", "room_seats"]

SEATS: int = 10  # in every room: one for each speaker there can be


def room_seats(
    count: int, seed: int, folder: Path, progress: Callable[[int, int], None]
) -> list[list[FloatArray]]:
    """Simulate (or read, where done before) rooms; one list of impulse responses for each.

    The direct sound stands at sample 0 with height 1, so that times are kept.

    Args:
        count: of rooms
        seed: decides everything
        folder: where they are kept
        progress: called with rooms done and rooms in all
    """
    path = folder / f"seats-{count}-{seed}.npz"
    if not path.exists():
        if find_spec("pyroomacoustics") is None:
            raise ConfigError("wanted pyroomacoustics for rooms, got none: pip install 'rtspk[train]'")
        make_folder(folder)
        responses: list[FloatArray] = []
        for number in range(count):
            responses += _simulate(np.random.default_rng((seed, number)))
            progress(number + 1, count)
        buffer = io.BytesIO()
        np.savez(buffer, *[response.astype(np.float16) for response in responses])
        write_atomically(path, buffer.getvalue())  # a killed run leaves no half of them
    with np.load(path) as bank:
        all_seats = [bank[name].astype(np.float32) for name in bank.files]
    return [all_seats[first : first + SEATS] for first in range(0, len(all_seats), SEATS)]


def _simulate(rng: np.random.Generator) -> list[FloatArray]:
    room, size = draw_room(rng)
    microphone = rng.uniform(0.4, size - 0.4)
    room.add_microphone(microphone)
    for _ in range(SEATS):
        direction = rng.normal(size=3)
        away = rng.uniform(0.3, 4.0) * direction / np.linalg.norm(direction)
        room.add_source(np.clip(microphone + away, 0.2, size - 0.2))
    room.compute_rir()
    responses = []
    for heard in room.rir[0]:
        response = np.asarray(heard, np.float32)
        onset = int(np.argmax(np.abs(response)))
        response = response[onset : onset + LONGEST]
        responses.append(response / np.abs(response[0]))
    return responses
