"""The backend without a compiler; what it does is in _numba_engine, which is imported when it is used."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any

from farpoint.backends._protocol import (
    METRICS,
    CandidateProblem,
    Capabilities,
    IndexArray,
    PairProblem,
    PickedCandidates,
    RawSelection,
    SelectProblem,
    Shard,
    ShardProblem,
    ValueArray,
)

if TYPE_CHECKING:
    from farpoint.backends import _numba_engine


@cache
def _present() -> bool:
    return importlib.util.find_spec("numba") is not None


def _engine() -> _numba_engine.NumbaEngine:
    from farpoint.backends import _numba_engine

    return _numba_engine.ENGINE


class NumbaBackend:
    """Batched selection without a compiler."""

    name = "numba"
    capabilities = Capabilities(
        metrics=METRICS,
        dtypes=frozenset({"float16", "bfloat16", "float32", "float64", "int8", "uint8"}),
        constraints=frozenset({"weights", "groups", "exclude"}),
    )

    def unavailable(self) -> str | None:
        """Return how to install Numba, if it is missing."""
        return None if _present() else 'Numba is not installed: pip install "farpoint[numba]"'

    def describe(self) -> dict[str, Any]:
        """Numba's version."""
        import numba

        return {"numba": numba.__version__}

    def select(self, problem: SelectProblem) -> RawSelection:
        """Farthest-point selection in batches."""
        return _engine().select(problem)

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Nearest row of y for each row of x."""
        return _engine().nearest(problem)

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Return the closest two rows of x."""
        return _engine().closest_pair(problem)

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """All values."""
        return _engine().pairwise(problem)

    def shard(self, problem: ShardProblem) -> Shard:
        """Return the stages of a selection for the rows of one shard."""
        return _engine().shard(problem)

    def pick_among(self, problem: CandidateProblem) -> PickedCandidates:
        """Pick by the plain loop."""
        return _engine().pick_among(problem)


BACKEND = NumbaBackend()
