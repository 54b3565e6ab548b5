"""Raising the smallest distance within a set: one of the closest two leaves, the farthest row comes.

Drop-add with a short memory (Porumbel, Hao and Glover, "A simple and effective algorithm for the MaxMin
diversity problem", Annals of Operations Research 186, 2011). Where no exchange is better the search goes on
all the same: what left may not come back, and what came may not leave, for a few moves. What is compared with
it, and what lost, is in docs/decisions/0009-refine.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farpoint._spread import Spread
from farpoint.backends._protocol import IndexArray

# A row that left is barred for so many moves, or up to twice as many; one that came stays for less than that.
_TENURE = 10


class Budget(Protocol):
    """When to stop."""

    def spend(self) -> bool:
        """Count a move that is about to be made; False where none may be."""
        ...


@dataclass(frozen=True)
class Found:
    """The best set that was seen, and its smallest value."""

    members: IndexArray
    smallest: float


def exchange(
    spread: Spread, best: Found, stays: IndexArray, goal: float, budget: Budget, rng: np.random.Generator
) -> Found:
    """Exchange members one by one, and return the best settled set seen: `best` or a better one.

    Parameters
    ----------
    spread : Spread
        Changed on the way.
    best : Found
        What is known: the members of `spread`, or others.
    stays : (s,) array
        Rows that are not to leave.
    goal : float
        A smallest value beyond which none need be looked for.
    budget : Budget
    rng : numpy.random.Generator

    Returns
    -------
    Found
        Settled, if `best` is: no row is farther from its members than they are from each other.
    """
    if spread.smallest > best.smallest and spread.is_settled:
        best = Found(spread.members.copy(), spread.smallest)
    held = np.isin(spread.members, stays)
    leaves_at = np.zeros(len(spread.members), dtype=np.int64)  # the move from which a member may leave
    barred: dict[int, int] = {}  # rows, and the move from which they may come back
    move = 0
    while best.smallest < goal and not held.all():
        closest = spread.near[~held].min()
        if closest > spread.smallest or not budget.spend():
            # Of the closest two neither may ever leave; or it is time to stop.
            break
        # Better than all before, but not settled: a move that helps without regard to what was barred.
        climbing = spread.smallest > best.smallest
        barred = {} if climbing else {row: until for row, until in barred.items() if until > move}
        free = ~held if climbing else ~held & (leaves_at <= move)
        if not free.any():
            free = ~held
        slots = np.flatnonzero(free & (spread.near == spread.near[free].min()))
        if len(slots) > 2:
            slots = rng.choice(slots, 2, replace=False)
        vacancies = [spread.without(int(slot)) for slot in slots]
        rows = [spread.farthest(vacancy, barred) for vacancy in vacancies]
        (row, _), vacancy = max(zip(rows, vacancies, strict=True), key=lambda choice: choice[0][1])
        if row < 0:
            # All that are free left lately: the first that did may come back.
            if not barred:
                break
            barred.pop(min(barred, key=lambda other: barred[other]))
            continue
        leaving = int(spread.members[vacancy.slot])
        spread.fill(vacancy, row)
        barred[leaving] = move + int(rng.integers(_TENURE, 2 * _TENURE))
        leaves_at[vacancy.slot] = move + int(rng.integers(1, _TENURE))
        move += 1
        if spread.smallest > best.smallest and spread.is_settled:
            best = Found(spread.members.copy(), spread.smallest)
    return best
