"""What a backend is handed: matrices that were looked through, in one frame, and which backend it is."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn, TypeVar

import numpy as np

from farpoint._device_inputs import AnyMatrix, element_type, host_rows, multiplied
from farpoint._loading import Loaded
from farpoint._metrics import Metric, Unit
from farpoint._parts import PartedMatrix
from farpoint.backends import choose_backend, cuda
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._protocol import Backend, Frame, LimitTooSmallError, Matrix, Scanner, ScanResult

_log = logging.getLogger("farpoint.select")

Result = TypeVar("Result")

# float64 elements are used as they are while their squares, and the squares of their differences, stay far
# from float64's ends; beyond, a power of two is taken out first.
_SAFE_EXPONENT = 300
_SAFE_ROW_EXPONENT = 200
# Elements that are looked at in float64 at a time, where the compiled scan is not used.
_SCAN_ELEMENTS = 1 << 18
# Squared distances are scaled to stay below 2**127, just inside float32.
_FLOAT32_EXPONENT = 127


@dataclass
class Plan:
    """The backend of a call, and what "auto" goes on with where a device has too little memory."""

    backend: Backend
    fallback: Callable[[], Backend] | None = None

    def run(self, work: Callable[[Backend], Result]) -> Result:
        """Do `work`."""
        try:
            return work(self.backend)
        except MemoryError as error:
            if self.fallback is None:
                raise
            reason = error
        chosen, self.fallback = self.fallback(), None
        _log.info("backend %s instead of %s: %s", chosen.name, self.backend.name, reason)
        self.backend = chosen
        return work(self.backend)


@dataclass
class Prepared:
    """Checked matrices of one call, in one frame."""

    matrices: list[AnyMatrix]
    frame: Frame
    metric: Metric
    unit: Unit
    plan: Plan
    memory_limit: int | None
    copied: int

    def run(self, work: Callable[[Backend], Result], problem: str = "") -> Result:
        """Do `work`; `problem` is what to call it where the memory limit is too small for it."""
        try:
            return self.plan.run(work)
        except LimitTooSmallError as error:
            least = error.least + self.copied
            raise ValueError(
                f"memory_limit = {self.memory_limit:,} bytes is too little for {problem}: at least "
                f"{least:,} bytes are needed"
            ) from None


def prepare(loaded: Loaded, partners: int) -> Prepared:
    """Choose the backend, check the elements and find the frame.

    Parameters
    ----------
    loaded : Loaded
    partners : int
        How many rows each row of the first matrix is to meet.
    """
    matrices, names = loaded.matrices, loaded.names
    dtype = element_type(matrices[0])
    plan = _plan(loaded, dtype, partners)

    # One matrix passed twice is scanned once; bits have nothing to look for.
    scans = {
        id(matrix): NOTHING_FOUND
        if loaded.metric.of_bits
        else plan.run(partial(scan, matrix, threads=loaded.threads, device=loaded.device))
        for matrix in matrices
    }
    for matrix, name in zip(matrices, names, strict=True):
        check_scan(scans[id(matrix)], matrix, name, loaded.metric)
    frame, unit, taming = find_frame(
        loaded.metric, dtype, matrices[0].shape[1], scans.values(), loaded.threads, loaded.device
    )
    matrices = [taming.apply(matrix) for matrix in matrices]
    copied = loaded.copied + sum(
        matrix.nbytes
        for matrix, original in zip(matrices, loaded.matrices, strict=True)
        if matrix is not original and isinstance(matrix, np.ndarray)
    )
    limit = loaded.memory_limit
    frame = replace(
        frame,
        memory_limit=None if limit is None else max(0, limit - copied),
        spill_folder=loaded.spill_folder,
    )
    return Prepared(matrices, frame, loaded.metric, unit, plan, limit, copied)


# What a scan returns of a matrix without bad or zero rows.
NOTHING_FOUND: ScanResult = (-1, -1, 1.0, 1.0)


@dataclass(frozen=True)
class Taming:
    """A power of two that is taken out of extreme float64 data; exact, but for a copy."""

    wanted: bool = False
    exponent: int | None = None  # None: each row is multiplied by what brings its largest element near 1

    def apply(self, matrix: AnyMatrix) -> AnyMatrix:
        """Return the matrix that engines are given."""
        return multiplied(matrix, self.exponent) if self.wanted else matrix


def find_frame(
    metric: Metric,
    dtype: str,
    columns: int,
    scans: Iterable[ScanResult],
    threads: int,
    device: int | None = None,
) -> tuple[Frame, Unit, Taming]:
    """Find what matrices share that were scanned, and what is to be done to each of them."""
    found = list(scans)
    largest = max(result[2] for result in found)
    smallest_row = min(result[3] for result in found)
    unit, taming = Unit(0), Taming()
    if dtype == "float64":
        taming = _taming(metric, largest, smallest_row)
        if taming.exponent is not None:
            largest, unit = math.ldexp(largest, taming.exponent), Unit(-metric.degree * taming.exponent)
        elif taming.wanted:
            largest = 1.0
    elif metric.degree > 0:
        unit = Unit(_value_exponent(largest, columns, metric.degree))
    scale = 1.0 if dtype == "float64" else unit.scale
    return Frame(metric.kind, dtype, scale, largest, threads, device), unit, taming


def _plan(loaded: Loaded, dtype: str, partners: int) -> Plan:
    main, metric = loaded.matrices[0], loaded.metric.name
    if loaded.backend != "auto":
        return Plan(choose_backend(loaded.backend, metric, dtype, constraints=loaded.constraints))
    if isinstance(main, DeviceMatrix) or loaded.device is not None:
        return Plan(choose_backend(cuda.BACKEND.name, metric, dtype))
    work = float(main.shape[0]) * main.shape[1] * partners
    backend = choose_backend("auto", metric, dtype, work=work, constraints=loaded.constraints)
    if backend is cuda.BACKEND:
        return Plan(backend, lambda: choose_backend("auto", metric, dtype))
    return Plan(backend)


def _value_exponent(largest: float, dimension: int, degree: int) -> int:
    """Even e such that d (2 largest)^degree <= 2**127 * 2**e: values use the top of float32's range."""
    if largest == 0:
        return 0
    _, element_exponent = math.frexp(largest)
    needed = (dimension - 1).bit_length() + degree * (1 + element_exponent)
    exponent = needed - _FLOAT32_EXPONENT
    return exponent + exponent % 2


