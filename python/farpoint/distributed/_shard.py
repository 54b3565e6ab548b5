"""A shard of a distributed selection: a backend's, with rows that are known by their global numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from farpoint._parts import PartedMatrix
from farpoint.backends._protocol import HostMatrix, IndexArray, Matrix, Shard, ValueArray
from farpoint.distributed._messages import LAST_ROW, Answer, Entries, Question


class NumberedShard:
    """Rows `first`, `first` + 1, ... of the whole matrix."""

    def __init__(self, points: HostMatrix, first: int, shard: Shard) -> None:
        self._points = points
        self._first = first
        self._shard = shard
        self.seen = 0  # entries

    def see(self, entries: Entries) -> None:
        """Append entries to the list."""
        own = entries.numbers - self._first
        own[(own < 0) | (own >= len(self._points))] = -1
        self._shard.see(entries.rows, own, entries.values)
        self.seen += len(entries)

    def answer(self, question: Question) -> Answer:
        """Bring the rows up to date that may be candidates, and return those that are."""
        level = self._shard.level(question.level, question.capacity)
        sample, largest = self._shard.sample(question.sample)
        last = level.last_row
        return Answer(
            numbers=level.rows + self._first,
            values=level.values,
            rows=take(self._points, level.rows),
            last_value=level.last_value,
            last_row=last if last == LAST_ROW else last + self._first,
            sample=sample,
            largest=largest,
            free_rows=self._shard.free_rows,
        )

    def free_rows(self, count: int) -> IndexArray:
        """Return the numbers of the first `count` free rows, all of which are at value 0."""
        return np.sort(self._shard.level(0.0, count).rows) + self._first

    def assign(self) -> tuple[IndexArray, ValueArray]:
        """Return each row's nearest pick and the value."""
        return self._shard.assign()

    def statistics(self) -> dict[str, Any]:
        """As a backend's selection has them."""
        return self._shard.statistics()


def take(points: HostMatrix, rows: IndexArray) -> Matrix:
    """Return rows as an array of their own."""
    return points.take(rows) if isinstance(points, PartedMatrix) else np.asarray(points[rows])
