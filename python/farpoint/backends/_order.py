"""In which order rows are picked where distance alone does not decide: weights, and groups with quotas.

The definition, in numpy; csrc/core/pick_order.h is its twin, with the proof that keys never rise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from farpoint.backends._protocol import IndexArray, OrderRequest, SelectProblem, ValueArray


@dataclass
class _Books:
    """How many picks there are of each group, and how many are to come."""

    groups: IndexArray
    at_least: IndexArray
    at_most: IndexArray
    left: int

    def __post_init__(self) -> None:
        self.counts = np.zeros_like(self.at_least)

    def count(self, row: int) -> None:
        self.counts[self.groups[row]] += 1
        self.left -= 1

    def open_groups(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which groups may be picked from: a pick of theirs leaves enough picks for all minima."""
        below = self.counts < self.at_least
        unmet = int(np.maximum(self.at_least - self.counts, 0).sum())
        return (self.counts < self.at_most) & (below | (self.left > unmet))


class PickOrder:
    """The order of a selection while its picks are made.

    Parameters
    ----------
    request : OrderRequest, optional
        None: by value.
    k : int
        How many picks there are to be.
    minimum_value : float
        No row is picked whose value is below this.
    """

    def __init__(self, request: OrderRequest | None, k: int, minimum_value: float) -> None:
        self._request = request
        self._minimum = minimum_value
        self._books: _Books | None = None
        if request is not None and request.groups is not None:
            self._books = _Books(request.groups, request.at_least, request.at_most, k)

    @classmethod
    def of(cls, problem: SelectProblem) -> PickOrder:
        """Return the order of a problem, none of whose picks are counted."""
        return cls(problem.order, problem.k, problem.minimum_value)

    def count(self, row: int) -> None:
        """Count a pick."""
        if self._books is not None:
            self._books.count(row)

    def keys(self, values: ValueArray, rows: IndexArray | slice = slice(None)) -> ValueArray:
        """Return what rows are ordered by, the largest first; -inf where a row may not be picked.

        Parameters
        ----------
        values : array
            Their stored values.
        rows : array of int or slice
            Which rows; all of them by default.
        """
        keys = values
        if self._request is not None and self._request.weights is not None:
            weights = self._request.weights[rows]
            distances = np.sqrt(values) if self._request.of_roots else values
            # 0 times infinity, the value before anything was met, would be no number.
            keys = np.multiply(weights, distances, out=np.zeros(len(values)), where=weights > 0)
        may_be_picked = values >= self._minimum
        if self._books is not None:
            may_be_picked &= self._books.open_groups()[self._books.groups[rows]]
        return np.where(may_be_picked, keys, -np.inf)

    def open_rows(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which of all n rows are in a group that may be picked from."""
        if self._books is None:
            return np.ones(n, dtype=np.bool_)
        return self._books.open_groups()[self._books.groups]
