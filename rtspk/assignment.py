"""Pair rows with columns at the least total cost (the Hungarian problem, by shortest augmenting paths)."""

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import ConfigError

__all__ = ["assign"]


def assign(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pair each row with a column of its own, or each column with a row where columns are fewer.

    cost : float64 [shape=(rows, columns)], finite

    Returns pairs (row, column) in the order of rows, as many as the smaller side has. Among equally good
    pairings any one is returned, always the same for the same costs. Time grows as the cube of the smaller
    side at most; the method is that of Jonker and Volgenant (Computing 38, 1987).

    >>> assign(np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]]))
    [(0, 1), (1, 0)]
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2:
        raise ConfigError(f"wanted costs of shape (rows, columns), got shape {cost.shape}")
    if not np.isfinite(cost).all():
        raise ConfigError("wanted finite costs, got NaN or infinity")
    rows, columns = cost.shape
    if rows > columns:
        return sorted((row, column) for column, row in assign(cost.T))
    cheapest = cost.argmin(1).tolist() if rows else []
    if len(set(cheapest)) == rows:  # as most often: each row can have the column that it wants
        return list(enumerate(cheapest))
    row_price = np.zeros(rows)
    column_price = np.zeros(columns)
    row_of = np.full(columns, -1, dtype=np.int64)  # row paired with each column so far
    for row in range(rows):
        _augment(cost, row, row_price, column_price, row_of)
    return sorted((int(row_of[column]), int(column)) for column in np.flatnonzero(row_of >= 0))


def _augment(
    cost: NDArray[np.float64],
    start: int,
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
    row_of: NDArray[np.int64],
) -> None:
    """Pair one more row, moving others along the cheapest path; prices and row_of change in place."""
    columns = cost.shape[1]
    distance = np.full(columns, np.inf)
    came_from = np.full(columns, -1, dtype=np.int64)  # the column visited before
    visited = np.zeros(columns, dtype=np.bool_)
    row, last, length = start, -1, 0.0
    while True:
        reduced = length + cost[row] - row_price[row] - column_price
        closer = ~visited & (reduced < distance)
        distance[closer] = reduced[closer]
        came_from[closer] = last
        last = int(np.argmin(np.where(visited, np.inf, distance)))
        length = float(distance[last])
        visited[last] = True
        if row_of[last] < 0:
            break
        row = int(row_of[last])
    slack = np.where(visited, length - distance, 0.0)
    column_price -= slack
    row_price[start] += length
    paired = visited & (row_of >= 0)
    row_price[row_of[paired]] += slack[paired]
    while last >= 0:
        before = int(came_from[last])
        row_of[last] = start if before < 0 else row_of[before]
        last = before
