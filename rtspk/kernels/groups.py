"""Group what is alike from the bottom up, by how alike all pairs of two groups are in the mean."""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import Scalar, kernel
from rtspk.types import FloatArray

__all__ = ["NEVER", "groups"]

# Less alike than anything: groups that hold two such members are never joined.
NEVER = np.float32(-9.0)
PARTED = np.float32(-4.5)  # no mean of cosines is so small, and hints and what holds labels do not make it so
LEAST, GREATEST = np.int32(-(2**31)), np.int32(2**31 - 1)


def groups(alike: FloatArray, weights: FloatArray, least: float) -> NDArray[np.int64]:
    """Group windows until no two groups are alike enough.

    Args:
        alike: float32 [shape=(n, n)], symmetric; `NEVER` parts two for good; its diagonal plays no part
        weights: float32 [shape=(n,)], how much each counts
        least: groups that are less alike are not joined

    Returns:
        int64 [shape=(n,)], the number of each one's group, from 0 on in the order of their first windows
    """
    out = np.arange(len(weights))
    if not len(weights):
        return out
    worked = np.array(alike, np.float32, order="C")
    np.fill_diagonal(worked, NEVER)
    best = np.empty(len(weights), np.float32)
    near, place = np.empty((2, len(weights)), np.int32)
    mass = np.array(weights, np.float32)
    _groups(worked, worked.view(np.int32), mass, least, near, best, best.view(np.int32), place, out)
    return out


@kernel(exact=True)
def _ordered(bits: np.int32) -> np.int32:
    """Of a number's bits an integer that is greater where the number is; its own inverse."""
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & GREATEST))


@kernel(exact=True)
def _peak(bits: NDArray[np.int32], count: int) -> np.int32:
    """The place of the first greatest of some numbers by their bits: integers are compared in SIMD lanes."""
    top = LEAST
    for k in range(count):
        top = max(top, _ordered(bits[k]))
    top = _ordered(top)
    place = np.int32(count)
    for k in range(count):
        place = min(place, np.int32(k) if bits[k] == top else np.int32(count))
    return place


@kernel(exact=True)
def _mix(row: FloatArray, other: FloatArray, mass: np.float32, more: np.float32, count: int) -> None:
    """How alike all are to two groups in one: `row` becomes its mean with `other`."""
    total = mass + more
    for k in range(count):
        one, two = row[k], other[k]
        mean = (one * mass + two * more) / total
        row[k] = mean if (one > PARTED) & (two > PARTED) else NEVER


@kernel(exact=True)
def _mirror(alike: FloatArray, one: int, count: int) -> None:
    """Make a group's column what its row is."""
    alike[one, one] = NEVER
    for k in range(count):
        alike[k, one] = alike[one, k]


@kernel(exact=True)
def _move(alike: FloatArray, last: int, free: int) -> None:
    """Give the last group the row and column of one that is gone."""
    for k in range(last):
        alike[free, k] = alike[last, k]
    _mirror(alike, free, last)


@kernel(
    "void(float32[:, ::1], int32[:, ::1], float32[::1], float32, int32[::1], float32[::1], int32[::1],"
    " int32[::1], int64[::1])",
    exact=True,
)
def _groups(
    alike: FloatArray,
    bits: NDArray[np.int32],
    mass: FloatArray,
    least: Scalar,
    near: NDArray[np.int32],
    best: FloatArray,
    best_bits: NDArray[np.int32],
    place: NDArray[np.int32],
    out: NDArray[np.int64],
) -> None:
    """Join the two nearest groups, again and again; the last group takes the row of what is gone.

    alike, mass : worked on; the diagonal is `NEVER`
    near, best : [shape=(n,)], room for the nearest other group of each, and how alike they are
    bits, best_bits : `alike` and `best` as integers, of the same memory
    place : [shape=(n,)], room for the first window of each group
    out : int64 [shape=(n,)], first each one's own place, then one before it in its group, at last its number
    """
    size = len(mass)
    for i in range(size):
        place[i], near[i] = i, _peak(bits[i], size)
        best[i] = alike[i, near[i]]
    while size > 1:
        one = _peak(best_bits, size)
        if best[one] < least or best[one] <= PARTED:
            break
        a, b = min(one, near[one]), max(one, near[one])
        _mix(alike[a], alike[b], mass[a], mass[b], size)
        _mirror(alike, a, size)
        mass[a] += mass[b]
        first, later = min(place[a], place[b]), max(place[a], place[b])
        out[later] = place[a] = first
        size -= 1
        if b < size:
            _move(alike, size, b)
            mass[b], place[b], near[b], best[b] = mass[size], place[size], near[size], best[size]
        # Nobody is nearer to two in one than to the nearer of them.
        for k in range(size):
            if near[k] == a or near[k] == b or k == a:
                near[k] = _peak(bits[k], size)
                best[k] = alike[k, near[k]]
            elif near[k] == size:
                near[k] = b
    known = 0
    for i in range(len(out)):
        if out[i] == i:
            out[i] = known
            known += 1
        else:
            out[i] = out[out[i]]
