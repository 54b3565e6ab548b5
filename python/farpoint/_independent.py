"""Rows that are all apart by more than some value: independent sets in the graph of the nearer pairs.

The rows that are nearer to each other than a threshold are neighbours. Taking the row with the fewest
neighbours, and dropping these, until none is left makes a large set without neighbours; where it has k rows
the smallest value within them is at least the threshold, and a larger threshold is tried. All rows would take
a graph of n^2 pairs, so a pool of them is looked at: those of a known set, and those farthest from it. The
numbers are in docs/decisions/0009-refine.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from farpoint._exchange import Found
from farpoint._selecting import SelectionTask
from farpoint._spread import Spread
from farpoint.backends._protocol import IndexArray, ValueArray

# Values of pairs that are computed at a time.
_BLOCK_PAIRS = 1 << 20
# A threshold that works is raised by twice the last step, from the first; until the step between one that
# works and one that does not is no more than the last of these.
_FIRST_STEP = 0.02
_LAST_STEP = 0.001
# The share of the time that this is meant to take, the share after which it is stopped, and what a pair of
# the pool takes: a part that does not depend on the columns, and one for each. Measured on 2 cores, graph and
# search. The size of the pool follows from them, not from the clock: so it is the same everywhere.
_MEANT_SHARE, _LAST_SHARE = 0.3, 0.5
_PAIR_SECONDS, _ELEMENT_SECONDS = 1e-7, 2.5e-10
# A larger pool would take more than 200 MB; one that is not much larger than the set leaves no choice.
_LARGEST_POOL = 6144
_LEAST_CHOICE = 1.25


class Graph:
    """The values of all pairs of a pool of rows.

    Parameters
    ----------
    task : SelectionTask
    pool : (m,) array
        Rows.
    away : (m,) array, optional
        Their values to what is kept away from.
    is_over : callable
        Whether it is time to stop; then the pairs that are left count as near.
    """

    def __init__(
        self, task: SelectionTask, pool: IndexArray, away: ValueArray | None, is_over: Callable[[], bool]
    ) -> None:
        self.pool = pool
        self._away = np.full(len(pool), math.inf) if away is None else away
        self._values = np.zeros((len(pool), len(pool)), dtype=task.frame.stored)
        rows = task.rows(pool)
        block = max(1, _BLOCK_PAIRS // len(pool))
        for begin in range(0, len(pool), block):
            if is_over():
                break
            here, on = slice(begin, begin + block), slice(begin, None)
            values = task.pairwise(rows[here], rows[on])
            self._values[here, on] = values
            self._values[on, here] = values.T

    def smallest(self, positions: IndexArray) -> float:
        """Return the smallest value within a set, and to what is kept away from."""
        among = self._values[np.ix_(positions, positions)]
        np.fill_diagonal(among, math.inf)
        return float(min(among.min(), self._away[positions].min()))

    def independent(self, threshold: float, count: int, first: IndexArray) -> IndexArray | None:
        """Return positions in the pool of so many rows with no value below the threshold; None: not found.

        Parameters
        ----------
        threshold : float
        count : int
        first : (s,) array
            Positions that are to be among them.
        """
        near = self._values < threshold
        near[np.arange(len(near)), np.arange(len(near))] = True
        left = self._away >= threshold
        # How many of the rows that are left each is near to, itself included.
        degrees = np.count_nonzero(near[:, left], axis=1)
        taken: list[int] = []
        required = first.tolist()[::-1]
        while len(taken) < count:
            position = required.pop() if required else int(np.argmin(np.where(left, degrees, len(left) + 1)))
            if not left[position]:
                return None
            taken.append(position)
            gone = np.flatnonzero(near[position] & left)
            left[gone] = False
            degrees -= np.count_nonzero(near[gone], axis=0)
        return np.array(taken, dtype=np.int64)


def farther_apart(spread: Spread, stays: IndexArray, seconds: float, began: float) -> Found | None:
    """Find as many rows as a set has whose smallest value is larger.

    Parameters
    ----------
    spread : Spread
    stays : (s,) array
        Members that are to be among them.
    seconds : float
        How long the whole refinement may take: a share of it is this one's.
    began : float
        When it did, by time.perf_counter.

    Returns
    -------
    Found or None
        Not settled: there may be rows that are farther from all of them.
    """
    count = len(spread.members)
    size = _pool_size(spread, seconds)
    if size < min(_LEAST_CHOICE * count, len(spread.values)):
        return None
    outside = np.argsort(-spread.values, kind="stable")[: size - count]
    pool = np.unique(np.concatenate((spread.members, outside)))

    def is_over() -> bool:
        return time.perf_counter() > began + _LAST_SHARE * seconds

    graph = Graph(spread.task, pool, None if spread.away is None else spread.away[pool], is_over)
    first = np.searchsorted(pool, stays)
    best = None
    works, fails = spread.smallest, math.inf
    step = _FIRST_STEP
    while fails > works * (1 + _LAST_STEP) and not is_over():
        threshold = min(works * (1 + step), (works + fails) / 2)
        positions = graph.independent(threshold, count, first)
        if positions is None:
            fails = threshold
        else:
            works = graph.smallest(positions)
            best = Found(pool[positions], works)
            step *= 2
    return best


def _pool_size(spread: Spread, seconds: float) -> int:
    n, columns = spread.task.shape
    pairs = _MEANT_SHARE * seconds / (_PAIR_SECONDS + columns * _ELEMENT_SECONDS)
    frame = spread.task.frame
    if frame.memory_limit is not None:
        # A value and a bit of truth for each pair, and what is made on the way.
        pairs = min(pairs, frame.memory_limit / (2 * (np.dtype(frame.stored).itemsize + 1)))
    return min(math.isqrt(int(pairs)), _LARGEST_POOL, n)
