"""From frames to one vector for each window: means and deviations, by weights or without, and what they say.

W is the windows, F the width of the frames.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.conformer import NORM, ROOM, Norm, Room, normed
from rtspk.kernels.dense import LAYER, LEAST, ROUNDED, STEPS, Layer, applied, largest
from rtspk.kernels.exponential import exponential
from rtspk.kernels.hyperbolic import fraction
from rtspk.kernels.jit import kernel
from rtspk.types import FloatArray

__all__ = ["answer", "pool", "tell"]

ONE, ZERO = np.float32(1.0), np.float32(0.0)
SMALL = np.float32(1e-5)  # added to variances


@kernel()
def summarised(rows: FloatArray, mean: FloatArray, deviation: FloatArray) -> None:
    """Means and deviations of rows, for other kernels.

    rows : float32 [shape=(n, F)]
    mean, deviation : float32 [shape=(F,)], to write to
    """
    share = ONE / np.float32(len(rows))
    mean[:] = ZERO
    deviation[:] = ZERO
    for t in range(len(rows)):
        for k in range(len(mean)):
            mean[k] += rows[t, k]
    for k in range(len(mean)):
        mean[k] *= share
    for t in range(len(rows)):
        for k in range(len(mean)):
            apart = rows[t, k] - mean[k]
            deviation[k] += apart * apart
    for k in range(len(mean)):
        deviation[k] = np.sqrt(deviation[k] * share + SMALL)


@kernel()
def weighed(
    rows: FloatArray,
    weights: FloatArray,
    most: FloatArray,
    total: FloatArray,
    mean: FloatArray,
    deviation: FloatArray,
) -> None:
    """Means and deviations of rows, each number by weights of its own, for other kernels.

    rows : float32 [shape=(n, D)]
    weights : float32 [shape=(n, D)], logarithms; then the weights
    most, total : float32 [shape=(D,)], to write to
    mean, deviation : likewise
    """
    most[:] = weights[0]
    total[:] = ZERO
    mean[:] = ZERO
    deviation[:] = ZERO
    for t in range(len(rows)):
        for d in range(len(mean)):
            most[d] = max(most[d], weights[t, d])
    for t in range(len(rows)):
        for d in range(len(mean)):
            share = exponential(weights[t, d] - most[d])
            weights[t, d] = share
            total[d] += share
            mean[d] += share * rows[t, d]
    for d in range(len(mean)):
        mean[d] /= total[d]
    for t in range(len(rows)):
        for d in range(len(mean)):
            apart = rows[t, d] - mean[d]
            deviation[d] += weights[t, d] * apart * apart
    for d in range(len(mean)):
        deviation[d] = np.sqrt(deviation[d] / total[d] + SMALL)


@kernel("void(float32[:, ::1], int64[::1], uint8[:, ::1], float32[::1], float32[::1])")
def tell(
    frames: FloatArray,
    places: NDArray[np.int64],
    steps: NDArray[np.uint8],
    sizes: FloatArray,
    summary: FloatArray,
) -> None:
    """Frames of one window in eight bits, as `rtspk.kernels.dense.rounded` has them, and their statistics.

    frames : float32 [shape=(any, F)]
    places : int64 [shape=(n,)], of those
    steps, sizes : uint8 [shape=(n, F)] and float32 [shape=(n,)], to write to
    summary : float32 [shape=(2 * F,)], means and deviations, to write to
    """
    width = frames.shape[1]
    mean, deviation = summary[:width], summary[width:]
    share = ONE / np.float32(len(places))
    mean[:] = ZERO
    deviation[:] = ZERO
    for t in range(len(places)):
        frame = frames[places[t]]
        for k in range(width):
            mean[k] += frame[k]
        sizes[t] = largest(frame, LEAST) / STEPS
    for k in range(width):
        mean[k] *= share
    for t in range(len(places)):
        frame = frames[places[t]]
        scale = ONE / sizes[t]
        for k in range(width):
            apart = frame[k] - mean[k]
            deviation[k] += apart * apart
        own = steps[t]
        for k in range(width):
            own[k] = np.uint8(np.int32(frame[k] * scale + ROUNDED))
    for k in range(width):
        deviation[k] = np.sqrt(deviation[k] * share + SMALL)


@kernel(f"void(float32[:, ::1], int64[::1], {NORM}, {LAYER}, {LAYER}, {LAYER}, float32[:, ::1], {ROOM})")
def pool(
    x: FloatArray,
    bounds: NDArray[np.int64],
    norm: Norm,
    inner: Layer,
    context: Layer,
    outer: Layer,
    pooled: FloatArray,
    room: Room,
) -> None:
    """Attentive statistics with context (arXiv:1803.10963, arXiv:2005.07143): each channel weighs the frames.

    x : float32 [shape=(T, D)], frames, which are normed
    bounds : int64 [shape=(W + 1,)], of each window's among all
    norm : weight and bias, float32 [shape=(D,)] each
    inner, context : to the hidden layer, from a frame, and from the statistics of all
    outer : from the hidden layer to the weights of D channels
    pooled : float32 [shape=(W or more, 2 * D)], means and deviations by those weights, to write to; a whole
        multiple of 4
    room : as in `rtspk.kernels.conformer`, with room for `hidden` and D numbers a frame, and two rows more
    """
    steps, sizes, narrow, wide, _ = room
    width, size = x.shape[1], len(inner[1])
    added = wide[: len(pooled) * size].reshape(len(pooled), size)
    normed(x, norm, x)
    for window in range(len(bounds) - 1):
        own = pooled[window]
        summarised(x[bounds[window] : bounds[window + 1]], own[:width], own[width:])
    applied(pooled, context, steps, sizes, added)
    hidden = narrow[: len(x) * size].reshape(len(x), size)
    applied(x, inner, steps, sizes, hidden)
    for window in range(len(bounds) - 1):
        heard, more = hidden[bounds[window] : bounds[window + 1]], added[window]
        for t in range(len(heard)):
            for j in range(size):
                above, below = fraction(heard[t, j] + more[j])
                heard[t, j] = above / below
    weights = wide[: x.size].reshape(x.shape)
    most, total = wide[x.size : x.size + width], wide[x.size + width : x.size + 2 * width]
    applied(hidden, outer, steps, sizes, weights)  # what was added is not wanted any more
    for window in range(len(bounds) - 1):
        part, own = slice(bounds[window], bounds[window + 1]), pooled[window]
        weighed(x[part], weights[part], most, total, own[:width], own[width:])


@kernel(
    f"void(float32[:, ::1], float32[:, ::1], {LAYER}, {LAYER}, float32[::1], float32[:, ::1], {ROOM},"
    " float32[:, ::1])"
)
def answer(
    told: FloatArray,
    heard: FloatArray,
    project: Layer,
    add: Layer,
    mean: FloatArray,
    compensation: FloatArray,
    room: Room,
    out: FloatArray,
) -> None:
    """Voices: what two summaries of each window say, less a mean, times a matrix.

    told, heard : float32 [shape=(W, any)], W a whole multiple of 4
    project, add : layers from them to `size` numbers
    mean : float32 [shape=(size,)]
    compensation : float32 [shape=(size, size)]
    room : as in `rtspk.kernels.conformer`, with room for W rows of each
    out : float32 [shape=(W, size)], to write to
    """
    steps, sizes, narrow, wide, _ = room
    voices, more = narrow[: out.size].reshape(out.shape), wide[: out.size].reshape(out.shape)
    applied(told, project, steps, sizes, voices)
    applied(heard, add, steps, sizes, more)
    for window in range(len(out)):
        own = out[window]
        own[:] = ZERO
        for k in range(len(mean)):
            much, row = voices[window, k] + more[window, k] - mean[k], compensation[k]
            for j in range(len(mean)):
                own[j] += much * row[j]
