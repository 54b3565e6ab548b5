"""A shard, and picks among candidates, over what every backend can compute: nearest rows and pairwise values.

Every row is brought up to date with every entry at once: nothing is put off, and nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from farpoint.backends._protocol import (
    CandidateProblem,
    IndexArray,
    Level,
    Matrix,
    PairProblem,
    PickedCandidates,
    ShardProblem,
    ValueArray,
)

Nearest = Callable[[PairProblem], tuple[ValueArray, IndexArray]]
Pairwise = Callable[[PairProblem], ValueArray]

_LAST_ROW = int(np.iinfo(np.int64).max)


class PlainShard:
    """The rows of one shard, with their exact values at all times."""

    def __init__(self, problem: ShardProblem, nearest: Nearest) -> None:
        self._points = problem.points
        self._frame = problem.frame
        self._nearest = nearest
        self._values = np.full(len(problem.points), np.inf)
        self._labels = np.full(len(problem.points), -1, dtype=np.int64)
        self._free = np.ones(len(problem.points), dtype=np.bool_)
        self._entries = 0
        self._picks = 0

    @property
    def free_rows(self) -> int:
        """How many rows are neither picked nor kept away from."""
        return int(np.count_nonzero(self._free))

    def see(self, rows: Matrix, own: IndexArray, values: ValueArray | None) -> None:
        """Append entries, and lower the values of all rows."""
        if len(rows) == 0:
            return
        self._free[own[own >= 0]] = False
        new, nearest = self._nearest(PairProblem(self._points, rows, self._frame))
        nearer = new < self._values
        self._values[nearer] = new[nearer]
        self._labels[nearer] = -1 if values is None else self._picks + nearest[nearer]
        self._entries += len(rows)
        if values is not None:
            self._picks += len(rows)

    def level(self, value: float, capacity: int) -> Level:
        """Return the free rows whose value is at least `value`, or the first `capacity` of them."""
        rows = np.flatnonzero(self._free & (self._values >= value))
        if len(rows) <= capacity:
            return Level(rows, self._values[rows], value, _LAST_ROW)
        # Stable, so that the lowest of equally far rows comes first.
        first = rows[np.argsort(-self._values[rows], kind="stable")[:capacity]]
        return Level(first, self._values[first], float(self._values[first[-1]]), int(first[-1]))

    def sample(self, size: int) -> tuple[ValueArray, float]:
        """Return the values of about `size` evenly chosen free rows, and the largest of all."""
        values = self._values[self._free]
        if len(values) == 0:
            return values, 0.0
        return values[:: max(1, len(values) // size)], float(values.max())

    def assign(self) -> tuple[IndexArray, ValueArray]:
        """Return each row's nearest entry as a position among the picks, and the value."""
        return self._labels.copy(), self._values.copy()

    def statistics(self) -> dict[str, Any]:
        """Every pair was computed."""
        return {"pairs_screened": len(self._points) * self._entries}


def pick_among(problem: CandidateProblem, pairwise: Pairwise) -> PickedCandidates:
    """Pick by the plain loop."""
    values = problem.values.copy()
    positions = np.arange(len(values))
    rows: list[int] = []
    picked: list[float] = []
    next_value = None
    while True:
        may_be_picked = (values > problem.last_value) | (
            (values == problem.last_value) & (positions <= problem.last_row)
        )
        if not may_be_picked.any():
            break
        # argmax returns the first of equal values: ties go to the lowest row.
        row = int(np.argmax(np.where(may_be_picked, values, -np.inf)))
        value = float(values[row])
        if len(rows) == problem.k or value < problem.minimum_value:
            next_value = value
            break
        rows.append(row)
        picked.append(value)
        new = pairwise(PairProblem(problem.points, problem.points[row : row + 1], problem.frame))[:, 0]
        values = np.minimum(values, new)
        values[row] = -np.inf
    return PickedCandidates(np.array(rows, dtype=np.int64), np.array(picked, dtype=np.float64), next_value)