def _taming(metric: Metric, largest: float, smallest_row: float) -> Taming:
    """Return what float64 data need whose elements are so large, and whose rows are so small."""
    if largest == 0:
        return Taming()
    exponent = math.frexp(largest)[1]
    if metric.kind == "cosine":
        # Directions do not change when a row is multiplied.
        low = math.frexp(smallest_row)[1]
        return Taming(wanted=max(exponent, -low) > _SAFE_ROW_EXPONENT)
    return Taming(True, -exponent) if abs(exponent) > _SAFE_EXPONENT else Taming()


def scan(matrix: AnyMatrix, backend: Backend, threads: int, device: int | None = None) -> ScanResult:
    """(First row with NaN or infinity or -1, first zero row or -1, largest, smallest row maximum).

    An extension scans for its own backend only: the others work whatever state it is in.
    """
    if isinstance(backend, Scanner):
        return backend.scan(matrix, threads, device)
    assert not isinstance(matrix, DeviceMatrix)
    bad, zero, largest, smallest = -1, -1, 0.0, math.inf
    step = max(1, _SCAN_ELEMENTS // matrix.shape[1])
    for start in range(0, len(matrix), step):
        block = matrix[start : start + step].astype(np.float64)
        maxima = np.abs(block).max(axis=1)
        finite = np.isfinite(maxima)
        if bad < 0 and not finite.all():
            bad = start + int(np.argmin(finite))
        zeros = maxima == 0
        if zero < 0 and zeros.any():
            zero = start + int(np.argmax(zeros))
        positive = maxima[finite & ~zeros]
        if len(positive):
            largest = max(largest, float(positive.max()))
            smallest = min(smallest, float(positive.min()))
    return bad, zero, largest, smallest


def check_scan(result: ScanResult, matrix: AnyMatrix, name: str, metric: Metric) -> None:
    """Raise if a matrix cannot be used."""
    bad_row, zero_row, _, _ = result
    if bad_row >= 0:
        raise_not_finite(*_place(matrix, bad_row, name), host_rows(matrix, bad_row, bad_row + 1)[0])
    if zero_row >= 0 and metric.kind == "cosine":
        raise_zero_row(*_place(matrix, zero_row, name))


def raise_not_finite(name: str, row: int, elements: Matrix) -> NoReturn:
    """Say which element of a row is not finite."""
    values = elements.astype(np.float64)
    column = int(np.argmax(~np.isfinite(values)))
    found = "NaN" if np.isnan(values[column]) else values[column]
    raise ValueError(
        f"{name} must be finite: row {row}, column {column} is {found}; drop or impute such rows"
    )


def raise_zero_row(name: str, row: int) -> NoReturn:
    """Say which row has no direction."""
    raise ValueError(f"{name}: row {row} is all zeros, which has no cosine distance; drop such rows")


def _place(matrix: AnyMatrix, row: int, name: str) -> tuple[str, int]:
    """Return what a message calls the source of a row, and the row's number there."""
    return matrix.locate(row) if isinstance(matrix, PartedMatrix) else (name, row)
