"""The actors of a distributed selection, on Ray: placed, restarted and ended by it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayActorError, RayTaskError

from farpoint.backends._protocol import IndexArray, Matrix, ValueArray
from farpoint.distributed._messages import Answer, Entries, Question
from farpoint.distributed._pieces import Holding, Piece, Shape
from farpoint.distributed._worker import Forgotten, Setup, Worker

# How often a call is tried again whose actor died, before that is an error: something that ends every process
# that tries it, such as too little memory, must end the selection.
_RETRIES = 100
# Rows of a block of entries.
_BLOCK_ROWS = 4096
_SECONDS_BEFORE_WARNING = 10.0

_log = logging.getLogger("farpoint.distributed")


def places(threads: int) -> int:
    """Return how many actors with so many threads the cluster has processors for."""
    return sum(int(cpus // threads) for cpus in _processors())


def nodes() -> int:
    """Return how many machines of the cluster have processors."""
    return len(_processors())


def _processors() -> list[float]:
    cpus = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return [count for count in cpus if count >= 1]


@dataclass(frozen=True)
class _Block:
    """Entries in the object store."""

    reference: Any
    entries: int
    nbytes: int


class Crew:
    """Actors, one a shard; a context that ends with them."""

    def __init__(self, actors: int, threads: int) -> None:
        made = ray.remote(Worker).options(
            num_cpus=threads,
            max_restarts=-1,
            max_task_retries=_RETRIES,
            scheduling_strategy="SPREAD",
        )
        self._actors = [made.remote() for _ in range(actors)]
        self._names = [f"actor {i}" for i in range(actors)]
        self._setups: list[Any] = []
        self._blocks: list[_Block] = []
        self._untold: list[_Block] = []
        self.bytes_sent = 0
        self.bytes_received = 0
        self.restarts = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self._actors)
        # An actor that was just being started again may have missed that: Ray ends those that nobody holds.
        self._actors.clear()

    @property
    def count(self) -> int:
        """How many shards there are."""
        return len(self._actors)

    # Before the matrix is checked.

    def measure(self, pieces: Sequence[Piece]) -> list[Shape]:
        """Have the actors open the pieces, each about as many."""
        shares = [list(share) for share in np.array_split(np.arange(len(pieces)), self.count)]
        calls = [
            actor.measure.remote([pieces[i] for i in share])
            for actor, share in zip(self._actors, shares, strict=True)
        ]
        if len(ray.wait(calls, num_returns=len(calls), timeout=_SECONDS_BEFORE_WARNING)[0]) < len(calls):
            _log.warning(
                "still waiting for %d actors to start and open their shards; ray status says what is free",
                self.count,
            )
        return [shape for shapes in self._all(calls) for shape in shapes]

    def hold(self, holdings: Sequence[Holding]) -> None:
        """Say who holds which rows; actors that are given none are ended."""
        self._end(self._actors[len(holdings) :])
        self._actors = self._actors[: len(holdings)]
        self._names = [holding.name for holding in holdings]
        self._holdings = list(holdings)

    def scan(self, backend: str, metric: str, threads: int) -> list[Any]:
        """Have all elements looked at."""
        return self._all(
            actor.scan.remote(holding, backend, metric, threads)
            for actor, holding in zip(self._actors, self._holdings, strict=True)
        )

    def rows(self, numbers: IndexArray) -> Matrix:
        """Fetch rows by their numbers."""
        firsts = np.array([holding.first for holding in self._holdings])
        owners = np.searchsorted(firsts, numbers, side="right") - 1
        asked = np.unique(owners).tolist()
        calls = [
            self._actors[owner].rows.remote(self._holdings[owner], numbers[owners == owner])
            for owner in asked
        ]
        found = [self._one(owner, call) for owner, call in zip(asked, calls, strict=True)]
        rows = np.empty((len(numbers), found[0].shape[1]), dtype=found[0].dtype)
        for owner, here in zip(asked, found, strict=True):
            rows[owners == owner] = here
            self.bytes_received += here.nbytes
        return rows

    # Once it is checked.

    def set_up(self, setups: Sequence[Setup]) -> None:
        """Say what actors are to make of their rows."""
        self._setups = [ray.put(setup) for setup in setups]

    def sum_of_rows(self, columns: int) -> ValueArray:
        """Add all rows up, one after the other: what each actor is given is the sum of those before."""
        total: Any = np.zeros(columns)
        for actor, setup in zip(self._actors, self._setups, strict=True):
            total = actor.add_rows.remote(setup, total)
        found: ValueArray = self._one(self.count - 1, total)
        return found

    def nearest_row(self, mean: ValueArray) -> int:
        """Return the number of the row nearest the mean; ties to the lowest."""
        shared = ray.put(mean)
        found = self._all(
            actor.nearest_row.remote(setup, shared)
            for actor, setup in zip(self._actors, self._setups, strict=True)
        )
        return int(min(found)[1])

    # As run_levels asks for it.

    def ask(self, entries: Sequence[Entries], questions: Sequence[Question]) -> list[Answer]:
        """Tell all shards of new entries, then ask each its question."""
        self._put(entries)
        answers: list[Answer] = self._told("answer", [(question,) for question in questions])
        self.bytes_received += sum(answer.nbytes for answer in answers)
        return answers

    def free_rows(self, count: int) -> IndexArray:
        """Return the first `count` free rows, once all are at value 0."""
        found = self._told("free_rows", [(count,)] * self.count)
        self.bytes_received += sum(rows.nbytes for rows in found)
        return np.concatenate(found)[:count]

    def assign(self, entries: Sequence[Entries]) -> tuple[IndexArray, ValueArray]:
        """Tell all shards of new entries, then return each row's nearest pick and the value."""
        self._put(entries)
        found = self._told("assign", [()] * self.count)
        self.bytes_received += sum(labels.nbytes + values.nbytes for labels, values in found)
        return np.concatenate([labels for labels, _ in found]), np.concatenate([v for _, v in found])

    def statistics(self) -> list[dict[str, Any]]:
        """Return what the shards' engines counted; of an actor that was restarted, since then."""
        return self._told("statistics", [()] * self.count)

    def _put(self, entries: Sequence[Entries]) -> None:
        for many in entries:
            for begin in range(0, len(many), _BLOCK_ROWS):
                block = many.between(begin, begin + _BLOCK_ROWS)
                self._untold.append(_Block(ray.put(block), len(block), block.nbytes))

    def _told(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of all shards once they have seen every entry."""
        before = sum(block.entries for block in self._blocks)
        calls = [self._tell(i, before, method, arguments[i], self._untold) for i in range(self.count)]
        self._blocks += self._untold
        self._untold = []
        found = []
        for i, call in enumerate(calls):
            result = self._one(i, call)
            while isinstance(result, Forgotten):
                self.restarts += 1
                _log.info("the actor of %s was restarted: it is told all picks again", self._names[i])
                result = self._one(i, self._tell(i, 0, method, arguments[i], self._blocks))
            found.append(result)
        return found

    def _tell(
        self, i: int, before: int, method: str, arguments: tuple[Any, ...], blocks: Sequence[_Block]
    ) -> Any:
        self.bytes_sent += sum(block.nbytes for block in blocks)
        references = [block.reference for block in blocks]
        return self._actors[i].told.remote(self._setups[i], before, method, arguments, *references)

    def _all(self, calls: Iterable[Any]) -> list[Any]:
        return [self._one(i, call) for i, call in enumerate(list(calls))]

    def _one(self, i: int, call: Any) -> Any:
        """Wait for what an actor returns; what it raises is raised here."""
        try:
            return ray.get(call)
        except RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else RuntimeError(str(error))) from None
        except RayActorError as error:
            raise RuntimeError(f"the actor of {self._names[i]} died and is not restarted: {error}") from None

    @staticmethod
    def _end(actors: Sequence[Any]) -> None:
        for actor in actors:
            ray.kill(actor)
