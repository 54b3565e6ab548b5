"""A set of rows whose members are exchanged one by one, and what every row is nearest to all the while.

One exchange costs the rows that were nearest to what leaves against the set, and all rows against what comes:
about 2 n d multiply-adds. All values are stored values (docs/contract.md), so what is found of the set is
exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from farpoint._device_inputs import AnyMatrix
from farpoint._selecting import SelectionTask
from farpoint.backends._protocol import IndexArray, ValueArray

# Elements of rows that are copied at a time.
_BLOCK_ELEMENTS = 1 << 22
# Rows that are compared pair by pair; more are halved first.
_PAIRWISE_ROWS = 256
# Bytes of a row of the points that a Spread takes: four values or row numbers, and two while it works.
ROW_BYTES = 6 * 8


@dataclass(frozen=True)
class Vacancy:
    """What would be, were a member not there: the rows that are nearest to it would have others."""

    slot: int
    rows: IndexArray
    values: ValueArray
    slots: IndexArray


class Spread:
    """Members of a set, each in a slot.

    Attributes
    ----------
    task : SelectionTask
    members : (k,) array
        The row in each slot.
    values : (n,) array
        Of each row to the nearest member, or to what is kept away from.
    near : (k,) array
        Of each member to the nearest other one, or to what is kept away from.
    away : (n,) array, optional
        Of each row to what is kept away from.
    """

    def __init__(self, task: SelectionTask, members: IndexArray, away: ValueArray | None) -> None:
        self.task = task
        self.away = away
        self.members = members.copy()
        self.values, self._slots = self._nearest_member(None, np.arange(len(members)))
        self.near, self._near_slots = self._nearest_others(np.arange(len(members)))

    @property
    def smallest(self) -> float:
        """The smallest value within the set: of its h_min."""
        return float(self.near.min())

    @property
    def is_settled(self) -> bool:
        """Whether no row is farther from the set than its closest members are from each other."""
        free = self.values.copy()
        free[self.task.selected] = 0
        return bool(free.max() <= self.near.min())

    def without(self, slot: int) -> Vacancy:
        """Look at what would be without the member in a slot."""
        rows = np.flatnonzero(self._slots == slot)
        values, slots = self._nearest_member(rows, np.delete(np.arange(len(self.members)), slot))
        return Vacancy(slot, rows, values, slots)

    def farthest(self, vacancy: Vacancy, barred: Iterable[int]) -> tuple[int, float]:
        """Return the row that is farthest from the other members, and its value; -1 where all are barred."""
        values = self.values.copy()
        values[vacancy.rows] = vacancy.values
        values[self.members] = -1
        values[self.task.selected] = -1
        values[list(barred)] = -1
        row = int(np.argmax(values))
        value = float(values[row])
        return (row, value) if value >= 0 else (-1, -1.0)

    def fill(self, vacancy: Vacancy, row: int) -> None:
        """Put a row into the slot of what leaves."""
        slot = vacancy.slot
        task = self.task
        new = task.pairwise(task.points, task.rows(np.array([row])))[:, 0]
        self.values[vacancy.rows], self._slots[vacancy.rows] = vacancy.values, vacancy.slots
        nearer = new < self.values
        self.values[nearer], self._slots[nearer] = new[nearer], slot

        self.members[slot] = row
        stale = np.flatnonzero(self._near_slots == slot)
        stale = np.union1d(stale, [slot])
        self.near[stale], self._near_slots[stale] = self._nearest_among_all(stale)
        nearer = new[self.members] < self.near
        nearer[slot] = False
        self.near[nearer], self._near_slots[nearer] = new[self.members[nearer]], slot

    def _nearest_member(self, rows: IndexArray | None, slots: IndexArray) -> tuple[ValueArray, IndexArray]:
        """Nearest of the members in `slots`, or what is kept away from (-1), of some rows or all."""
        count = self.task.shape[0] if rows is None else len(rows)
        values, found = np.full(count, math.inf), np.full(count, -1, dtype=np.int64)
        if len(slots):
            members = self.task.rows(self.members[slots])
            if rows is None:
                values, positions = self.task.nearest(self.task.points, members)
                found = slots[positions]
            else:
                block = max(1, _BLOCK_ELEMENTS // self.task.shape[1])
                for begin in range(0, count, block):
                    here = slice(begin, begin + block)
                    values[here], positions = self.task.nearest(self.task.rows(rows[here]), members)
                    found[here] = slots[positions]
        return self._or_away(values, found, rows)

    def _or_away(
        self, values: ValueArray, slots: IndexArray, rows: IndexArray | None
    ) -> tuple[ValueArray, IndexArray]:
        if self.away is not None:
            away = self.away if rows is None else self.away[rows]
            slots = np.where(away <= values, -1, slots)
            values = np.minimum(away, values)
        return values, slots

    def _nearest_among_all(self, slots: IndexArray) -> tuple[ValueArray, IndexArray]:
        """Nearest other member of each member in `slots`, or what is kept away from."""
        members = self.task.rows(self.members)
        values, found = np.empty(len(slots)), np.empty(len(slots), dtype=np.int64)
        block = max(1, _BLOCK_ELEMENTS // len(self.members))
        for begin in range(0, len(slots), block):
            here = slots[begin : begin + block]
            pairs = self.task.pairwise(self.task.rows(self.members[here]), members)
            values[begin : begin + block], found[begin : begin + block] = _smallest_but(pairs, here)
        return self._or_away(values, found, self.members[slots])

    def _nearest_others(self, slots: IndexArray) -> tuple[ValueArray, IndexArray]:
        """Nearest other member of each: across two halves by `nearest`, which screens, then within each."""
        values, found = self._nearest_within(slots)
        return self._or_away(values, found, self.members[slots])

    def _nearest_within(self, slots: IndexArray) -> tuple[ValueArray, IndexArray]:
        task = self.task
        if len(slots) <= _PAIRWISE_ROWS:
            rows = task.rows(self.members[slots])
            values, positions = _smallest_but(task.pairwise(rows, rows), np.arange(len(slots)))
            return values, slots[positions]
        halves = np.array_split(slots, 2)
        results = []
        for here, there in (halves, halves[::-1]):
            values, found = self._nearest_within(here)
            across, positions = task.nearest(self._rows_of(here), self._rows_of(there))
            nearer = across < values
            results.append((np.where(nearer, across, values), np.where(nearer, there[positions], found)))
        (first, first_slots), (second, second_slots) = results
        return np.concatenate((first, second)), np.concatenate((first_slots, second_slots))

    def _rows_of(self, slots: IndexArray) -> AnyMatrix:
        return self.task.rows(self.members[slots])


def _smallest_but(values: ValueArray, own: IndexArray) -> tuple[ValueArray, IndexArray]:
    """Return the smallest of each row of values, and its column, but for the row's own column."""
    rows = np.arange(len(values))
    values[rows, own] = math.inf
    smallest = values.argmin(axis=1)
    return values[rows, smallest], smallest


def values_to_kept_away(task: SelectionTask) -> ValueArray | None:
    """Return the value of each row to the nearest of what is kept away from, if anything is."""
    kept = [] if not len(task.selected) else [task.rows(task.selected)]
    kept += [] if task.anchors is None else [task.anchors]
    found = [task.nearest(task.points, rows)[0] for rows in kept]
    return None if not found else np.minimum.reduce(found)
