"""The driver of a distributed selection: levels (csrc/core/select.h) whose stages run in several shards.

A round is one message to every shard and one answer. The message holds the picks of the last round and a
value, the level. Each shard brings those of its rows up to date that may be at least that far, and answers
with them: its candidates, whose distances are exact, and the place in the order of picking that none of its
other rows is before. The first of these places, over all shards, is the cut: whatever no shard has sent comes
after it. So the driver runs the plain loop over the candidates alone, as long as the best of them is not
after the cut.

Any level gives the same picks. It is chosen from samples of the shards' upper bounds, so that about as many
candidates come as are worth their cost to the plain loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from farpoint.backends._protocol import (
    CandidateProblem,
    Frame,
    IndexArray,
    Matrix,
    PickedCandidates,
    PickListener,
    RawSelection,
    ValueArray,
)
from farpoint.distributed._messages import LAST_ROW, Answer, Entries, Question

# Candidates of a level. More: fewer rounds, costlier picks, more bytes, and more pairs that are bounded.
# 20,000 of 117,659 real embeddings in 2 shards: 52, 44 and 28 rounds with 768, 1,024 and 2,048; 0.24, 0.22
# and 1.4 s of picks (from some 1,300 on, two threads meet at a barrier for each); 17.2, 17.8 and 18.6 % of
# the pairs.
_CANDIDATES = 1024
# A level is to have about this share of them, and looks at so many times more or fewer rows than the last.
_TARGET = 0.75
_RANK_GROWTH = 2.0
_RANK_SHRINK = 0.7
# A shard may send this multiple of its even share of the candidates, and at least so many; twice as many
# after each round that its limit cut short.
_CAPACITY_SHARES = 4
_LEAST_CAPACITY = 64
# Rows whose upper bounds are looked at to choose a level, in all shards.
_SAMPLE = 8192


class Shards(Protocol):
    """All rows, in shards."""

    @property
    def count(self) -> int:
        """How many shards there are."""
        ...

    def ask(self, entries: Sequence[Entries], questions: Sequence[Question]) -> list[Answer]:
        """Tell all shards of new entries, then ask each its question."""
        ...

    def free_rows(self, count: int) -> IndexArray:
        """Return the first `count` free rows, once all of them are at value 0."""
        ...

    def assign(self, entries: Sequence[Entries]) -> tuple[IndexArray, ValueArray]:
        """Tell all shards of new entries, then return each row's nearest pick and the value."""
        ...


@dataclass(frozen=True)
class LevelProblem:
    """A selection, as the driver sees it."""

    frame: Frame  # its threads are the driver's
    rows: int  # of all shards
    k: int  # picks that are wanted beyond those that are made
    entries: Sequence[Entries]  # what is kept away from, then the picks that are made; one of them at least
    largest: float  # no free row's value is above this; infinity where nothing is known
    minimum_value: float  # stop before a pick whose value is below this
    assign: bool
    listener: PickListener | None


def run_levels(
    problem: LevelProblem,
    shards: Shards,
    pick_among: Callable[[CandidateProblem], PickedCandidates],
) -> RawSelection:
    """Select. `pick_among` is the plain loop of a backend."""
    return _Driver(problem, shards, pick_among).run()


class _Place(NamedTuple):
    """A place in the order of picking: larger values come first, then lower numbers."""

    value: float
    number: int


class _Candidates(NamedTuple):
    """The candidates of all shards, in the order of their numbers; none is after `cut`."""

    numbers: IndexArray
    values: ValueArray
    rows: Matrix
    cut: _Place

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> _Candidates:
        """Take what is not after the first of the places that the shards answer for."""
        places = (_Place(answer.last_value, answer.last_row) for answer in answers)
        cut = max(places, key=lambda place: (place.value, -place.number))
        numbers = np.concatenate([answer.numbers for answer in answers])
        values = np.concatenate([answer.values for answer in answers])
        chosen = np.flatnonzero((values > cut.value) | ((values == cut.value) & (numbers <= cut.number)))
        chosen = chosen[np.argsort(numbers[chosen])]
        rows = np.concatenate([answer.rows for answer in answers])[chosen]
        return cls(numbers[chosen], values[chosen], rows, cut)


class _Rank:
    """How many rows a level looks at. The share that turn out to be candidates changes slowly."""

    def __init__(self, rows: int) -> None:
        self._most = max(rows, _CANDIDATES)
        self.rank = float(_CANDIDATES)

    def observe(self, candidates: int) -> None:
        """Follow a level that had so many candidates."""
        wanted = self.rank * _TARGET * _CANDIDATES / max(candidates, 1)
        rank = min(max(wanted, _RANK_SHRINK * self.rank), _RANK_GROWTH * self.rank)
        self.rank = min(max(rank, _CANDIDATES / 4), self._most)


