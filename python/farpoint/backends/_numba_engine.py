"""The fallback: the same batching as the C++ engine, with numpy's matrix product and Numba kernels.

A candidate set is kept current against every new pick; as long as its best point cannot be beaten by the
old distances outside it, the pick is exact. Pending picks then reach all other rows as one blocked matrix
product in float32, certified by the bound of csrc/core/bounds.h; what the bound lets through gets its
canonical distance. Manhattan and chebyshev distances are not made of products: there every pair gets its own.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from farpoint._parts import PartedMatrix
from farpoint.backends import _numba_bits
from farpoint.backends._order import PickOrder
from farpoint.backends._plain_shard import PlainShard, pick_among
from farpoint.backends._protocol import (
    CandidateProblem,
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

# Rows of a block of the matrix product: the product and its comparison stay in the caches.
_BLOCK_ROWS = 2048
# Multiply-adds of a task, where rows are long or every pair is refined: Ctrl-C waits for the tasks that have
# begun. Some tens of milliseconds each.
_PRODUCT_WORK = 1 << 31
_REFINE_WORK = 1 << 25
# Rows of y that meet the blocks of x at a time.
_CHUNK_ROWS = 2048
# More candidates: longer batches, costlier picks.
_CANDIDATES = 1024
# Rows of a task of pairwise distances.
_PAIRWISE_ROWS = 64
# Picks between two looks at signals and progress.
_PICKS_PER_CALL = 64
_CENTRE_SAMPLE = 4096
# Bytes of a pick as Python objects in two lists.
_PICK_BYTES = 128


def _kernels() -> Any:
    from farpoint.backends import _numba_kernels

    return _numba_kernels


class _OneBlasThread:
    """While any call is inside, matrix products run on the thread that asks for them: calls have their own.

    How many threads BLAS has is a setting of the whole process, so the first call in changes it and the last
    one out restores it. threadpoolctl lets only the thread that changed it restore it, hence the keeper.
    A child of a process that has calls inside keeps the one thread.
    """

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._keeper: ThreadPoolExecutor | None = None
        self._limits: Any = None

    def _limit(self) -> None:
        from threadpoolctl import threadpool_limits

        self._limits = threadpool_limits(limits=1, user_api="blas")

    def _restore(self) -> None:
        self._limits.restore_original_limits()

    def __enter__(self) -> None:
        with self._lock:
            # It is still there if Ctrl-C came between these lines.
            if self._keeper is None and importlib.util.find_spec("threadpoolctl") is not None:
                self._keeper = ThreadPoolExecutor(1)
                self._keeper.submit(self._limit).result()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._keeper is not None:
                self._keeper.submit(self._restore)
                self._keeper.shutdown()
                self._keeper = None


_one_blas_thread = _OneBlasThread()


@contextmanager
def _team(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Return the threads of a call, which end with it."""
    with _one_blas_thread, ThreadPoolExecutor(threads) as team:
        yield team


