"""Group what is alike from the bottom up, by how alike all pairs of two groups are in the mean."""

import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.jit import kernel
from rtspk.types import FloatArray

__all__ = ["NEVER", "groups"]

NEVER: float = -9.0  # less alike than anything: groups that hold two such members are never joined


def groups(alike: FloatArray, weights: FloatArray, least: float) -> NDArray[np.int64]:
    """Group windows until no two groups are alike enough.

    Args:
        alike: float32 [shape=(n, n)], symmetric; `NEVER` parts two for good; its diagonal plays no part
        weights: float32 [shape=(n,)], how much each counts
        least: groups that are less alike are not joined

    Returns:
        int64 [shape=(n,)], the number of each one's group, from 0 on in the order of their first windows
    """
    count = len(weights)
    out = np.arange(count)
    _groups(
        np.array(alike, np.float64, order="C"),
        np.array(weights, np.float64),
        least,
        np.ones(count, np.bool_),
        np.zeros(count, np.int64),
        np.full(count, NEVER),
        out,
    )
    return out


@kernel(exact=True)
def _nearest(alike: NDArray[np.float64], alive: NDArray[np.bool_], one: int) -> tuple[int, float]:
    """The group that is most like one, and how much."""
    near, best = 0, NEVER
    for k in range(len(alive)):
        if alive[k] and k != one and alike[one, k] > best:
            near, best = k, alike[one, k]
    return near, best


@kernel(exact=True)
def _join(
    alike: NDArray[np.float64], alive: NDArray[np.bool_], mass: NDArray[np.float64], a: int, b: int
) -> None:
    """Make group `b` part of group `a`."""
    total = mass[a] + mass[b]
    for k in range(len(mass)):
        if alive[k] and k not in (a, b):
            value = NEVER
            if alike[a, k] > NEVER / 2 and alike[b, k] > NEVER / 2:
                value = (alike[a, k] * mass[a] + alike[b, k] * mass[b]) / total
            alike[a, k] = alike[k, a] = value
    mass[a] = total
    alive[b] = False


@kernel(
    "void(float64[:, ::1], float64[::1], float64, boolean[::1], int64[::1], float64[::1], int64[::1])",
    exact=True,
)
def _groups(
    alike: NDArray[np.float64],
    mass: NDArray[np.float64],
    least: float,
    alive: NDArray[np.bool_],
    near: NDArray[np.int64],
    best: NDArray[np.float64],
    out: NDArray[np.int64],
) -> None:
    """Join the two nearest groups, again and again.

    alike, mass : worked on
    alive : bool [shape=(n,)], all true
    near, best : [shape=(n,)], the nearest other group of each, and how alike they are; `NEVER` what is gone
    out : int64 [shape=(n,)], first each one's own place, then one before it in its group, at last its number
    """
    count = len(mass)
    for i in range(count):
        near[i], best[i] = _nearest(alike, alive, i)
    for _ in range(count - 1):
        one = int(np.argmax(best))
        if best[one] < least or best[one] <= NEVER / 2:
            break
        a, b = min(one, near[one]), max(one, near[one])
        _join(alike, alive, mass, a, b)
        out[b] = a
        best[b] = NEVER
        near[a], best[a] = _nearest(alike, alive, a)
        for k in range(count):
            if not alive[k] or k == a:
                continue
            if near[k] in (a, b):
                near[k], best[k] = _nearest(alike, alive, k)
            elif alike[k, a] > best[k]:
                near[k], best[k] = a, alike[k, a]
    known = 0
    for i in range(count):
        if out[i] == i:
            out[i] = known
            known += 1
        else:
            out[i] = out[out[i]]
