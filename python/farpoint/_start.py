"""Where a selection starts, when not at a row that the user named. The same for every backend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from farpoint._device_inputs import AnyMatrix, host_rows
from farpoint.backends._protocol import Frame, ValueArray
from farpoint.backends.reference import values_to_row

Rows = npt.NDArray[np.bool_]

_BLOCK_ROWS = 4096


def center_row(points: AnyMatrix, frame: Frame, among: Rows | None = None) -> int:
    """Return the row nearest the mean (the mean direction for cosine) of all rows; ties to the lowest.

    The mean is summed in float64 row after row, so that it does not depend on anything but the data. Rows on
    a device are brought over in blocks. `among` says which rows can be returned.
    """
    total = add_rows(np.zeros(points.shape[1]), points, frame.kind)
    return nearest_row(points, mean_of(total, len(points), frame.kind), frame, among)[1]


def add_rows(total: ValueArray, points: AnyMatrix, kind: str) -> ValueArray:
    """Return `total` with all rows added to it, one after the other; their directions for cosine."""
    for start in range(0, len(points), _BLOCK_ROWS):
        block = host_rows(points, start, start + _BLOCK_ROWS).astype(np.float64)
        if kind == "cosine":
            block /= np.sqrt((block * block).sum(axis=1))[:, None]
        # accumulate, unlike sum, has one order of additions whatever the memory layout.
        total = np.add.accumulate(np.vstack((total[None, :], block)), axis=0)[-1]
    return total


def mean_of(total: ValueArray, rows: int, kind: str) -> ValueArray:
    """Return the mean of so many rows that add up to `total`."""
    mean: ValueArray = total / rows
    if kind == "cosine" and not mean.any():
        raise ValueError('start="center" has no meaning: the directions of the rows cancel to zero')
    return mean


def nearest_row(
    points: AnyMatrix, mean: ValueArray, frame: Frame, among: Rows | None = None
) -> tuple[float, int]:
    """Return the smallest stored value to the mean (of the rows `among`), and its row; ties to the lowest."""
    best_value, best = np.inf, 0
    for start in range(0, len(points), _BLOCK_ROWS):
        values = values_to_row(host_rows(points, start, start + _BLOCK_ROWS), mean, frame)
        if among is not None:
            values[~among[start : start + len(values)]] = np.inf
        row = int(np.argmin(values))
        if values[row] < best_value:
            best_value, best = float(values[row]), start + row
    return best_value, best


def random_row(n: int, seed: int | np.random.Generator | None, among: Rows | None = None) -> int:
    """Return one of n rows, or of those `among`, drawn by numpy's default generator."""
    random = np.random.default_rng(seed)
    if among is None:
        return int(random.integers(n))
    rows = np.flatnonzero(among)
    return int(rows[random.integers(len(rows))])
