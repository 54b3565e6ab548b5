"""Picks that are made: what a selection begins with or goes on from, and who hears of new ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farpoint._metrics import FloatArray, Metric, Unit
from farpoint.backends._protocol import IndexArray, RawSelection, ValueArray


@dataclass(frozen=True)
class Picks:
    """Rows in the order of selection, and what is known of them.

    Attributes
    ----------
    indices, radii : (t,) arrays
        As in `Selection`.
    covering_radius : float
        As in `Selection`; infinity, or no number, where it is not known.
    farthest_first : bool
        As in `Selection`.
    labels, distances : (n,) arrays, optional
        As in `Selection`.
    """

    indices: IndexArray
    radii: FloatArray
    covering_radius: float
    labels: IndexArray | None = None
    distances: FloatArray | None = None
    farthest_first: bool = True

    @classmethod
    def start(cls, row: int | None, *, farthest_first: bool = True) -> Picks:
        """Return the first pick, or none where it follows from what is kept away from."""
        rows = [] if row is None else [row]
        return cls(
            np.array(rows, dtype=np.int64),
            np.full(len(rows), np.inf),
            math.inf,
            farthest_first=farthest_first,
        )

    def __len__(self) -> int:
        return len(self.indices)

    def prefix(self, t: int) -> Picks:
        """Return the first `t`."""
        if t >= len(self):
            return self
        radius = float(self.radii[t]) if self.farthest_first else math.nan
        return Picks(self.indices[:t], self.radii[:t], radius, farthest_first=self.farthest_first)

    def down_to(self, distance: float, *, first_is_given: bool) -> Picks:
        """Return those before the first that is closer than `distance`; a start is never too close."""
        given = int(first_is_given)
        far = self.radii[given:] >= distance
        if math.isinf(distance):
            # A radius of infinity is one that float64 does not hold, which is less than infinity.
            far[:] = False
        return self.prefix(given + int(np.count_nonzero(far)))

    def apart(self) -> Picks:
        """Return those before the first duplicate, for these come last: what engines go on from."""
        return self.prefix(int(np.count_nonzero(np.logical_and.accumulate(self.radii > 0))))


class HearsPicks(Protocol):
    """Who wants to know of picks while a selection runs."""

    def hear(self, rows: IndexArray, radii: FloatArray) -> None:
        """Take new picks, one or more; may raise to end the selection."""
        ...


class PickListeners:
    """What an engine calls with its picks; tells them, with their radii, to all who want to know."""

    def __init__(self, listeners: Sequence[HearsPicks], metric: Metric, unit: Unit) -> None:
        self._listeners = listeners
        self._metric = metric
        self._unit = unit
        self._heard = 0  # in this attempt
        self._told = 0

    @property
    def are_there(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._listeners)

    def begin(self) -> None:
        """Begin an attempt. One after another makes the same picks, which nobody is told twice."""
        self._heard = 0

    def __call__(self, rows: IndexArray, values: ValueArray) -> None:
        """Take new picks, and their stored values."""
        new = slice(max(0, self._told - self._heard), None)
        self._heard += len(rows)
        if len(rows[new]):
            self._told = self._heard
            radii = self._metric.distances(values[new], self._unit)
            for listener in self._listeners:
                listener.hear(rows[new], radii)

    def complete(self, found: RawSelection) -> None:
        """Take the picks of the finished selection that were not heard of yet."""
        self(found.indices[self._heard :], found.values[self._heard :])
