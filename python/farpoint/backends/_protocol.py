"""What a backend is: what it supports, and four operations on validated problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]
ScanResult = tuple[int, int, float, float]
ValueArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

# done, total, stored value of the last pick. Called on the calling thread; may raise to stop.
ProgressListener = Callable[[int, int, float], None]


class LimitTooSmallError(MemoryError):
    """A backend cannot do with the memory limit of the call. Raised before any work."""

    def __init__(self, least: int) -> None:
        super().__init__(f"at least {least:,} bytes are needed")
        self.least = least


@dataclass(frozen=True)
class Capabilities:
    """What a backend can be asked for; drives validation, dispatch and the table in the docs."""

    metrics: frozenset[str]
    dtypes: frozenset[str]
    devices: frozenset[str] = frozenset({"cpu"})


@dataclass(frozen=True)
class Frame:
    """What all matrices of one call share."""

    kind: str  # "squared" or "cosine"
    dtype: str  # element type of every matrix of the call
    scale: float  # the contract's power of two; 1 for float64 and for cosine
    largest: float  # upper bound of |element|
    threads: int
    device: int | None = None  # index of the CUDA device; None where none takes part
    memory_limit: int | None = None  # bytes that the call may take beyond its matrices
    spill_folder: str = ""  # where temporary files go

    @property
    def stored(self) -> type[np.floating]:
        """The type that values are rounded to."""
        return np.float64 if self.dtype == "float64" else np.float32

    def check_memory(self, least: int) -> None:
        """Raise LimitTooSmallError unless the limit allows so many bytes."""
        if self.memory_limit is not None and self.memory_limit < least:
            raise LimitTooSmallError(least)


@dataclass(frozen=True)
class SelectProblem:
    """A validated selection. Rows of every matrix are contiguous.

    Matrices are numpy arrays, and DeviceMatrix where the backend's devices hold them.
    """

    points: Any
    frame: Frame
    k: int
    first: int | None  # None exactly when something is kept away from
    selected: IndexArray
    anchors: Any
    minimum_value: float  # stop before a pick whose stored value is below this
    assign: bool
    progress: ProgressListener | None


@dataclass(frozen=True)
class RawSelection:
    """A selection in stored values."""

    indices: IndexArray
    values: ValueArray
    next_value: float
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
