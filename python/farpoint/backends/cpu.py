"""The C++ engine: the extension farpoint._cpu behind the backend protocol."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

import numpy as np

from farpoint.backends._protocol import (
    Capabilities,
    Frame,
    IndexArray,
    Matrix,
    PairProblem,
    RawSelection,
    SelectProblem,
    ValueArray,
)

SIMD_VARIABLE = "FARPOINT_SIMD"
# For tests: small problems go through every stage of the engine (csrc/core/tuning.h, kEagerSchedule).
EAGER_VARIABLE = "FARPOINT_TEST_EAGER"


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


def _eager() -> bool:
    return bool(os.environ.get(EAGER_VARIABLE))


def _raw(matrix: Matrix) -> Matrix:
    # The buffer protocol has no bfloat16; the bits travel as integers.
    return matrix.view(np.uint16) if matrix.dtype.name == "bfloat16" else matrix


def scan(matrix: Matrix, threads: int) -> tuple[int, int, float, float]:
    """One pass: (first non-finite row or -1, first zero row or -1, largest and smallest magnitude)."""
    bad, zero, largest, smallest = _extension().scan(_raw(matrix), matrix.dtype.name, threads, simd_level())
    return bad, zero, largest, smallest


class CpuBackend:
    """Batched, lazy, screened, threaded; see csrc/core/select.h."""

    name = "cpu"
    capabilities = Capabilities(
        metrics=frozenset({"euclidean", "sqeuclidean", "cosine"}),
        dtypes=frozenset({"float16", "bfloat16", "float32", "float64", "int8", "uint8"}),
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

    def select(self, problem: SelectProblem) -> RawSelection:
        """Farthest-point selection."""
        simd = simd_level()
        raw = _extension().select(
            points=_raw(problem.points),
            k=problem.k,
            first=-1 if problem.first is None else problem.first,
            selected=problem.selected,
            anchors=None if problem.anchors is None else _raw(problem.anchors),
            minimum_value=problem.minimum_value,
            assign=problem.assign,
            progress=problem.progress,
            simd=simd,
            eager=_eager(),
            **_frame_arguments(problem.frame),
        )
        anchors = 0 if problem.anchors is None else len(problem.anchors)
        seen = len(raw["indices"]) + len(problem.selected) + anchors
        pairs = max(1, len(problem.points) * seen)
        return RawSelection(
            indices=raw["indices"],
            values=raw["values"],
            next_value=raw["next_value"],
            labels=raw["labels"] if problem.assign else None,
            label_values=raw["label_values"] if problem.assign else None,
            statistics={
                "simd": simd,
                "levels": raw["levels"],
                "pairs_screened": raw["pairs_screened"],
                "pairs_looked_up": raw["pairs_looked_up"],
                "pairs_confirmed": raw["pairs_confirmed"],
                "pairs_refined": raw["pairs_refined"],
                "pairs_improved": raw["pairs_improved"],
                "fraction_evaluated": min(1.0, raw["pairs_screened"] / pairs),
                "seconds_by_phase": {
                    phase: raw[f"seconds_{phase}"]
                    for phase in ("seed", "certify", "catch_up", "pick", "assign")
                },
            },
        )

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Nearest row of y for each row of x."""
        values, indices = _extension().nearest(
            x=_raw(problem.x),
            y=_raw(problem.y),
            simd=simd_level(),
            eager=_eager(),
            **_frame_arguments(problem.frame),
        )
        return values, indices

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Return the closest two rows of x."""
        value, i, j = _extension().closest_pair(
            x=_raw(problem.x), simd=simd_level(), eager=_eager(), **_frame_arguments(problem.frame)
        )
        return value, i, j

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """All values."""
        values: ValueArray = _extension().pairwise(
            x=_raw(problem.x),
            y=_raw(problem.y),
            simd=simd_level(),
            **_frame_arguments(problem.frame),
        )
        return values


def _frame_arguments(frame: Frame) -> dict[str, Any]:
    return {
        "dtype": frame.dtype,
        "metric": frame.kind,
        "scale": frame.scale,
        "largest": frame.largest,
        "threads": frame.threads,
    }


BACKEND = CpuBackend()
