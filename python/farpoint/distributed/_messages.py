"""What the driver of a distributed selection and its shards tell each other.

Rows have global numbers: those of the first shard come first, then those of the second, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from farpoint.backends._protocol import IndexArray, Matrix, ValueArray

LAST_ROW = int(np.iinfo(np.int64).max)  # a place after all rows of its value


@dataclass(frozen=True)
class Entries:
    """Rows that all rows are compared with from now on, in the same order everywhere."""

    rows: Matrix
    numbers: IndexArray  # -1: an anchor, which is a row of no shard
    values: ValueArray | None  # at which they were picked; None: they are kept away from

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.rows.nbytes + self.numbers.nbytes + (0 if self.values is None else self.values.nbytes)

    def between(self, begin: int, end: int) -> Entries:
        """Return some of the entries."""
        values = None if self.values is None else self.values[begin:end]
        return Entries(self.rows[begin:end], self.numbers[begin:end], values)


@dataclass(frozen=True)
class Question:
    """What the driver asks of every shard in a round."""

    level: float  # the value from which on rows are candidates
    capacity: int  # of candidates of one shard
    sample: int  # about how many rows to sample


@dataclass(frozen=True)
class Answer:
    """A shard's candidates: its free rows that are not after (last_value, last_row) in the order.

    And what tells the driver where the next level should be.
    """

    numbers: IndexArray
    values: ValueArray
    rows: Matrix
    last_value: float
    last_row: int
    sample: ValueArray  # upper bounds of the values of evenly chosen free rows, the candidates among them
    largest: float  # upper bound of the values of all free rows; 0: all are duplicates of entries
    free_rows: int

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.numbers.nbytes + self.values.nbytes + self.rows.nbytes + self.sample.nbytes
