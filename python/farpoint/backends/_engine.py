"""What the backends that are compiled extensions share."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from farpoint._parts import PartedMatrix
from farpoint.backends._protocol import HostMatrix, Matrix, RawSelection, SelectProblem

# For tests: small problems go through every stage of the engine (csrc/core/tuning.h, kEagerSchedule).
EAGER_VARIABLE = "FARPOINT_TEST_EAGER"


def eager() -> bool:
    """Whether tests ask for every stage at once."""
    return bool(os.environ.get(EAGER_VARIABLE))


def raw(matrix: HostMatrix) -> Matrix | list[Matrix]:
    """Return what an extension takes: an array, or the parts of a matrix that is in several.

    The buffer protocol has no bfloat16, so the bits travel as integers.
    """
    if isinstance(matrix, PartedMatrix):
        return [_bits(part) for part in matrix.parts]
    return _bits(matrix)


def _bits(matrix: Matrix) -> Matrix:
    return matrix.view(np.uint16) if matrix.dtype.name == "bfloat16" else matrix


def raw_selection(found: dict[str, Any], problem: SelectProblem, **statistics: Any) -> RawSelection:
    """Turn what an extension's `select` returns into what a backend's does."""
    anchors = 0 if problem.anchors is None else len(problem.anchors)
    seen = len(found["indices"]) + len(problem.selected) + anchors
    known = len(problem.prior)
    return RawSelection(
        indices=found["indices"][known:],
        values=found["values"][known:],
        next_value=found["next_value"],
        labels=found["labels"] if problem.assign else None,
        label_values=found["label_values"] if problem.assign else None,
        statistics=engine_statistics(found, len(problem.points) * seen, **statistics),
    )


def engine_statistics(found: dict[str, Any], pairs: int, **statistics: Any) -> dict[str, Any]:
    """Return what an extension counted, and `statistics`; `pairs`: how many there are."""
    counted = (
        "levels",
        "pairs_screened",
        "pairs_looked_up",
        "pairs_confirmed",
        "pairs_refined",
        "pairs_improved",
    )
    phases = ("seed", "certify", "catch_up", "pick", "assign")
    return {
        **statistics,
        **{name: found[name] for name in counted},
        "fraction_evaluated": min(1.0, found["pairs_screened"] / max(1, pairs)),
        "seconds_by_phase": {phase: found[f"seconds_{phase}"] for phase in phases},
    }
