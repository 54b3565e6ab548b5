"""What a backend is: what it supports, and four operations on validated problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from farpoint._parts import PartedMatrix

# What engines compute of rows of packed bits.
BIT_KINDS = ("hamming", "jaccard")

Matrix = npt.NDArray[Any]
HostMatrix = Matrix | PartedMatrix
ScanResult = tuple[int, int, float, float]
ValueArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

# Rows, and their stored values: the picks made since it was called last. Called on the calling thread,
# several times a second; may raise to stop. The last picks of a selection need not be among them.
PickListener = Callable[[IndexArray, ValueArray], None]


class LimitTooSmallError(MemoryError):
    """A backend cannot do with the memory limit of the call. Raised before any work."""

    def __init__(self, least: int) -> None:
        super().__init__(f"at least {least:,} bytes are needed")
        self.least = least


# Those that backends on the host have.
METRICS = frozenset({"euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev", "hamming", "jaccard"})


@dataclass(frozen=True)
class Capabilities:
    """What a backend can be asked for; drives validation, dispatch and the table in the docs."""

    metrics: frozenset[str]
    dtypes: frozenset[str]
    devices: frozenset[str] = frozenset({"cpu"})
    # Those of "weights", "groups" and "exclude" that `select` can take.
    constraints: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Frame:
    """What all matrices of one call share."""

    kind: str  # "squared", "cosine", "manhattan", "chebyshev", "hamming" or "jaccard"
    dtype: str  # element type of every matrix of the call
    scale: float  # the contract's power of two; 1 for float64, for cosine and for bits
    largest: float  # upper bound of |element|
    threads: int
    device: int | None = None  # index of the CUDA device; None where none takes part
    memory_limit: int | None = None  # bytes that the call may take beyond its matrices
    spill_folder: str = ""  # where temporary files go

    @property
    def stored(self) -> type[np.floating]:
        """The type that values are rounded to."""
        return np.float64 if self.dtype == "float64" or self.of_bits else np.float32

    @property
    def of_bits(self) -> bool:
        """Whether rows are packed bits."""
        return self.kind in BIT_KINDS

    def check_memory(self, least: int) -> None:
        """Raise LimitTooSmallError unless the limit allows so many bytes."""
        if self.memory_limit is not None and self.memory_limit < least:
            raise LimitTooSmallError(least)


@dataclass(frozen=True)
class OrderRequest:
    """Weights and groups: what decides which row is picked next, beside distances (docs/constraints.md)."""

    weights: ValueArray | None  # of each row: 0, or not above 1
    of_roots: bool  # with weights: distances are the roots of stored values
    groups: IndexArray | None  # of each row the number of its group
    at_least: IndexArray  # picks of each group
    at_most: IndexArray


@dataclass(frozen=True)
class SelectProblem:
    """A validated selection. Rows of every matrix are contiguous.

    Matrices are numpy arrays, PartedMatrix where they are in several, and DeviceMatrix where the backend's
    devices hold them.
    """

    points: Any
    frame: Frame
    k: int  # those of `prior` among them
    # Picks that are made, in order: the first one, or those of an earlier selection, each at a value above 0.
    # Empty only where something is kept away from.
    prior: IndexArray
    prior_value: float  # no free row's stored value is above this; infinity where nothing is known
    selected: IndexArray
    anchors: Any
    minimum_value: float  # no pick whose stored value is below this
    assign: bool
    listener: PickListener | None
    # Never picked, and not kept away from; none of them is in `selected`.
    excluded: IndexArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    order: OrderRequest | None = None  # None: by value


@dataclass(frozen=True)
class RawSelection:
    """The picks after those of SelectProblem.prior, in stored values."""

    indices: IndexArray
    values: ValueArray
    next_value: float  # the largest of a row that is still free; 0 where none is
    labels: IndexArray | None = None
    label_values: ValueArray | None = None
    # For Selection.info: "simd", "device" and "fraction_evaluated" where the backend has them, and what
    # else it counts.
    statistics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PairProblem:
    """Rows of `x` against rows of `y`; both validated, of one element type."""

    x: Any
    y: Any
    frame: Frame


@dataclass(frozen=True)
class ShardProblem:
    """Some of the rows of a selection that is spread over several engines."""

    points: Any
    frame: Frame  # of all shards
    entries: int  # how many rows will be seen in all, about: engines plan with it
    assign: bool


@dataclass(frozen=True)
class Level:
    """Candidates: the free rows of a shard that are not after (last_value, last_row) in the order."""

    rows: IndexArray  # of the shard; in no particular order
    values: ValueArray  # exact: the stored values to the nearest entry seen
    last_value: float
    last_row: int


class Shard(Protocol):
    """The stages of a selection (csrc/core/select.h) for the rows of one shard, called from outside."""

    @property
    def free_rows(self) -> int:
        """How many rows are neither picked nor kept away from."""
        ...

    def see(self, rows: Matrix, own: IndexArray, values: ValueArray | None) -> None:
        """Append entries to the list of rows that all shards are compared with, in the same order everywhere.

        `own[i]` is the row of this shard that entry i is, or -1. `values` are those at which they were
        picked; None where they are kept away from, which comes before all picks.
        """
        ...

    def level(self, value: float, capacity: int) -> Level:
        """Bring the rows up to date whose stored value may be at least `value`, and return those where it is.

        No more than `capacity`: the first in the order of picking.
        """
        ...

    def sample(self, size: int) -> tuple[ValueArray, float]:
        """Upper bounds of the values of about `size` evenly chosen free rows, and of all of them."""
        ...

    def assign(self) -> tuple[IndexArray, ValueArray]:
        """Each row's nearest entry as a position among the picks, -1: one kept away from; and the value."""
        ...

    def statistics(self) -> dict[str, Any]:
        """As in RawSelection.statistics."""
        ...


