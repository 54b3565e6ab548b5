"""How far rows are from the nearest other row of their matrix, by the public functions alone.

`farpoint.nearest` finds a row itself, at distance 0, where it is in both matrices. So the matrix is taken in
pieces: rows of other pieces meet a piece through `nearest`, which skips most of the work, and rows of the
piece meet its halves in turn, until so few are left that all their distances can be had.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint._parts import PartedMatrix

# Rows of a piece: few enough that a piece of a mapped file is read from the disk once.
_PIECE_ROWS = 1 << 16
# Pairs of a piece that are few enough to have all their distances: some milliseconds' worth.
_FEW_PAIRS = 1 << 15


def nearest_others(
    X: npt.NDArray[Any] | PartedMatrix, rows: npt.NDArray[np.int64], **computation: Any
) -> farpoint.Nearest:
    """Find the nearest other row of X for each of some rows, exactly.

    Parameters
    ----------
    X : (n, d) array or PartedMatrix
    rows : (m,) int64 array
        Row numbers, rising.
    **computation
        Arguments of `farpoint.nearest` and `farpoint.pairwise_distances`: ``metric``, ``threads``.

    Returns
    -------
    Nearest
        Distances, (m,) float64, and row numbers, (m,) int64; infinity and -1 where there is no other row, or
        none at a distance that float64 holds.

    Examples
    --------
    >>> nearest_others(np.array([[0.0], [1.0], [3.0]]), np.array([0, 2]), metric="euclidean")
    Nearest(distances=array([1., 2.]), indices=array([1, 1]))
    """
    found = farpoint.Nearest(np.full(len(rows), math.inf), np.full(len(rows), -1, dtype=np.int64))
    values = rows_of(X, rows)
    parts = X.parts if isinstance(X, PartedMatrix) else [X]
    begin = 0
    for part in parts:
        for offset in range(0, len(part), _PIECE_ROWS):
            piece = part[offset : offset + _PIECE_ROWS]
            first, end = np.searchsorted(rows, (begin, begin + len(piece)))
            outside = np.r_[0:first, end : len(rows)]
            _meet(found, outside, values, piece, begin, computation)
            _meet_own(found, np.arange(first, end), rows, values, piece, begin, computation)
            begin += len(piece)
    return found


def rows_of(X: npt.NDArray[Any] | PartedMatrix, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return the rows that are named, as one array."""
    taken: npt.NDArray[Any] = X.take(rows) if isinstance(X, PartedMatrix) else X[rows]
    return taken


def _meet(
    found: farpoint.Nearest,
    here: npt.NDArray[np.int64],
    values: npt.NDArray[Any],
    piece: npt.NDArray[Any],
    begin: int,
    computation: dict[str, Any],
) -> None:
    """Let the rows at positions `here`, none of which is in the piece, meet it."""
    if not len(here):
        return
    distances, indices = farpoint.nearest(values[here], piece, **computation)
    _keep_nearer(found, here, distances, indices + begin)


def _meet_own(
    found: farpoint.Nearest,
    here: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    values: npt.NDArray[Any],
    piece: npt.NDArray[Any],
    begin: int,
    computation: dict[str, Any],
) -> None:
    """Let the rows at positions `here`, all of which are in the piece, meet its other rows."""
    if not len(here) or len(piece) < 2:
        return
    if len(here) * len(piece) <= _FEW_PAIRS or len(piece) < 4:
        distances = farpoint.pairwise_distances(values[here], piece, **computation)
        positions = np.arange(len(here))
        distances[positions, rows[here] - begin] = math.inf
        indices = distances.argmin(axis=1)
        _keep_nearer(found, here, distances[positions, indices], indices + begin)
        return
    half = len(piece) // 2
    in_first = rows[here] < begin + half
    for own, other, start, own_rows, other_start in (
        (piece[:half], piece[half:], begin, here[in_first], begin + half),
        (piece[half:], piece[:half], begin + half, here[~in_first], begin),
    ):
        _meet(found, own_rows, values, other, other_start, computation)
        _meet_own(found, own_rows, rows, values, own, start, computation)


def _keep_nearer(
    found: farpoint.Nearest,
    here: npt.NDArray[np.int64],
    distances: npt.NDArray[np.float64],
    indices: npt.NDArray[np.int64],
) -> None:
    """Take what is nearer, and of what is as near the lowest row."""
    before, row = found.distances[here], found.indices[here]
    nearer = (distances < before) | ((distances == before) & (indices < row))
    found.distances[here[nearer]] = distances[nearer]
    found.indices[here[nearer]] = indices[nearer]
