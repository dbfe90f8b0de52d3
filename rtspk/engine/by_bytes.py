"""Networks over pictures in bytes, by sums of four products, each place by itself (AVX-512 with VNNI)."""

import numpy as np

from rtspk.engine.picture_steps import Call, Picture, Size, Step
from rtspk.kernels import byte_pictures, fours

__all__ = ["ByBytes"]


class ByBytes:
    """One of the ways; `Way` says what its methods do."""

    number = np.uint8
    slack = byte_pictures.SLACK

    def packed(self, step: Step) -> Picture:
        """Runs; for two lines those of both, each with nought where only the other one hears."""
        runs = step.runs(fours.FOUR)
        if _lines(step) > 1:
            nought = np.zeros((step.outputs, runs.shape[1] // step.taps), np.int8)
            runs = np.concatenate([np.hstack([runs, nought]), np.hstack([nought, runs])])
        return fours.packed(runs)

    def make_room(self, steps: list[Step], sizes: list[Size]) -> None:
        """Sums never leave their registers."""

    def call(
        self, step: Step, pack: Picture, heard: Picture, other: Picture, out: Picture, size: Size
    ) -> Call:
        """By places."""
        lines = _lines(step)
        starts = np.arange(byte_pictures.AT_ONCE) * (step.hop * step.inputs)
        own = pack, np.tile(step.bias, lines), np.tile(step.scales, lines), step.zero
        told = other, step.ratios, out, step.border
        return byte_pictures.convolve_bytes, (heard, *size, step.taps, lines, *own, *told, starts)


def _lines(step: Step) -> int:
    """Rows of answers made at once: two where those of one would fill a single register."""
    return 2 if step.has_tiles and step.outputs == fours.OUTPUTS else 1
