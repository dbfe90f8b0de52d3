"""Networks over pictures by sums of two products in 16 bits (AVX2), and by tiles where that is less to do."""

import numpy as np

from rtspk.engine.picture_steps import Call, Picture, Size, Step
from rtspk.kernels import pairs, pictures, winograd

__all__ = ["ByTiles"]

MOST: int = 20  # tiles done at once: their sums stay in the cache that is near


class ByTiles:
    """One of the ways; `Way` says what its methods do."""

    number = np.int16
    slack = pictures.SLACK

    def packed(self, step: Step) -> Picture:
        """Of each 16 outputs all points, each packed; or runs."""
        if not step.n:
            return pairs.packed(step.runs(pairs.STEP).astype(np.int16), pictures.BLOCKS)
        points = [
            pairs.packed(one, pictures.BLOCKS).reshape(step.outputs // winograd.AT_ONCE, -1)
            for one in winograd.weights_at_points(step.weights, step.n)
        ]
        return np.stack(points, 1).reshape(-1)

    def make_room(self, steps: list[Step], sizes: list[Size]) -> None:
        """For the points of tiles, and for sums."""
        spread, sums = 1, 1
        for step, (_, across) in zip(steps, sizes[1:], strict=True):
            points, tiles = (step.n + 2) ** 2, across + pictures.ROWS
            if step.n:
                tiles = max(MOST, -(-across // step.n)) + pictures.ROWS
                spread = max(spread, points * tiles * step.inputs)
            sums = max(sums, points * tiles * winograd.AT_ONCE)
        self._spread, self._sums = np.zeros(spread, np.int16), np.zeros(sums, np.int32)

    def call(
        self, step: Step, pack: Picture, heard: Picture, other: Picture, out: Picture, size: Size
    ) -> Call:
        """By tiles or by places."""
        own = pack, step.bias, step.scales, step.zero
        if step.n:
            told = other, step.ratios, out, step.border
            rooms = MOST, self._spread, self._sums
            return pictures.convolve_by_tiles, (heard, *size, step.n, *own, *told, *rooms)
        answers = out, step.border, self._sums
        return pictures.convolve, (heard, *size, step.taps, step.hop, *own, *answers)
