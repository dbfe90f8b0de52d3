"""A Conformer over frames (arXiv:2005.08100), its matrices in eight bits: one call for a block.

It hears the frames on the masks of windows alone: those off them change nothing, so only the places of the
others are told. Frames of several windows stand one behind the other, so that weights are read once for all.
T is the frames, rounded up to a whole multiple of 4 (what is behind them fills tiles up), n how many there
are, D the width, H the heads.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.dense import LAYER, Layer, applied
from rtspk.kernels.exponential import exponential
from rtspk.kernels.hyperbolic import fraction
from rtspk.kernels.jit import Scalar, kernel
from rtspk.types import FloatArray

__all__ = ["NORM", "ROOM", "Convolution", "Norm", "Room", "TwoLayers", "conform", "normed"]

Norm = tuple[FloatArray, FloatArray]  # weight and bias
# To write to: steps, uint8 [shape=(T * most,)]; then float32: sizes [shape=(T,)], narrow [shape=(T * D,)],
# wide [shape=(T * most,)] and spare [shape=(T * D,)]; most are the outputs of the largest layer.
Room = tuple[NDArray[np.uint8], FloatArray, FloatArray, FloatArray, FloatArray]
TwoLayers = tuple[Norm, Layer, Layer]
Convolution = tuple[Norm, Layer, FloatArray, Layer]

NORM = "UniTuple(float32[::1], 2)"  # the same, in signatures
ROOM = "Tuple((uint8[::1], float32[::1], float32[::1], float32[::1], float32[::1]))"
TWO_LAYERS = f"Tuple(({NORM}, {LAYER}, {LAYER}))"
CONVOLUTION = f"Tuple(({NORM}, {LAYER}, float32[:, ::1], {LAYER}))"

HALF, ONE, TWO, ZERO = np.float32(0.5), np.float32(1.0), np.float32(2.0), np.float32(0.0)
SMALL = np.float32(1e-5)  # added to variances


@kernel()
def logistic(value: Scalar) -> np.float32:
    """1 / (1 + exp(-value)), for other kernels."""
    above, below = fraction(HALF * value)
    return (below + above) / (TWO * below)


@kernel()
def normed(x: FloatArray, norm: Norm, out: FloatArray) -> None:
    """Rows of no mean and a deviation of 1, times a weight, and a bias (arXiv:1607.06450), for other kernels.

    x, out : float32 [shape=(T, D)], two or the same
    """
    weight, bias = norm
    share = ONE / np.float32(x.shape[1])
    for t in range(len(x)):
        mean = ZERO
        for d in range(x.shape[1]):
            mean += x[t, d]
        mean *= share
        variance = ZERO
        for d in range(x.shape[1]):
            apart = x[t, d] - mean
            variance += apart * apart
        scale = ONE / np.sqrt(variance * share + SMALL)
        for d in range(x.shape[1]):
            out[t, d] = (x[t, d] - mean) * scale * weight[d] + bias[d]


@kernel(f"void(float32[:, ::1], {TWO_LAYERS}, {ROOM})")
def feed_forward(x: FloatArray, own: TwoLayers, room: Room) -> None:
    """Half of what two layers say is added.

    x : float32 [shape=(T, D)], to add to
    own : a norm; a layer to some multiple of D, rectified by x * logistic(x); a layer back
    """
    norm, up, down = own
    steps, sizes, narrow, wide, _ = room
    inner = narrow[: x.size].reshape(x.shape)
    outer = wide[: len(x) * len(up[1])].reshape(len(x), len(up[1]))
    normed(x, norm, inner)
    applied(inner, up, steps, sizes, outer)
    for t in range(len(x)):
        for j in range(outer.shape[1]):
            outer[t, j] *= logistic(outer[t, j])
    applied(outer, down, steps, sizes, inner)
    for t in range(len(x)):
        for d in range(x.shape[1]):
            x[t, d] += HALF * inner[t, d]


@kernel()
def hear(wanted: FloatArray, keys: FloatArray, answers: FloatArray, shares: FloatArray) -> None:
    """What each frame hears from those of its window, for other kernels.

    wanted : float32 [shape=(n, H, D / H)], what it asks for; then what it hears
    keys : float32 [shape=(H, D / H, n)], what they answer to
    answers : float32 [shape=(n, 3, H, D / H)], of which the last third is what they say
    shares : float32 [shape=(n,)], to write to
    """
    count, heads, size = wanted.shape
    for t in range(count):
        for head in range(heads):
            shares[:] = ZERO
            for d in range(size):
                much = wanted[t, head, d]
                for s in range(count):
                    shares[s] += much * keys[head, d, s]
                wanted[t, head, d] = ZERO
            most = shares[0]
            for s in range(count):
                most = max(most, shares[s])
            total = ZERO
            for s in range(count):
                shares[s] = exponential(shares[s] - most)
                total += shares[s]
            for s in range(count):
                much = shares[s] / total
                for d in range(size):
                    wanted[t, head, d] += much * answers[s, 2, head, d]


@kernel(f"void(float32[:, ::1], int64[::1], int64[::1], {TWO_LAYERS}, float32[:, ::1], int64, {ROOM})")
def attend(
    x: FloatArray,
    places: NDArray[np.int64],
    bounds: NDArray[np.int64],
    own: TwoLayers,
    turns: FloatArray,
    heads: int,
    room: Room,
) -> None:
    """What frames hear from those of their window is added, positions told by rotation (arXiv:2104.09864).

    Arguments are as in `conform`; `own` are a norm, a layer to what each frame asks for, what it answers to
    and what it says, D numbers each, and a layer for what it hears.
    """
    norm, asked, said = own
    steps, sizes, narrow, wide, spare = room
    rows, width, size = len(x), x.shape[1], x.shape[1] // heads
    inner = narrow[: x.size].reshape(x.shape)
    outer = wide[: 3 * x.size].reshape(rows, 3 * width)
    normed(x, norm, inner)
    applied(inner, asked, steps, sizes, outer)
    # One axis for each part: an index that is a sum could be below nought, for all that the compiler knows.
    halves, wanted = outer.reshape(rows, 3, heads, 2, size // 2), inner.reshape(rows, heads, 2, size // 2)
    whole, heard = outer.reshape(rows, 3, heads, size), inner.reshape(rows, heads, size)
    scale = ONE / np.sqrt(np.float32(size))
    for window in range(len(bounds) - 1):
        first, last = bounds[window], bounds[window + 1]
        count = last - first
        answers, want, at = halves[first:last], wanted[first:last], places[first:last]
        # Side by side, so that sums are over all of them at once.
        keys = spare[: width * count].reshape(heads, 2, size // 2, count)
        for t in range(count):
            turn = turns[at[t]].reshape(2, size // 2)
            for head in range(heads):
                for d in range(size // 2):
                    cosine, sine = turn[0, d], turn[1, d]
                    a, b = answers[t, 0, head, 0, d], answers[t, 0, head, 1, d]
                    want[t, head, 0, d] = (a * cosine - b * sine) * scale
                    want[t, head, 1, d] = (a * sine + b * cosine) * scale
                    a, b = answers[t, 1, head, 0, d], answers[t, 1, head, 1, d]
                    keys[head, 0, d, t] = a * cosine - b * sine
                    keys[head, 1, d, t] = a * sine + b * cosine
        key = spare[: width * count].reshape(heads, size, count)
        hear(heard[first:last], key, whole[first:last], sizes[:count])
    added = wide[: x.size].reshape(x.shape)
    applied(inner, said, steps, sizes, added)
    for t in range(rows):
        for d in range(width):
            x[t, d] += added[t, d]


@kernel(f"void(float32[:, ::1], int64[::1], int64[::1], {CONVOLUTION}, {ROOM})")
def convolve_frames(
    x: FloatArray, places: NDArray[np.int64], bounds: NDArray[np.int64], own: Convolution, room: Room
) -> None:
    """What frames hear from those beside them, channel by channel, is added; those off the mask are silent.

    Arguments are as in `conform`; `own` are a norm, a layer to 2 * D numbers, of which the second half says
    how much of the first is let through, taps, float32 [shape=(K + 1, D)], K of them odd, with a bias behind
    them, and a layer for what is heard.
    """
    norm, gate, taps, said = own
    steps, sizes, narrow, wide, _ = room
    rows, width = x.shape
    inner = narrow[: x.size].reshape(x.shape)
    outer = wide[: 2 * x.size].reshape(rows, 2 * width)
    normed(x, norm, inner)
    applied(inner, gate, steps, sizes, outer)
    gated = outer.reshape(rows, 2, width)
    for t in range(rows):
        for d in range(width):
            gated[t, 0, d] *= logistic(gated[t, 1, d])
    behind = len(taps) - 1
    reach = behind // 2
    bias = taps[behind]
    for window in range(len(bounds) - 1):
        first, last = bounds[window], bounds[window + 1]
        let, heard, at = gated[first:last], inner[first:last], places[first:last]
        for t in range(last - first):
            for d in range(width):
                heard[t, d] = bias[d]
            for s in range(max(0, t - reach), min(last - first, t + reach + 1)):
                tap = at[s] - at[t] + reach
                if 0 <= tap < behind:
                    weights = taps[tap]
                    for d in range(width):
                        heard[t, d] += weights[d] * let[s, 0, d]
            for d in range(width):
                heard[t, d] *= logistic(heard[t, d])
    added = wide[: x.size].reshape(x.shape)
    applied(inner, said, steps, sizes, added)
    for t in range(rows):
        for d in range(width):
            x[t, d] += added[t, d]


@kernel(
    f"void(float32[:, ::1], int64[::1], int64[::1], {TWO_LAYERS}, {TWO_LAYERS}, {CONVOLUTION}, {TWO_LAYERS},"
    f" {NORM}, float32[:, ::1], int64, {ROOM}, float32[:, ::1], int64)"
)
def conform(
    x: FloatArray,
    places: NDArray[np.int64],
    bounds: NDArray[np.int64],
    before: TwoLayers,
    attention: TwoLayers,
    convolution: Convolution,
    after: TwoLayers,
    norm: Norm,
    turns: FloatArray,
    heads: int,
    room: Room,
    scales: FloatArray,
    number: int,
) -> None:
    """A block: half of a feed-forward layer, attention, convolution, half of another layer, a norm.

    x : float32 [shape=(T, D)], frames, and then what the block makes of them
    places : int64 [shape=(n,)], of the frames in their windows, from the first to the last
    bounds : int64 [shape=(windows + 1,)], of each window's frames among all
    turns : float32 [shape=(places, D / H)], cosines, then sines, of the angles at each place
    room : to write to
    scales : float32 [shape=(T, blocks * D)], the answers of all blocks side by side, to write to
    number : of the block
    """
    feed_forward(x, before, room)
    attend(x, places, bounds, attention, turns, heads, room)
    convolve_frames(x, places, bounds, convolution, room)
    feed_forward(x, after, room)
    normed(x, norm, x)
    beside = scales.reshape(len(x), scales.shape[1] // x.shape[1], x.shape[1])
    for t in range(len(x)):
        own = beside[t, number]
        for d in range(x.shape[1]):
            own[d] = x[t, d]
