"""The C++ engine: the extension farpoint._cpu behind the backend protocol."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

import numpy as np

from farpoint.backends._engine import eager, engine_statistics, raw, raw_selection
from farpoint.backends._protocol import (
    METRICS,
    CandidateProblem,
    Capabilities,
    Frame,
    HostMatrix,
    IndexArray,
    Level,
    Matrix,
    OrderRequest,
    PairProblem,
    PickedCandidates,
    RawSelection,
    ScanResult,
    SelectProblem,
    Shard,
    ShardProblem,
    ValueArray,
)

SIMD_VARIABLE = "FARPOINT_SIMD"


@cache
def _present() -> bool:
    return importlib.util.find_spec("farpoint._cpu") is not None


def _extension() -> Any:
    # An extension that is there but broken raises here, whatever it raises: it is never passed over.
    from farpoint import _cpu

    return _cpu


def simd_level() -> str:
    """Return the SIMD level that calls use now; ValueError if the environment asks for another."""
    return str(_extension().simd_level(os.environ.get(SIMD_VARIABLE, "")))


class CpuBackend:
    """Batched, lazy, screened, threaded; see csrc/core/select.h."""

    name = "cpu"
    capabilities = Capabilities(
        metrics=METRICS,
        dtypes=frozenset({"float16", "bfloat16", "float32", "float64", "int8", "uint8"}),
        constraints=frozenset({"weights", "groups", "exclude"}),
    )

    def unavailable(self) -> str | None:
        """Return why the extension is missing, if it is."""
        if _present():
            return None
        return (
            "farpoint was installed without its compiled extension (no C++20 compiler was found, or "
            "the compilation failed); reinstall with a compiler: "
            "pip install --no-cache-dir --no-binary farpoint --force-reinstall farpoint"
        )

    def describe(self) -> dict[str, Any]:
        """SIMD level and compiler."""
        extension = _extension()
        return {
            "simd": simd_level(),
            "simd_usable": list(extension.simd_levels()),
            "compiler": str(extension.compiler),
        }

    def scan(self, matrix: HostMatrix, threads: int, device: int | None) -> ScanResult:
        """One pass: (first non-finite row or -1, first zero row or -1, largest and smallest magnitude)."""
        del device
        bad, zero, largest, smallest = _extension().scan(
            raw(matrix), matrix.dtype.name, threads, simd_level()
        )
        return bad, zero, largest, smallest

    def select(self, problem: SelectProblem) -> RawSelection:
        """Farthest-point selection."""
        simd = simd_level()
        found = _extension().select(
            points=raw(problem.points),
            k=problem.k,
            prior=problem.prior,
            prior_value=problem.prior_value,
            selected=problem.selected,
            excluded=problem.excluded,
            anchors=None if problem.anchors is None else raw(problem.anchors),
            **_order_arguments(problem.order),
            minimum_value=problem.minimum_value,
            assign=problem.assign,
            listener=problem.listener,
            simd=simd,
            eager=eager(),
            **_memory_arguments(problem.frame),
            **_frame_arguments(problem.frame),
        )
        return raw_selection(
            found,
            problem,
            simd=simd,
            bytes_work=found["bytes_work"],
            bytes_spilled=found["bytes_spilled"],
        )

    def shard(self, problem: ShardProblem) -> Shard:
        """Some of the rows of a selection that is spread over several engines."""
        return _CpuShard(problem)

    def pick_among(self, problem: CandidateProblem) -> PickedCandidates:
        """Pick among candidates alone."""
        rows, values, next_value = _extension().pick_among(
            points=raw(problem.points),
            values=problem.values,
            k=problem.k,
            last_value=problem.last_value,
            last_row=problem.last_row,
            minimum_value=problem.minimum_value,
            simd=simd_level(),
            eager=eager(),
            **_frame_arguments(problem.frame),
        )
        return PickedCandidates(rows, values, next_value)

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Nearest row of y for each row of x."""
        values, indices = _extension().nearest(
            x=raw(problem.x),
            y=raw(problem.y),
            simd=simd_level(),
            eager=eager(),
            **_memory_arguments(problem.frame),
            **_frame_arguments(problem.frame),
        )
        return values, indices

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Return the closest two rows of x."""
        value, i, j = _extension().closest_pair(
            x=raw(problem.x),
            simd=simd_level(),
            eager=eager(),
            **_memory_arguments(problem.frame),
            **_frame_arguments(problem.frame),
        )
        return value, i, j

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """All values."""
        values: ValueArray = _extension().pairwise(
            x=raw(problem.x),
            y=raw(problem.y),
            simd=simd_level(),
            **_frame_arguments(problem.frame),
        )
        return values


class _CpuShard:
    """The extension's shard, with its problem's conventions."""

    def __init__(self, problem: ShardProblem) -> None:
        self._problem = problem
        self._simd = simd_level()
        self._shard = _extension().Shard(
            points=raw(problem.points),
            entries=problem.entries,
            assign=problem.assign,
            simd=self._simd,
            eager=eager(),
            **_memory_arguments(problem.frame),
            **_frame_arguments(problem.frame),
        )
        self._seen = 0

    @property
    def free_rows(self) -> int:
        return int(self._shard.free_rows)

    def see(self, rows: Matrix, own: IndexArray, values: ValueArray | None) -> None:
        self._shard.see(raw(rows), own, values)
        self._seen += len(rows)

    def level(self, value: float, capacity: int) -> Level:
        return Level(*self._shard.level(value, capacity))

    def sample(self, size: int) -> tuple[ValueArray, float]:
        values, largest = self._shard.sample(size)
        return values, largest

    def assign(self) -> tuple[IndexArray, ValueArray]:
        labels, values = self._shard.assign()
        return labels, values

    def statistics(self) -> dict[str, Any]:
        found = self._shard.statistics()
        return engine_statistics(found, len(self._problem.points) * self._seen, simd=self._simd)


def _frame_arguments(frame: Frame) -> dict[str, Any]:
    return {
        "dtype": frame.dtype,
        "metric": frame.kind,
        "scale": frame.scale,
        "largest": frame.largest,
        "threads": frame.threads,
    }


def _order_arguments(order: OrderRequest | None) -> dict[str, Any]:
    nothing = np.empty(0, dtype=np.int64)
    if order is None:
        order = OrderRequest(None, of_roots=False, groups=None, at_least=nothing, at_most=nothing)
    return {
        "weights": nothing.astype(np.float64) if order.weights is None else order.weights,
        "of_roots": order.of_roots,
        # An engine has 32 bits for a group's number.
        "groups": (nothing if order.groups is None else order.groups).astype(np.int32),
        "at_least": order.at_least,
        "at_most": order.at_most,
    }


def _memory_arguments(frame: Frame) -> dict[str, Any]:
    return {"memory_limit": frame.memory_limit, "spill_folder": frame.spill_folder}


BACKEND = CpuBackend()