class _Driver:
    """One selection."""

    def __init__(
        self,
        problem: LevelProblem,
        shards: Shards,
        pick_among: Callable[[CandidateProblem], PickedCandidates],
    ) -> None:
        self._problem = problem
        self._shards = shards
        self._pick_among = pick_among
        self._rank = _Rank(problem.rows)
        even_share = _CAPACITY_SHARES * _CANDIDATES // shards.count
        self._least_capacity = min(max(even_share, _LEAST_CAPACITY), _CANDIDATES)
        self._capacities = [self._least_capacity] * shards.count
        self._untold: list[Entries] = list(problem.entries)
        self._numbers: list[IndexArray] = [np.empty(0, dtype=np.int64)]
        self._values: list[ValueArray] = [np.empty(0)]
        self._wanted = problem.k
        self._rounds = 0
        self._seconds_shards = self._seconds_pick = 0.0

    def run(self) -> RawSelection:
        next_value = self._select()
        began = time.perf_counter()
        labels = label_values = None
        if self._problem.assign:
            labels, label_values = self._shards.assign(self._untold)
        return RawSelection(
            indices=np.concatenate(self._numbers),
            values=np.concatenate(self._values),
            next_value=next_value,
            labels=labels,
            label_values=label_values,
            statistics={
                "rounds": self._rounds,
                "seconds_by_phase": {
                    "shards": self._seconds_shards,
                    "pick": self._seconds_pick,
                    "assign": time.perf_counter() - began,
                },
            },
        )

    def _select(self) -> float:
        """Make the picks; returns the value of the one that would follow."""
        level = self._problem.largest
        while True:
            answers = self._ask(level)
            free_rows = sum(answer.free_rows for answer in answers)
            if free_rows == 0:
                return 0.0
            if not any(answer.free_rows and answer.largest for answer in answers):
                self._pick_duplicates(free_rows)
                return 0.0
            candidates = _Candidates.of(answers)
            if self._rounds > 1:  # the first level is not of our choice
                self._rank.observe(len(candidates.numbers))
            if len(candidates.numbers):
                picked = self._pick(candidates)
                if len(picked.rows) == free_rows:
                    return 0.0
                if picked.next_value == 0.0 and self._wanted and self._problem.minimum_value <= 0.0:
                    level = 0.0  # all free rows are duplicates
                    continue
                if picked.next_value is not None:
                    return picked.next_value
            level = self._next_level(answers, candidates.cut)

    def _ask(self, level: float) -> list[Answer]:
        began = time.perf_counter()
        size = max(1, _SAMPLE // self._shards.count)
        questions = [Question(level, capacity, size) for capacity in self._capacities]
        answers = self._shards.ask(self._untold, questions)
        self._untold = []
        self._rounds += 1
        for shard, answer in enumerate(answers):
            was_cut_short = answer.last_row != LAST_ROW
            changed = self._capacities[shard] * 2 if was_cut_short else self._capacities[shard] // 2
            self._capacities[shard] = min(max(changed, self._least_capacity), _CANDIDATES)
        self._seconds_shards += time.perf_counter() - began
        return answers

    def _pick(self, candidates: _Candidates) -> PickedCandidates:
        """Run the plain loop over the candidates, and note what is to be told.

        It ends before duplicates, whose shards may not know yet of what they are.
        """
        began = time.perf_counter()
        above_zero = float(np.finfo(self._problem.frame.stored).smallest_subnormal)
        picked = self._pick_among(
            CandidateProblem(
                points=candidates.rows,
                values=candidates.values,
                frame=self._problem.frame,
                k=self._wanted,
                last_value=candidates.cut.value,
                last_row=int(np.searchsorted(candidates.numbers, candidates.cut.number, side="right")) - 1,
                minimum_value=max(self._problem.minimum_value, above_zero),
            )
        )
        if len(picked.rows):
            numbers = candidates.numbers[picked.rows]
            self._untold = [Entries(candidates.rows[picked.rows], numbers, picked.values)]
            self._accept(numbers, picked.values)
        self._seconds_pick += time.perf_counter() - began
        return picked

    def _pick_duplicates(self, free_rows: int) -> None:
        """Every free row is at distance 0: they follow in the order of their numbers.

        They lower nothing, so that no shard has to be told.
        """
        count = min(self._wanted, free_rows)
        if count and self._problem.minimum_value <= 0.0:
            self._accept(self._shards.free_rows(count), np.zeros(count))

    def _accept(self, numbers: IndexArray, values: ValueArray) -> None:
        self._numbers.append(numbers)
        self._values.append(values)
        self._wanted -= len(numbers)
        if self._problem.listener is not None:
            self._problem.listener(numbers, values)

    def _next_level(self, answers: Sequence[Answer], cut: _Place) -> float:
        """Return a value that about as many rows reach as the rank says; 0 where there are not so many.

        What was at or before the cut is picked, or has fallen behind it. How far the latter have fallen is
        known to the next samples only: they are not counted, and the rank learns how many they are.
        """
        values = np.concatenate([answer.sample for answer in answers])
        stand_for = np.concatenate(
            [np.full(len(a.sample), a.free_rows / max(1, len(a.sample))) for a in answers]
        )
        # Rows of the cut's own value are left where a shard's capacity has cut through them.
        behind = values < cut.value if cut.number == LAST_ROW else values <= cut.value
        values, stand_for = values[behind], stand_for[behind]
        order = np.argsort(-values)
        place = int(np.searchsorted(np.cumsum(stand_for[order]), self._rank.rank))
        return float(values[order[place]]) if place < len(values) else 0.0
