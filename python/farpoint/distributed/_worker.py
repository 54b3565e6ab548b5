"""What an actor of a distributed selection does. It could be called without Ray as well.

Whatever is kept between calls can be lost: Ray starts an actor that has died again from nothing. So each call
says what it needs, which is opened if it is not, and how many entries were told before: an actor that does
not know them says so and is told all of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from farpoint._device_inputs import as_element_type
from farpoint._parts import PartedMatrix
from farpoint._preparing import Taming, scan
from farpoint._start import add_rows, nearest_row
from farpoint.backends import choose_backend
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._protocol import (
    Frame,
    HostMatrix,
    IndexArray,
    LimitTooSmallError,
    Matrix,
    ScanResult,
    Sharding,
    ShardProblem,
    ValueArray,
)
from farpoint.distributed._messages import Entries
from farpoint.distributed._pieces import Holding, Piece, Shape
from farpoint.distributed._shard import NumberedShard, take


@dataclass(frozen=True)
class Setup:
    """What all calls of one actor need once the matrix is checked."""

    holding: Holding
    frame: Frame  # of all shards, with the threads of this one
    taming: Taming
    backend: str
    metric: str
    entries: int  # that will be seen, about
    assign: bool


@dataclass(frozen=True)
class Forgotten:
    """The actor has not seen the entries that came before those of the call."""


class Worker:
    """The state of an actor."""

    def __init__(self) -> None:
        self._opened: dict[Piece, list[Matrix]] = {}
        self._rows: HostMatrix | None = None
        self._points: HostMatrix | None = None  # what the engine is given
        self._shard: NumberedShard | None = None

    def measure(self, pieces: list[Piece]) -> list[Shape]:
        """Open pieces, and say how large they are."""
        shapes = []
        for piece in pieces:
            parts = self._opened[piece] = piece.open()
            rows = sum(map(len, parts))
            shapes.append(Shape(rows, parts[0].shape[1], parts[0].dtype.name) if parts else Shape(0))
        return shapes

    def scan(self, holding: Holding, backend: str, metric: str, threads: int) -> ScanResult:
        """Look at every element."""
        return scan(self._matrix(holding), choose_backend(backend, metric, holding.dtype), threads)

    def rows(self, holding: Holding, numbers: IndexArray) -> Matrix:
        """Return rows by their numbers in the whole matrix."""
        return take(self._matrix(holding), numbers - holding.first)

    def add_rows(self, setup: Setup, total: ValueArray) -> ValueArray:
        """Return `total` with all rows added to it, for the mean."""
        return add_rows(total, self._tamed(setup), setup.frame.kind)

    def nearest_row(self, setup: Setup, mean: ValueArray) -> tuple[float, int]:
        """Return the smallest value to the mean, and the number of its row."""
        value, row = nearest_row(self._tamed(setup), mean, setup.frame)
        return value, row + setup.holding.first

    def told(
        self, setup: Setup, before: int, method: str, arguments: tuple[Any, ...], *entries: Entries
    ) -> Any | Forgotten:
        """Call a method of the shard once it has seen `entries`, which come after `before` others."""
        if self._shard is None:
            self._shard = self._made(setup)
        if self._shard.seen < before:
            return Forgotten()
        for block in entries:
            # Seen before where the answer to an earlier try of this call was lost.
            known = min(max(self._shard.seen - before, 0), len(block))
            if known < len(block):
                self._shard.see(block.between(known, len(block)))
            before += len(block)
        call: Callable[..., Any] = getattr(self._shard, method)
        return call(*arguments)

    def _made(self, setup: Setup) -> NumberedShard:
        points = self._tamed(setup)
        backend = choose_backend(setup.backend, setup.metric, setup.frame.dtype)
        assert isinstance(backend, Sharding)
        problem = ShardProblem(points, setup.frame, setup.entries, setup.assign)
        try:
            return NumberedShard(points, setup.holding.first, backend.shard(problem))
        except LimitTooSmallError as error:
            raise ValueError(
                f"memory_limit = {setup.frame.memory_limit:,} bytes is too little for an actor with "
                f"{len(points):,} rows of {points.shape[1]:,} columns: at least {error.least:,} bytes are "
                "needed"
            ) from None

    def _tamed(self, setup: Setup) -> HostMatrix:
        if self._points is None:
            tamed = setup.taming.apply(self._matrix(setup.holding))
            assert not isinstance(tamed, DeviceMatrix)
            self._points = tamed
        return self._points

    def _matrix(self, holding: Holding) -> HostMatrix:
        """Open what was not measured here, and keep the rows of the holding alone."""
        if self._rows is None:
            files: list[tuple[str, list[Any]]] = []
            for piece, begin, end, of in holding.parts:
                parts = self._opened[piece] if piece in self._opened else piece.open()
                rows = sum(map(len, parts))
                if rows != of:
                    raise ValueError(f"{piece.name} has {rows} rows, and had {of} when the selection began")
                held = [as_element_type(part, holding.dtype) for part in _between(parts, begin, end)]
                files.append((piece.name, held))
            whole = PartedMatrix(files, holding.name)
            self._rows = whole if len(whole.parts) > 1 else whole.parts[0]
            self._opened.clear()
        return self._rows


def _between(parts: list[Matrix], begin: int, end: int) -> Iterator[Matrix]:
    """Yield rows `begin` to `end` of arrays that follow each other."""
    start = 0
    for part in parts:
        if start < end and start + len(part) > begin:
            yield part[max(begin - start, 0) : end - start]
        start += len(part)
