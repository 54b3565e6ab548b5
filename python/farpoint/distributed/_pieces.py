"""What a distributed selection reads: files and objects of Ray's store, and which actor gets which rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from farpoint._files import open_file
from farpoint._inputs import as_matrix
from farpoint.backends._protocol import Matrix

# A share of rows ends where a piece does, if that is within this part of a share from the even place.
_NEAR_BOUNDARY = 0.25


@dataclass(frozen=True)
class FilePiece:
    """A file, which every actor that needs rows of it opens itself."""

    path: Path
    key: str | None = None
    column: str | None = None
    spill_folder: str | os.PathLike[str] | None = None
    in_memory: bool = True  # whether a little that has to be decoded may stay there

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path)

    def open(self) -> list[Matrix]:
        """Return its rows, of one supported type: none, one or more arrays."""
        return open_file(
            self.path,
            key=self.key,
            column=self.column,
            spill_folder=self.spill_folder,
            in_memory=self.in_memory,
        )


@dataclass(frozen=True)
class ObjectPiece:
    """An array in Ray's object store."""

    reference: Any
    name: str

    def open(self) -> list[Matrix]:
        """Return its rows, where they lie if that can be."""
        import ray

        try:
            value = ray.get(self.reference)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"{self.name} cannot be had from Ray's object store: {reason}") from None
        if isinstance(value, np.ndarray) and len(value) == 0:
            return []
        if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
            value = list(value)  # rows of a list column, each an array
        return [as_matrix(value, self.name)]


Piece = FilePiece | ObjectPiece


class Shape(NamedTuple):
    """What a piece holds; of one without rows the rest is not known."""

    rows: int
    columns: int = 0
    dtype: str = ""


class Rows(NamedTuple):
    """Rows `begin` to `end` of a piece that has `of` rows."""

    piece: Piece
    begin: int
    end: int
    of: int


@dataclass(frozen=True)
class Holding:
    """The rows of one actor, which are consecutive in the whole matrix."""

    parts: tuple[Rows, ...]
    first: int  # number of the first row in the whole matrix
    dtype: str  # of all rows of all actors

    @property
    def name(self) -> str:
        """What messages call it."""
        names = list(dict.fromkeys(part.piece.name for part in self.parts))
        return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def share_out(pieces: Sequence[Piece], shapes: Sequence[Shape], actors: int, dtype: str) -> list[Holding]:
    """Give each actor about as many rows, in order; none to some where rows are few."""
    starts = np.cumsum([0, *(shape.rows for shape in shapes)])
    total = int(starts[-1])
    places = [0]
    for actor in range(1, actors):
        place = total * actor // actors
        nearest = int(starts[np.argmin(np.abs(starts - place))])
        is_near = abs(nearest - place) <= _NEAR_BOUNDARY * total / actors
        places.append(nearest if is_near else place)
    places = sorted({*places, total})
    holdings = []
    for first, end in pairwise(places):
        parts = [
            Rows(piece, max(first - start, 0), min(end - start, shape.rows), shape.rows)
            for piece, shape, start in zip(pieces, shapes, starts.tolist(), strict=False)
            if start < end and start + shape.rows > first
        ]
        holdings.append(Holding(tuple(parts), first, dtype))
    return holdings
