"""The trunk of an embedder over a stream: each stretch goes through it once, however many windows hear it.

Windows overlap by two thirds, and a trunk of convolutions answers for a frame from what is near it. So what a
voice says in a hop is a picture of its own, as the network was taught (`rtspk.train.stretches`), and windows
pool the frames of several. Whoever speaks behind somebody else begins a run of frames.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtspk.engine.network import Network
from rtspk.errors import ModelError
from rtspk.kernels.processor import prefers_own_kernels
from rtspk.types import FloatArray

__all__ = ["Trunk", "picture"]


class Trunk:
    """A network from pictures to frames, one for each group of rows; shared and read-only.

    Kernels of our own run it where they are faster and its tables are there: on one thread of a processor
    with AVX-512 and VNNI, or with AVX2 and neither of them. They answer as ONNX Runtime does, which runs it
    elsewhere.
    """

    def __init__(self, path: Path, group: int, threads: int = 1, tables: Path | None = None) -> None:
        self.group = group  # rows
        if tables is not None and not tables.is_file():
            raise ModelError(f"wanted the tables of {path.name} at {tables}, got nothing there")
        self._frames = _by_onnx(path, threads) if tables is None else _fastest(path, threads, tables)

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Frames of a picture.

        Args:
            rows: float32 [shape=(frames * group, mels)], as `picture` makes them

        Returns:
            float32 [shape=(frames, width)]
        """
        return self._frames(rows)


def _fastest(path: Path, threads: int, tables: Path) -> Callable[[FloatArray], FloatArray]:
    if threads > 1 or not prefers_own_kernels():
        return _by_onnx(path, threads)
    from rtspk.engine.picture_network import PictureNetwork  # its kernels are compiled where they are wanted

    return PictureNetwork.read(tables)


def _by_onnx(path: Path, threads: int) -> Callable[[FloatArray], FloatArray]:
    network = Network(path, threads)
    if len(network.inputs) != 1:
        raise ModelError(f"wanted one input of {path.name}, got {', '.join(network.inputs)}")
    (name,) = network.inputs
    return lambda rows: network.run({name: rows[None]})[0][0]


def picture(rows: FloatArray, mask: FloatArray) -> FloatArray:
    """What a trunk hears: rows less their mean over the mask, and zero off it.

    Args:
        rows: float32 [shape=(rows, mels)]
        mask: float32 [shape=(rows,)]

    Returns:
        float32 [shape=(rows, mels)]
    """
    mean = mask @ rows / np.float32(max(1.0, float(mask.sum())))
    return np.asarray((rows - mean) * mask[:, None], np.float32)
