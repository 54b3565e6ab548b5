"""The plain loop: what every other backend must equal to the bit.

Nothing here is fast, and everything should be obvious. The numerical contract is docs/contract.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from farpoint.backends._order import PickOrder
from farpoint.backends._plain_shard import PlainShard, pick_among
from farpoint.backends._protocol import (
    METRICS,
    CandidateProblem,
    Capabilities,
    Frame,
    HostMatrix,
    IndexArray,
    Matrix,
    PairProblem,
    PickedCandidates,
    RawSelection,
    SelectProblem,
    Shard,
    ShardProblem,
    ValueArray,
)

_ACCUMULATORS = 16
# Bytes of a pick as Python objects in two lists.
_PICK_BYTES = 128
# Rows that are converted to float64 at a time: the points may be as large as memory.
_BLOCK_ROWS = 512


def _sum16(terms: ValueArray) -> ValueArray:
    """Row sums: term j goes to accumulator j mod 16, then halving sums."""
    sums = np.zeros((len(terms), _ACCUMULATORS))
    for start in range(0, terms.shape[1], _ACCUMULATORS):
        chunk = terms[:, start : start + _ACCUMULATORS]
        sums[:, : chunk.shape[1]] += chunk
    for width in (8, 4, 2, 1):
        sums = sums[:, :width] + sums[:, width:]
    return sums[:, 0]


# How many bits are set in each byte.
_BITS_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)


def _bit_distances(x: Matrix, y: Matrix, kind: str) -> ValueArray:
    """Distances between rows of packed bits, from whole numbers of bits."""
    if kind == "hamming":
        differing: ValueArray = _BITS_SET[x ^ y].sum(axis=1).astype(np.float64)
        return differing
    both, either = _BITS_SET[x & y].sum(axis=1), _BITS_SET[x | y].sum(axis=1)
    # Rows without any bit are at distance 0 from each other.
    return np.where(either == 0, 0.0, 1.0 - both / np.maximum(either, 1))


def _block_bytes(columns: int) -> int:
    """What values_to_row works with."""
    return _BLOCK_ROWS * (4 * columns + 2 * _ACCUMULATORS) * 8


def values_to_row(points: HostMatrix, row: Matrix, frame: Frame) -> ValueArray:
    """Stored values between every row of `points` and one row."""
    values = np.empty(len(points))
    if frame.of_bits:
        for start in range(0, len(points), _BLOCK_ROWS):
            bits = points[start : start + _BLOCK_ROWS]
            values[start : start + len(bits)] = _bit_distances(bits, row[None, :], frame.kind)
        return values
    y = row.astype(np.float64)[None, :]
    for start in range(0, len(points), _BLOCK_ROWS):
        x = points[start : start + _BLOCK_ROWS].astype(np.float64)
        if frame.kind == "cosine":
            cosine = _sum16(x * y) / np.sqrt(_sum16(x * x) * _sum16(y * y))
            block = np.maximum(1.0 - cosine, 0.0)
        elif frame.kind == "manhattan":
            block = _sum16(np.abs(x - y)) * frame.scale
        elif frame.kind == "chebyshev":
            block = np.abs(x - y).max(axis=1) * frame.scale
        else:
            difference = x - y
            block = _sum16(difference * difference) * frame.scale
        values[start : start + len(x)] = block.astype(frame.stored)
    return values


class ReferenceBackend:
    """The contract as a program."""

    name = "reference"
    capabilities = Capabilities(
        metrics=METRICS,
        dtypes=frozenset({"float16", "bfloat16", "float32", "float64", "int8", "uint8"}),
        constraints=frozenset({"weights", "groups", "exclude"}),
    )

    def unavailable(self) -> str | None:
        """Return None: it needs numpy alone."""
        return None

    def describe(self) -> dict[str, Any]:
        """Nothing to choose."""
        return {}

    def select(self, problem: SelectProblem) -> RawSelection:
        """Pick the farthest row, again and again."""
        points, frame = problem.points, problem.frame
        # Values, labels, new values, those that are nearer, keys and those of free rows, and six masks.
        frame.check_memory(
            len(points) * (7 * 8 + 6) + problem.k * _PICK_BYTES + _block_bytes(points.shape[1])
        )
        values = np.full(len(points), np.inf)
        labels = np.full(len(points), -1)
        free = np.ones(len(points), dtype=bool)
        free[problem.selected] = False
        free[problem.excluded] = False
        order = PickOrder.of(problem)

        def see(row: Matrix, label: int) -> None:
            """Update every distance with one more row."""
            new = values_to_row(points, row, frame)
            nearer = new < values
            labels[nearer] = label
            values[nearer] = new[nearer]

        for selected in problem.selected:
            see(points[selected], -1)
        for row in problem.anchors if problem.anchors is not None else ():
            see(row, -1)

        for position, row in enumerate(problem.prior):
            free[row] = False
            order.count(row)
            see(points[row], position)

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
            see(points[following], made)
            if problem.listener is not None:
                problem.listener(np.array([following]), np.array([value]))

        return RawSelection(
            indices=np.array(indices, dtype=np.int64),
            values=np.array(radii, dtype=np.float64),
            next_value=float(np.max(values, where=free, initial=0.0)),
            labels=labels.astype(np.int64) if problem.assign else None,
            label_values=values if problem.assign else None,
        )

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Look at every row of y."""
        problem.frame.check_memory(len(problem.x) * (3 * 8 + 1) + _block_bytes(problem.x.shape[1]))
        values = np.full(len(problem.x), np.inf)
        indices = np.zeros(len(problem.x), dtype=np.int64)
        for j, row in enumerate(problem.y):
            new = values_to_row(problem.x, row, problem.frame)
            nearer = new < values
            values[nearer], indices[nearer] = new[nearer], j
        return values, indices

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Look at every pair."""
        problem.frame.check_memory(len(problem.x) * 8 + _block_bytes(problem.x.shape[1]))
        best = (float("inf"), -1, -1)
        for i in range(len(problem.x) - 1):
            values = values_to_row(problem.x[i + 1 :], problem.x[i], problem.frame)
            j = int(np.argmin(values))
            if values[j] < best[0]:
                best = (float(values[j]), i, i + 1 + j)
        return best

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """Compute row by row."""
        out = np.empty((len(problem.x), len(problem.y)))
        for j, row in enumerate(problem.y):
            out[:, j] = values_to_row(problem.x, row, problem.frame)
        return out

    def shard(self, problem: ShardProblem) -> Shard:
        """Keep every row up to date."""
        return PlainShard(problem, self.nearest)

    def pick_among(self, problem: CandidateProblem) -> PickedCandidates:
        """Pick the farthest candidate, again and again."""
        return pick_among(problem, self.pairwise)


BACKEND = ReferenceBackend()