def _blocks(rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _product_rows(columns: int) -> int:
    """Rows of a block that meets _CHUNK_ROWS others, for rows of so many columns."""
    return max(64, min(_BLOCK_ROWS, _PRODUCT_WORK // (_CHUNK_ROWS * columns)))


def _refined_rows(other_rows: Matrix) -> int:
    """Rows of a block that gets its distances to all of `other_rows`."""
    return max(1, min(_BLOCK_ROWS, _REFINE_WORK // max(1, other_rows.size)))


def _least_memory(matrices: list[HostMatrix], frame: Frame) -> int:
    """Bytes of a call on these matrices, the first of them updated, beside its results."""
    copied = sum(
        matrix.shape[0] * matrix.shape[1] * np.dtype(frame.stored).itemsize
        for matrix in matrices
        if isinstance(matrix, PartedMatrix) or matrix.dtype != frame.stored or not matrix.flags.c_contiguous
    )
    rows = sum(len(matrix) for matrix in matrices)
    columns = matrices[0].shape[1]
    # An element in float64, as it is packed, and squared.
    element = 8 + 4 + 8 + 8
    sample = min(rows, 2 * _CENTRE_SAMPLE) * columns * element
    chunk = min(rows, _CHUNK_ROWS) * columns * (element + 8)
    block = min(rows, _product_rows(columns))
    blocks = frame.threads * block * (columns * element + 5 * min(rows, _CHUNK_ROWS))
    state = 8 * rows if frame.kind == "cosine" else 0
    return int(copied + state + max(sample, chunk + blocks))


@dataclass(frozen=True)
class _Side:
    """One matrix: its elements as the kernels read them, and x.x of each row for cosine."""

    rows: Matrix  # float32 or float64, C order
    self_dots: ValueArray


def _side(matrix: HostMatrix, frame: Frame) -> _Side:
    # Parts are gathered. float32 holds every float16, bfloat16 and small integer exactly.
    rows = np.ascontiguousarray(matrix, dtype=frame.stored)
    dots = np.zeros(0)
    if frame.kind == "cosine":
        dots = np.empty(len(rows))
        _kernels().self_dots(rows, dots)
    return _Side(rows, dots)


@dataclass(frozen=True)
class _Packed:
    """Rows centred, scaled and rounded to float32, with their squared norms."""

    rows: np.ndarray[Any, np.dtype[np.float32]]
    norms: ValueArray


class _Screen:
    """Packing and the bound, as csrc/core/bounds.h has them."""

    def __init__(self, side: _Side, frame: Frame) -> None:
        d = side.rows.shape[1]
        self.cosine = frame.kind == "cosine"
        self.multiplier = 1.0
        if not self.cosine and frame.largest > 0:
            self.multiplier = float(2.0 ** -np.frexp(frame.largest)[1])
        step = max(1, len(side.rows) // _CENTRE_SAMPLE)
        self.centre = np.zeros(d)
        sample = _Side(side.rows[::step], side.self_dots[::step] if self.cosine else side.self_dots)
        self.centre = self.pack(sample, slice(None)).rows.mean(axis=0, dtype=np.float64)

        rounding = d * 2.0**-24
        self.usable = rounding < 0.25
        self.shrink = 1.0 - (rounding / (1.0 - rounding) + 16 * 2.0**-24) if self.usable else 0.0
        self.absolute = 16.0 * (d + np.sqrt(d)) * 2.0**-149
        if self.cosine:
            self.absolute += 2.0**-44 + d * 2.0**-50
            self.to_packed = 2.0
        else:
            self.to_packed = self.multiplier / frame.scale * self.multiplier

    def pack(self, side: _Side, rows: slice) -> _Packed:
        x = side.rows[rows].astype(np.float64)
        if self.cosine:
            x /= np.sqrt(side.self_dots[rows])[:, None]
        x *= self.multiplier
        x -= self.centre
        packed = x.astype(np.float32)
        wide = packed.astype(np.float64)
        return _Packed(packed, np.einsum("ij,ij->i", wide, wide))


class _Workspace:
    """What one call needs: threads, the side that is updated, and the screen."""

    def __init__(self, matrix: HostMatrix, frame: Frame, team: ThreadPoolExecutor) -> None:
        self.frame = frame
        self.team = team
        self.kernels = _kernels()
        self.side = self.read(matrix)
        self.kind = self.kernels.KINDS[frame.kind]
        self.screen = _Screen(self.side, frame) if frame.kind in ("squared", "cosine") else None

    def read(self, matrix: HostMatrix) -> _Side:
        return _side(matrix, self.frame)

    def lower(
        self,
        values: ValueArray,
        labels: IndexArray,
        side: _Side,
        chunk: slice,
        first_label: int,
    ) -> None:
        """Lower `values` of all rows of the workspace's side by rows `chunk` of another side."""
        screen, own = self.screen, self.side
        if screen is None:
            self._lower_plainly(values, labels, side.rows[chunk], first_label)
            return
        packed = screen.pack(side, chunk)
        other_rows = np.ascontiguousarray(side.rows[chunk])
        other_dots = side.self_dots[chunk] if screen.cosine else side.self_dots
        other_bias = 0.5 * packed.norms * screen.shrink

        def lower_block(rows: slice) -> None:
            block = screen.pack(own, rows)
            products = block.rows @ packed.rows.T
            self.kernels.lower_block(
                products,
                own.rows[rows],
                own.self_dots[rows] if screen.cosine else own.self_dots,
                block.norms,
                other_rows,
                other_dots,
                other_bias,
                values[rows],
                labels[rows],
                first_label,
                screen.usable,
                screen.shrink,
                screen.absolute,
                screen.to_packed,
                self.kind,
                self.frame.scale,
                self.frame.stored is np.float64,
            )

        for _ in self.team.map(lower_block, _blocks(len(own.rows), _product_rows(own.rows.shape[1]))):
            pass

    def _lower_plainly(
        self, values: ValueArray, labels: IndexArray, other_rows: Matrix, first_label: int
    ) -> None:
        other_rows = np.ascontiguousarray(other_rows)

        def lower_block(rows: slice) -> None:
            self.kernels.lower_block_plainly(
                self.side.rows[rows],
                other_rows,
                values[rows],
                labels[rows],
                first_label,
                self.kind,
                self.frame.scale,
                self.frame.stored is np.float64,
            )

        for _ in self.team.map(lower_block, _blocks(len(self.side.rows), _refined_rows(other_rows))):
            pass


class NumbaEngine:
    """What the backend does."""

    def select(self, problem: SelectProblem) -> RawSelection:
        """Farthest-point selection in batches."""
        if problem.frame.of_bits:
            with _team(problem.frame.threads) as team:
                return _numba_bits.select(problem, team)
        # Values, labels, a mask; free rows, their values or keys, and these in another order.
        state = len(problem.points) * (2 * 8 + 1 + 3 * 8) + problem.k * _PICK_BYTES
        if problem.order is not None:
            state += len(problem.points) * (2 * 8 + 2)
        matrices = [problem.points] if problem.anchors is None else [problem.points, problem.anchors]
        candidates = min(_CANDIDATES, len(problem.points)) * problem.points.shape[1] * 8
        problem.frame.check_memory(_least_memory(matrices, problem.frame) + state + candidates)
        with _team(problem.frame.threads) as team:
            return _Selector(problem, team).run()

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Nearest row of y for each row of x."""
        if problem.frame.of_bits:
            with _team(problem.frame.threads) as team:
                return _numba_bits.nearest(problem, team)
        results = len(problem.x) * 2 * 8
        problem.frame.check_memory(_least_memory([problem.x, problem.y], problem.frame) + results)
        with _team(problem.frame.threads) as team:
            workspace = _Workspace(problem.x, problem.frame, team)
            other = workspace.read(problem.y)
            values = np.full(len(problem.x), np.inf)
            labels = np.full(len(problem.x), -1, dtype=np.int64)
            for chunk in _blocks(len(problem.y), _CHUNK_ROWS):
                workspace.lower(values, labels, other, chunk, chunk.start)
            return values, labels

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Return the closest two rows of x."""
        if problem.frame.of_bits:
            with _team(problem.frame.threads) as team:
                return _numba_bits.closest_pair(problem, team)
        problem.frame.check_memory(_least_memory([problem.x], problem.frame))
        with _team(problem.frame.threads) as team:
            workspace = _Workspace(problem.x, problem.frame, team)
            best = (float("inf"), -1, -1)
            # Rows rise, and a later row must be strictly closer, so ties stay with the lowest pair.
            for start in range(0, len(problem.x) - 1, _CHUNK_ROWS):
                rows = slice(start, min(start + _CHUNK_ROWS, len(problem.x) - 1))
                values = np.full(rows.stop - rows.start, best[0])
                labels = np.full(len(values), -1, dtype=np.int64)
                self._pairs_above(workspace, rows, values, labels)
                found = int(np.argmin(values))
                if values[found] < best[0]:
                    best = (float(values[found]), start + found, int(labels[found]))
            return best

    @staticmethod
    def _pairs_above(workspace: _Workspace, rows: slice, values: ValueArray, labels: IndexArray) -> None:
        """Nearest row above each of `rows`, if nearer than `values`."""
        screen, side = workspace.screen, workspace.side
        if screen is None:
            NumbaEngine._pairs_above_plainly(workspace, rows, values, labels)
            return
        packed = screen.pack(side, rows)
        share = -(-len(values) // workspace.frame.threads)
        share = max(1, min(share, _product_rows(side.rows.shape[1])))

        # One chunk after another, so that the lowest of equally near rows is met first.
        for chunk in _blocks(len(side.rows), _CHUNK_ROWS):
            if chunk.stop <= rows.start + 1:
                continue
            other = screen.pack(side, chunk)

            def lower(local: slice, chunk: slice = chunk, other: _Packed = other) -> None:
                workspace.kernels.lower_pairs(
                    packed.rows[local] @ other.rows.T,
                    side.rows,
                    side.self_dots,
                    packed.norms[local],
                    other.norms,
                    rows.start + local.start,
                    chunk.start,
                    values[local],
                    labels[local],
                    screen.usable,
                    screen.shrink,
                    screen.absolute,
                    screen.to_packed,
                    workspace.kind,
                    workspace.frame.scale,
                    workspace.frame.stored is np.float64,
                )

            for _ in workspace.team.map(lower, _blocks(len(values), share)):
                pass

    @staticmethod
    def _pairs_above_plainly(
        workspace: _Workspace, rows: slice, values: ValueArray, labels: IndexArray
    ) -> None:
        everything = workspace.side.rows
        for chunk in _blocks(len(everything), _CHUNK_ROWS):
            if chunk.stop <= rows.start + 1:
                continue

            def lower(local: slice, chunk: slice = chunk) -> None:
                workspace.kernels.lower_pairs_plainly(
                    everything,
                    rows.start + local.start,
                    chunk.start,
                    chunk.stop - chunk.start,
                    values[local],
                    labels[local],
                    workspace.kind,
                    workspace.frame.scale,
                    workspace.frame.stored is np.float64,
                )

            for _ in workspace.team.map(lower, _blocks(len(values), _refined_rows(everything[chunk]))):
                pass

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """All values."""
        if problem.frame.of_bits:
            with _team(problem.frame.threads) as team:
                return _numba_bits.pairwise(problem, team)
        kernels = _kernels()
        frame = problem.frame
        out = np.empty((len(problem.x), len(problem.y)))
        x = np.ascontiguousarray(problem.x, dtype=frame.stored)
        y = np.ascontiguousarray(problem.y, dtype=frame.stored)
        kind = kernels.KINDS[frame.kind]
        columns = max(1, _REFINE_WORK // (_PAIRWISE_ROWS * x.shape[1]))

        def fill(block: tuple[slice, slice]) -> None:
            rows, others = block
            kernels.pairwise(
                x[rows], y[others], out[rows, others], kind, frame.scale, frame.stored is np.float64
            )

        with _team(frame.threads) as team:
            for others in _blocks(len(y), columns):
                for _ in team.map(fill, ((rows, others) for rows in _blocks(len(x), _PAIRWISE_ROWS))):
                    pass
        return out

    def shard(self, problem: ShardProblem) -> Shard:
        """Return the stages of a selection for the rows of one shard."""
        return PlainShard(problem, self.nearest)

    def pick_among(self, problem: CandidateProblem) -> PickedCandidates:
        """Pick by the plain loop."""
        if problem.frame.of_bits:
            return pick_among(problem, self.pairwise)
        frame = problem.frame
        side = _side(problem.points, frame)
        rows: list[IndexArray] = [np.empty(0, dtype=np.int64)]
        values: list[ValueArray] = [np.empty(0)]

        def accept(new_rows: IndexArray, new_values: ValueArray) -> None:
            rows.append(new_rows)
            values.append(new_values)

        next_value = _plain_loop(
            frame,
            side,
            np.arange(len(side.rows)),
            problem.values.copy(),
            (problem.last_value, problem.last_row),
            problem.k,
            problem.minimum_value,
            accept,
        )
        return PickedCandidates(np.concatenate(rows), np.concatenate(values), next_value)


class _Selector:
    """One selection."""

    def __init__(self, problem: SelectProblem, team: ThreadPoolExecutor) -> None:
        self.problem = problem
        self.workspace = _Workspace(problem.points, problem.frame, team)
        n = len(problem.points)
        self.values = np.full(n, np.inf)
        self.labels = np.full(n, -1, dtype=np.int64)
        self.free = np.ones(n, dtype=np.bool_)
        self.free[problem.selected] = False
        self.free[problem.excluded] = False
        self.order = None if problem.order is None else PickOrder.of(problem)
        self.indices: list[int] = []
        self.radii: list[float] = []
        self.batches = 0

    def run(self) -> RawSelection:
        problem = self.problem
        for chunk in _blocks(len(problem.selected), _CHUNK_ROWS):
            self._see(self._rows(problem.selected[chunk]), -1)
        if problem.anchors is not None:
            anchors = self.workspace.read(problem.anchors)
            for chunk in _blocks(len(problem.anchors), _CHUNK_ROWS):
                self.workspace.lower(self.values, self.labels, anchors, chunk, -1)
        for chunk in _blocks(len(problem.prior), _CHUNK_ROWS):
            self._see(self._rows(problem.prior[chunk]), chunk.start)
        self.free[problem.prior] = False
        next_value = self._pick_all() if self.order is None else self._pick_all_in_order(self.order)
        return RawSelection(
            indices=np.array(self.indices, dtype=np.int64),
            values=np.array(self.radii, dtype=np.float64),
            next_value=next_value,
            labels=self.labels if problem.assign else None,
            label_values=self.values if problem.assign else None,
            statistics={"batches": self.batches},
        )

    def _pick_all(self) -> float:
        """Pick by distance alone; return the value of the pick that would follow."""
        while self.free.any():
            if not self.values[self.free].any():
                self._pick_duplicates()
                break
            seen = len(self.indices)
            best = self._pick(*self._candidates(np.flatnonzero(self.free), self.values[self.free]))
            self._see_picks(seen)
            if best is not None:
                return best
        return 0.0

    def _pick_all_in_order(self, order: PickOrder) -> float:
        """Pick by weights and groups; return the largest value left."""
        for row in self.problem.prior.tolist():
            order.count(row)
        while self._wanted():
            keys = order.keys(self.values)
            open_rows = np.flatnonzero(self.free & (keys >= 0))
            if not len(open_rows):
                break
            seen = len(self.indices)
            self._pick_in_order(order, *self._candidates(open_rows, keys[open_rows]))
            self._see_picks(seen)
        return float(np.max(self.values, where=self.free, initial=0.0))

    def _see_picks(self, seen: int) -> None:
        """Bring every row up to date with all picks but the first `seen`."""
        if len(self.indices) > seen:
            self._see(self._rows(np.array(self.indices[seen:])), len(self.problem.prior) + seen)
            self.batches += 1

    def _rows(self, rows: IndexArray) -> _Side:
        side = self.workspace.side
        dots = side.self_dots[rows] if len(side.self_dots) else side.self_dots
        return _Side(side.rows[rows], dots)

    def _see(self, side: _Side, first_label: int) -> None:
        """Bring every row up to date with all rows of `side`."""
        for chunk in _blocks(len(side.rows), _CHUNK_ROWS):
            label = first_label if first_label < 0 else first_label + chunk.start
            self.workspace.lower(self.values, self.labels, side, chunk, label)

    def _accept(self, row: int, value: float) -> None:
        self.free[row] = False
        self.indices.append(row)
        self.radii.append(value)

    def _pick_duplicates(self) -> None:
        """Every free row is at distance 0: they follow in row order."""
        if self.problem.minimum_value <= 0.0:
            for row in np.flatnonzero(self.free)[: self._wanted()]:
                self._accept(int(row), 0.0)

    def _wanted(self) -> int:
        return self.problem.k - len(self.problem.prior) - len(self.indices)

    @staticmethod
    def _candidates(rows: IndexArray, keys: ValueArray) -> tuple[IndexArray, tuple[float, int]]:
        """Return the first rows in the order of picking, and the place of the last of them."""
        if len(rows) <= _CANDIDATES:
            return rows, (-np.inf, 0)
        cut = np.partition(keys, len(keys) - _CANDIDATES)[len(keys) - _CANDIDATES]
        above = rows[keys > cut]
        ties = rows[keys == cut][: _CANDIDATES - len(above)]
        candidates = np.concatenate((above, ties))
        return candidates, (float(cut), int(ties[-1]))

    def _pick_in_order(self, order: PickOrder, candidates: IndexArray, cut: tuple[float, int]) -> None:
        """Pick until the best candidate is after the place `cut`, or may not be picked, or all is done.

        Keys never rise, so a row that is no candidate stays after the cut.
        """
        frame = self.problem.frame
        candidates = np.sort(candidates)  # so that the first of equal keys is the lowest row
        rows = self._rows(candidates).rows
        values = self.values[candidates]
        new = np.empty((len(candidates), 1))
        free = np.ones(len(candidates), dtype=np.bool_)
        while self._wanted():
            keys = np.where(free, order.keys(values, candidates), -np.inf)
            best = int(np.argmax(keys))
            row, key = int(candidates[best]), float(keys[best])
            if key == -np.inf or key < cut[0] or (key == cut[0] and row > cut[1]):
                return
            self._accept(row, float(values[best]))
            order.count(row)
            free[best] = False
            if self.problem.listener is not None:
                self.problem.listener(np.array([row]), values[best : best + 1])
            _kernels().pairwise(
                rows,
                rows[best : best + 1],
                new,
                _kernels().KINDS[frame.kind],
                frame.scale,
                frame.stored is np.float64,
            )
            values = np.minimum(values, new[:, 0])

    def _pick(self, candidates: IndexArray, threshold: tuple[float, int]) -> float | None:
        """Pick until the candidates are exhausted, or all is done: then return the best value left."""
        problem = self.problem

        def accept(rows: IndexArray, values: ValueArray) -> None:
            for row, value in zip(rows.tolist(), values.tolist(), strict=True):
                self._accept(row, value)
            if problem.listener is not None:
                problem.listener(rows, values)

        return _plain_loop(
            problem.frame,
            self._rows(candidates),
            candidates,
            self.values[candidates],
            threshold,
            self._wanted(),
            problem.minimum_value,
            accept,
        )


def _plain_loop(
    frame: Frame,
    side: _Side,
    numbers: IndexArray,
    values: ValueArray,
    cut: tuple[float, int],
    wanted: int,
    minimum_value: float,
    accept: Callable[[IndexArray, ValueArray], None],
) -> float | None:
    """Pick from the rows of `side`, which are called `numbers`, down to the place `cut` in the order.

    `accept` is given the picks, some at a time. Returns the value of the pick that would follow, None where
    no row is left.
    """
    kernels = _kernels()
    most = max(1, min(_PICKS_PER_CALL, _REFINE_WORK // max(1, side.rows.size)))
    picked_rows = np.empty(most, dtype=np.int64)
    picked_values = np.empty(most)
    while True:
        count, best, reason = kernels.pick(
            side.rows,
            side.self_dots,
            numbers,
            values,
            cut[0],
            cut[1],
            min(most, wanted),
            minimum_value,
            picked_rows,
            picked_values,
            kernels.KINDS[frame.kind],
            frame.scale,
            frame.stored is np.float64,
        )
        wanted -= count
        if count:
            accept(picked_rows[:count].copy(), picked_values[:count].copy())
        if reason == kernels.EXHAUSTED:
            return None
        if reason == kernels.BELOW_MINIMUM or wanted == 0:
            return float(best)


ENGINE = NumbaEngine()
