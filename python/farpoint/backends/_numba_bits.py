"""Metrics of packed bits for the Numba backend: the plain loop, its rows shared out among threads.

Nothing is screened and nothing put off: a pick is a pass over all rows. Counting bits costs a few
instructions for 64 of them, so that the fallback is still far from slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint.backends._order import PickOrder
from farpoint.backends._protocol import (
    Frame,
    HostMatrix,
    IndexArray,
    PairProblem,
    RawSelection,
    SelectProblem,
    ValueArray,
)

# Words that are counted in a task: Ctrl-C waits for the tasks that have begun, some hundredths of a second.
_TASK_WORDS = 1 << 24
# Rows of y that meet the blocks of x at a time.
_CHUNK_ROWS = 2048
# Bytes of a pick as Python objects in two lists.
_PICK_BYTES = 128


def _kernels() -> Any:
    from farpoint.backends import _numba_bit_kernels

    return _numba_bit_kernels


@dataclass(frozen=True)
class _Bits:
    """Rows as 64-bit words, padded with zeros, and how many bits are set in each."""

    words: npt.NDArray[np.uint64]
    counts: ValueArray

    @classmethod
    def of(cls, matrix: HostMatrix) -> _Bits:
        """Copy a matrix of bytes."""
        padded = np.zeros((matrix.shape[0], -(-matrix.shape[1] // 8) * 8), dtype=np.uint8)
        padded[:, : matrix.shape[1]] = matrix
        words = padded.view(np.uint64)
        counts = np.empty(len(words))
        _kernels().count(words, counts)
        return cls(words, counts)

    def __getitem__(self, rows: slice | IndexArray) -> _Bits:
        return _Bits(self.words[rows], self.counts[rows])

    def __len__(self) -> int:
        return len(self.words)


def _blocks(rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _least_memory(*matrices: HostMatrix) -> int:
    """Bytes of the copies of these matrices."""
    return sum(matrix.shape[0] * (-(-matrix.shape[1] // 8) * 8 + 8) for matrix in matrices)


class _Lowering:
    """Lowers the values of one matrix's rows by other rows, block by block on the threads of a call."""

    def __init__(self, rows: _Bits, frame: Frame, team: ThreadPoolExecutor) -> None:
        self.rows = rows
        self.hamming = frame.kind == "hamming"
        self.team = team
        self.threads = frame.threads

    def __call__(self, values: ValueArray, labels: IndexArray, others: _Bits, first_label: int) -> None:
        words = self.rows.words.shape[1]

        def lower(block: slice) -> None:
            mine = self.rows[block]
            _kernels().lower(
                mine.words,
                mine.counts,
                part.words,
                part.counts,
                values[block],
                labels[block],
                label,
                self.hamming,
            )

        for chunk in _blocks(len(others), _CHUNK_ROWS):
            part = others[chunk]
            label = first_label if first_label < 0 else first_label + chunk.start
            share = -(-len(self.rows) // self.threads)
            size = max(1, min(share, _TASK_WORDS // (len(part) * words)))
            for _ in self.team.map(lower, _blocks(len(self.rows), size)):
                pass


def select(problem: SelectProblem, team: ThreadPoolExecutor) -> RawSelection:
    """Farthest-point selection by the plain loop."""
    n = len(problem.points)
    anchors = [] if problem.anchors is None else [problem.anchors]
    # Values, labels, keys, those of free rows, and masks.
    state = n * (4 * 8 + 2) + problem.k * _PICK_BYTES
    if problem.order is not None:
        state += n * (2 * 8 + 2)
    problem.frame.check_memory(_least_memory(problem.points, *anchors) + state)
    points = _Bits.of(problem.points)
    lower = _Lowering(points, problem.frame, team)
    values = np.full(n, np.inf)
    labels = np.full(n, -1, dtype=np.int64)
    free = np.ones(n, dtype=np.bool_)
    free[problem.selected] = False
    free[problem.excluded] = False
    free[problem.prior] = False
    order = PickOrder.of(problem)
    lower(values, labels, points[problem.selected], -1)
    for matrix in anchors:
        lower(values, labels, _Bits.of(matrix), -1)
    lower(values, labels, points[problem.prior], 0)
    for row in problem.prior:
        order.count(row)

    indices: list[int] = []
    radii: list[float] = []
    while True:
        # argmax returns the first of equal keys: ties go to the lowest row.
        keys = np.where(free, order.keys(values), -np.inf)
        following = int(np.argmax(keys))
        made = len(problem.prior) + len(indices)
        if keys[following] == -np.inf or made == problem.k:
            break
        value = float(values[following])
        indices.append(following)
        radii.append(value)
        free[following] = False
        order.count(following)
        if value > 0.0:  # else nothing can be lowered
            lower(values, labels, points[following : following + 1], made)
        if problem.listener is not None:
            problem.listener(np.array([following]), np.array([value]))
    return RawSelection(
        indices=np.array(indices, dtype=np.int64),
        values=np.array(radii, dtype=np.float64),
        next_value=float(np.max(values, where=free, initial=0.0)),
        labels=labels if problem.assign else None,
        label_values=values if problem.assign else None,
    )


def nearest(problem: PairProblem, team: ThreadPoolExecutor) -> tuple[ValueArray, IndexArray]:
    """Nearest row of y for each row of x."""
    n = len(problem.x)
    problem.frame.check_memory(_least_memory(problem.x, problem.y) + 2 * 8 * n)
    values = np.full(n, np.inf)
    labels = np.full(n, -1, dtype=np.int64)
    _Lowering(_Bits.of(problem.x), problem.frame, team)(values, labels, _Bits.of(problem.y), 0)
    return values, labels


def closest_pair(problem: PairProblem, team: ThreadPoolExecutor) -> tuple[float, int, int]:
    """Return the closest two rows of x."""
    problem.frame.check_memory(_least_memory(problem.x) + 2 * 8 * len(problem.x))
    points = _Bits.of(problem.x)
    values = np.full(len(points), np.inf)
    labels = np.full(len(points), -1, dtype=np.int64)

    def lower(block: slice) -> None:
        _kernels().lower_pairs(
            points.words,
            points.counts,
            block.start,
            values[block],
            labels[block],
            problem.frame.kind == "hamming",
        )

    size = max(1, _TASK_WORDS // points.words.size)
    for _ in team.map(lower, _blocks(len(points), size)):
        pass
    # The first of equal values: the lowest row, whose label is its lowest partner.
    row = int(np.argmin(values))
    return float(values[row]), row, int(labels[row])


def pairwise(problem: PairProblem, team: ThreadPoolExecutor) -> ValueArray:
    """All values."""
    x, y = _Bits.of(problem.x), _Bits.of(problem.y)
    out = np.empty((len(x), len(y)))

    def fill(block: slice) -> None:
        rows = x[block]
        _kernels().pairwise(
            rows.words, rows.counts, y.words, y.counts, out[block], problem.frame.kind == "hamming"
        )

    size = max(1, _TASK_WORDS // y.words.size)
    for _ in team.map(fill, _blocks(len(x), size)):
        pass
    return out