@dataclass(frozen=True)
class CandidateProblem:
    """Picks among candidates: rows of `points`, which are in the order of their numbers."""

    points: Matrix
    values: ValueArray  # at present
    frame: Frame
    k: int  # at most so many
    last_value: (
        float  # no pick that comes after (last_value, last_row), a row of `points`, in the order of picking
    )
    last_row: int
    minimum_value: float


@dataclass(frozen=True)
class PickedCandidates:
    """Picks among candidates, in order."""

    rows: IndexArray  # of CandidateProblem.points
    values: ValueArray
    # Value of the pick that would follow: where k picks are made, or where it is below minimum_value; None
    # where no candidate is left that may be picked.
    next_value: float | None


class Backend(Protocol):
    """One way to compute. All ways return the same bits."""

    @property
    def name(self) -> str:
        """Its name in the public interface."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it supports."""
        ...

    def unavailable(self) -> str | None:
        """Return why it cannot be used here, or None if it can."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what it would run with here."""
        ...

    def select(self, problem: SelectProblem) -> RawSelection:
        """Farthest-point selection."""
        ...

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Nearest row of y for each row of x; ties to the lowest."""
        ...

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Return the closest two rows of x; ties to the lowest (i, j)."""
        ...

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """All values, (len(x), len(y))."""
        ...


@runtime_checkable
class Scanner(Protocol):
    """A backend with a pass of its own over a matrix, for validation."""

    def scan(self, matrix: Any, threads: int, device: int | None) -> ScanResult:
        """(First row with NaN or infinity or -1, first zero row or -1, largest, smallest row maximum)."""
        ...


@runtime_checkable
class Sharding(Protocol):
    """A backend whose selections can be spread over several engines."""

    def shard(self, problem: ShardProblem) -> Shard:
        """Return the stages of a selection for some of its rows."""
        ...

    def pick_among(self, problem: CandidateProblem) -> PickedCandidates:
        """Pick among candidates alone."""
        ...
