"""Speech by hysteresis: runs of frames in which somebody speaks, without short pauses and short blips."""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import Scalar, kernel
from rtspk.types import FloatArray

__all__ = ["speech_runs"]


@kernel()
def _flip_short(spoken: NDArray[np.bool_], speaker: int, shortest: float, value: bool) -> None:
    """Flip the runs of `value` that are shorter, but for those at the ends: there the rest is not known."""
    begin = 0
    for t in range(1, len(spoken)):
        if spoken[t, speaker] == spoken[t - 1, speaker]:
            continue
        if begin > 0 and spoken[t - 1, speaker] == value and t - begin < shortest:
            for k in range(begin, t):
                spoken[k, speaker] = not value
        begin = t


@kernel("void(float32[:, :], float32, float32, float64, float64, boolean[:, ::1])")
def speech_runs(
    chances: FloatArray, onset: Scalar, offset: Scalar, gap: float, shortest: float, out: NDArray[np.bool_]
) -> None:
    """Who speaks in each frame.

    chances : float32 [shape=(T, S)]
    onset, offset : the chance with which speech begins, and below which it ends
    gap, shortest : frames; shorter pauses are filled first, then shorter blips dropped
    out : bool [shape=(T, S)]
    """
    for speaker in range(chances.shape[1]):
        on = False
        for t in range(len(chances)):
            chance = chances[t, speaker]
            on = chance >= onset or (on and chance >= offset)
            out[t, speaker] = on
        _flip_short(out, speaker, gap, False)
        _flip_short(out, speaker, shortest, True)
