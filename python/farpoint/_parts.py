"""A matrix whose rows are in several arrays, such as the files of a dataset: read where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[Any]


class PartedMatrix:
    """An (n, d) matrix in pieces, the rows of one after those of the other.

    Parameters
    ----------
    files : sequence of (str, sequence of (m, d) array)
        What to call each source of rows (a file, a shard), and its rows: none, one or more arrays, of one
        dtype and one number of columns in all files, whose rows are contiguous. Arrays without rows are
        dropped.
    name : str
        What to call the whole.
    in_files : bool
        Whether the sources of rows are files, which a selection says where its rows are.

    Attributes
    ----------
    parts : list of (m, d) array
        In the order of rows; none is empty.
    names : list of str
        What to call the source of each part.
    starts : (len(parts) + 1,) int64 array
        First row of each part in the whole matrix, and the end.
    files : list of (str, int)
        Name and number of rows of each source, those without rows too.
    name : str
        What to call the whole.
    """

    def __init__(
        self, files: Sequence[tuple[str, Sequence[Rows]]], name: str, *, in_files: bool = True
    ) -> None:
        self.name = name
        self.in_files = in_files
        self._sources = [(file, [part for part in parts if len(part)]) for file, parts in files]
        self.files = [(file, sum(map(len, parts))) for file, parts in self._sources]
        self.names = [file for file, parts in self._sources for _ in parts]
        self.parts = [part for _, parts in self._sources for part in parts]
        if not self.parts:
            raise ValueError(f"{name} has no rows")
        for file, part in zip(self.names, self.parts, strict=True):
            if part.ndim != 2 or part.dtype != self.dtype or part.shape[1] != self.parts[0].shape[1]:
                raise ValueError(
                    f"{file} has shape {part.shape} and dtype {part.dtype}, {self.names[0]} has shape "
                    f"{self.parts[0].shape} and dtype {self.dtype}: they cannot be one matrix"
                )
        self.starts = np.cumsum([0, *map(len, self.parts)], dtype=np.int64)
        self._file_starts = np.cumsum([0, *(rows for _, rows in self.files)], dtype=np.int64)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.starts[-1]), int(self.parts[0].shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements."""
        found: np.dtype[Any] = self.parts[0].dtype
        return found

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: Any) -> Rows:
        """Return a row, or a slice of rows as one array."""
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            return self.rows(begin, max(begin, end)) if step == 1 else self.take(np.arange(len(self))[index])
        row = int(index)
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        found: Rows = self.parts[part][row - int(self.starts[part])]
        return found

    def __iter__(self) -> Iterator[Rows]:
        for part in self.parts:
            yield from part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Rows:
        """Gather all rows into one array: that it takes a copy is what numpy is told."""
        if copy is False:
            raise ValueError(f"{self.name} is in several pieces; one array of it is a copy")
        gathered = np.empty(self.shape, dtype=self.dtype if dtype is None else dtype)
        for start, part in zip(self.starts.tolist(), self.parts, strict=False):
            gathered[start : start + len(part)] = part
        return gathered

    def rows(self, begin: int, end: int) -> Rows:
        """Return rows `begin` to `end` as one array; without a copy where they are of one part."""
        first = int(np.searchsorted(self.starts, begin, side="right")) - 1
        pieces = []
        for part, start in zip(self.parts[first:], self.starts[first:].tolist(), strict=False):
            if start >= end:
                break
            pieces.append(part[max(begin - start, 0) : end - start])
        if not pieces:
            return self.parts[0][:0]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def take(self, indices: npt.NDArray[np.int64]) -> Rows:
        """Return the rows that are named, as one array."""
        taken = np.empty((len(indices), self.shape[1]), dtype=self.dtype)
        owner = np.searchsorted(self.starts, indices, side="right") - 1
        for part in np.unique(owner):
            here = owner == part
            taken[here] = self.parts[part][indices[here] - self.starts[part]]
        return taken

    def map(self, convert: Callable[[Rows], Rows]) -> PartedMatrix:
        """Return the matrix of what `convert` makes of each part, which keeps its number of rows."""
        return PartedMatrix(
            [(file, [convert(part) for part in parts]) for file, parts in self._sources],
            self.name,
            in_files=self.in_files,
        )

    def locate(self, row: int) -> tuple[str, int]:
        """Return what the source of a row is called, and the number of the row within it."""
        file = int(np.searchsorted(self._file_starts, row, side="right")) - 1
        return self.files[file][0], row - int(self._file_starts[file])

    def describe(self, row: int) -> str:
        """Return where a row is, in words."""
        name, within = self.locate(row)
        return f"row {within} of {name}"
