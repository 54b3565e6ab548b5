"""Every check of what users pass, once; what comes out is what backends may rely on."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint._inputs import as_matrix
from farpoint._metrics import METRICS, Metric, Unit
from farpoint.backends import choose_backend, cpu
from farpoint.backends._protocol import Backend, Frame, IndexArray, Matrix

# float64 elements are used as they are while their squares, and the squares of their differences, stay far
# from float64's ends; beyond, a power of two is taken out first.
_SAFE_EXPONENT = 300
_SAFE_ROW_EXPONENT = 200
# Elements that are looked at in float64 at a time, where the compiled scan is not used.
_SCAN_ELEMENTS = 1 << 18
# Squared distances are scaled to stay below 2**127, just inside float32.
_FLOAT32_EXPONENT = 127


@dataclass(frozen=True)
class Prepared:
    """Checked matrices of one call, in one frame."""

    matrices: list[Matrix]
    frame: Frame
    metric: Metric
    unit: Unit
    backend: Backend


def check_metric(metric: object) -> Metric:
    """Look a metric up by name."""
    if not isinstance(metric, str) or metric not in METRICS:
        known = ", ".join(repr(name) for name in METRICS)
        raise ValueError(f"unknown metric {metric!r}; the known ones are {known}")
    return METRICS[metric]


def check_threads(threads: object) -> int:
    """Return how many threads to use; None: the processors this process may use."""
    if threads is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    count = _integer(threads, "threads")
    if count < 1:
        raise ValueError(f"threads must be at least 1, not {count}; None uses all processors")
    return min(count, 1024)


def prepare(
    sources: Sequence[tuple[object, str]],
    metric: str,
    backend: str,
    threads: int | None,
    *,
    convert_to_first: bool = False,
) -> Prepared:
    """Check the matrices of a call and bring them into one frame.

    Parameters
    ----------
    sources : sequence of (array_like, name)
        The first is the main one.
    convert_to_first : bool
        Bring the others to the element type of the first, instead of all to the type that holds all.

    Raises
    ------
    TypeError, ValueError
        With the name of the argument, what is wrong and where.
    """
    chosen_metric = check_metric(metric)
    thread_count = check_threads(threads)
    if backend != "auto":
        # An unknown or unusable backend is refused before any data is read.
        choose_backend(backend, metric)
    matrices = [as_matrix(source, name) for source, name in sources]
    names = [name for _, name in sources]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        if matrix.shape[1] != matrices[0].shape[1]:
            raise ValueError(
                f"{name} has {matrix.shape[1]} columns where {names[0]} has {matrices[0].shape[1]}"
            )
    matrices = _common_dtype(matrices, names, convert_to_first)
    dtype = matrices[0].dtype.name
    chosen_backend = choose_backend(backend, metric, dtype)

    # One matrix passed twice is scanned once.
    scans = {id(matrix): _scan(matrix, thread_count, chosen_backend) for matrix in matrices}
    for matrix, name in zip(matrices, names, strict=True):
        bad_row, zero_row, _, _ = scans[id(matrix)]
        if bad_row >= 0:
            _raise_not_finite(matrix, bad_row, name)
        if zero_row >= 0 and chosen_metric.kind == "cosine":
            raise ValueError(
                f"{name}: row {zero_row} is all zeros, which has no cosine distance; drop such rows"
            )
    largest = max(scan[2] for scan in scans.values())
    smallest_row = min(scan[3] for scan in scans.values())

    exponent = 0
    scale = 1.0
    if dtype == "float64":
        matrices, largest, exponent = _tame_float64(matrices, chosen_metric, largest, smallest_row)
        unit = Unit(exponent)
    elif chosen_metric.kind == "squared":
        unit = Unit(_value_exponent(largest, matrices[0].shape[1]))
        scale = unit.scale
    else:
        unit = Unit(0)
    frame = Frame(chosen_metric.kind, dtype, scale, largest, thread_count)
    return Prepared(matrices, frame, chosen_metric, unit, chosen_backend)


def _value_exponent(largest: float, dimension: int) -> int:
    """Even e such that 4 d largest^2 <= 2**127 * 2**e: stored values use the top of float32's range."""
    if largest == 0:
        return 0
    _, element_exponent = math.frexp(largest)
    needed = 2 + (dimension - 1).bit_length() + 2 * element_exponent
    exponent = needed - _FLOAT32_EXPONENT
    return exponent + exponent % 2


def _tame_float64(
    matrices: list[Matrix], metric: Metric, largest: float, smallest_row: float
) -> tuple[list[Matrix], float, int]:
    """Take a power of two out of extreme float64 data; exact, but for a copy."""
    if largest == 0:
        return matrices, largest, 0
    exponent = math.frexp(largest)[1]
    if metric.kind == "cosine":
        low = math.frexp(smallest_row)[1]
        if max(exponent, -low) <= _SAFE_ROW_EXPONENT:
            return matrices, largest, 0
        # Directions do not change when a row is multiplied.
        tamed = []
        for matrix in matrices:
            row_exponents = np.frexp(np.abs(matrix).max(axis=1))[1]
            tamed.append(np.ldexp(matrix, -row_exponents[:, None]))
        return tamed, 1.0, 0
    if abs(exponent) <= _SAFE_EXPONENT:
        return matrices, largest, 0
    tamed = [np.ldexp(matrix, -exponent) for matrix in matrices]
    return tamed, math.ldexp(largest, -exponent), 2 * exponent


def _common_dtype(matrices: list[Matrix], names: list[str], convert_to_first: bool) -> list[Matrix]:
    dtypes = [matrix.dtype.name for matrix in matrices]
    if len(set(dtypes)) == 1:
        return matrices
    if not convert_to_first:
        target: npt.DTypeLike = np.float64 if "float64" in dtypes else np.float32
        return [matrix.astype(target) for matrix in matrices]
    target = matrices[0].dtype
    converted = [matrices[0]]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            other = matrix.astype(target)
        if target.kind in "iu" and not np.array_equal(other, matrix):
            raise TypeError(
                f"{name} has dtype {matrix.dtype} with elements that {names[0]}'s dtype {target} "
                f"cannot hold; convert {names[0]} to a floating type first"
            )
        converted.append(other)
    return converted


def _scan(matrix: Matrix, threads: int, backend: Backend) -> tuple[int, int, float, float]:
    """(First row with NaN or infinity or -1, first zero row or -1, largest, smallest row maximum).

    The extension scans for its own backend only: the others work whatever state it is in.
    """
    if backend is cpu.BACKEND:
        return cpu.scan(matrix, threads)
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


def _raise_not_finite(matrix: Matrix, row: int, name: str) -> None:
    values = matrix[row].astype(np.float64)
    column = int(np.argmax(~np.isfinite(values)))
    raise ValueError(
        f"{name} must be finite: row {row}, column {column} is {values[column]}; drop or impute such rows"
    )


def check_count(k: object, n: int, free: int, min_distance: float | None) -> int:
    """Return how many picks to make: a count, a fraction of n, or as many as min_distance allows."""
    if k is None:
        if min_distance is None:
            raise ValueError("give k (how many rows), min_distance (how far apart), or both")
        return free
    if isinstance(k, (bool, np.bool_)):
        raise TypeError("k must be a count or a fraction, not a bool")
    if isinstance(k, (float, np.floating)):
        fraction = float(k)
        if not 0.0 < fraction <= 1.0:
            raise ValueError(
                f"a float k is a fraction of the rows, in (0, 1], not {fraction}; for a count pass an int"
            )
        if free == 0:
            raise ValueError(f"k = {fraction} of the {n} rows is at least one, and selected leaves none")
        return min(max(1, round(fraction * n)), free)
    count = _integer(k, "k")
    if count < 1:
        raise ValueError(f"k must be at least 1, not {count}")
    if count > free:
        without = "" if free == n else f" that are not in selected (of {n})"
        raise ValueError(f"k = {count} is more than the {free} rows{without}")
    return count


def check_min_distance(min_distance: object) -> float | None:
    """Return a distance, or None."""
    if min_distance is None:
        return None
    try:
        distance = _real(min_distance, "min_distance")
    except OverflowError:
        raise ValueError("min_distance must be a number that float64 holds; the largest is 1.8e308") from None
    if math.isnan(distance) or distance < 0:
        raise ValueError(f"min_distance must be at least 0, not {distance}")
    return distance


def check_selected(selected: object, n: int) -> IndexArray:
    """Return rows that were chosen before: distinct row numbers."""
    if selected is None:
        return np.empty(0, dtype=np.int64)
    try:
        rows = np.asarray(selected)
    except ValueError as error:
        raise ValueError(f"selected must be a flat list of row numbers ({error})") from None
    if rows.size == 0:
        return np.empty(0, dtype=np.int64)
    if rows.dtype == np.bool_:
        raise TypeError("selected must be row numbers; numpy.flatnonzero(mask) makes them of a mask")
    if rows.dtype.kind not in "iu":
        raise TypeError(f"selected must be integers (row numbers), not {rows.dtype}")
    if rows.ndim != 1:
        raise ValueError(f"selected must be 1-D; it has shape {rows.shape}")
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise ValueError(f"selected holds row {rows[np.argmax(outside)]}; rows are 0 to {n - 1}")
    rows = rows.astype(np.int64)
    order = np.argsort(rows, kind="stable")
    repeated = rows[order][1:] == rows[order][:-1]
    if repeated.any():
        raise ValueError(f"selected holds row {rows[order][1:][np.argmax(repeated)]} more than once")
    return np.ascontiguousarray(rows)


def check_start(start: object, seed: object, n: int, kept_away: bool) -> int | str | None:
    """Return a row, "center" or "random"; None when something is kept away from.

    Then the first pick is the row farthest from that, and `start` must have been left alone.
    """
    if seed is not None and (isinstance(seed, (bool, np.bool_)) or not _is_seed(seed)):
        raise TypeError(f"seed must be None, an int or a numpy Generator, not {type(seed).__name__}")
    if isinstance(start, str):
        if start not in ("center", "random"):
            raise ValueError(f'start must be a row number, "center" or "random", not {start!r}')
        if kept_away:
            _raise_start_without_meaning(start)
        return start
    row = _integer(start, "start")
    if kept_away:
        if row != 0:
            _raise_start_without_meaning(row)
        return None
    if not 0 <= row < n:
        raise ValueError(f"start = {row} is not a row; rows are 0 to {n - 1}")
    return row


def _raise_start_without_meaning(start: object) -> None:
    raise ValueError(
        f"start = {start!r} has no meaning together with selected or anchors: the first pick is the row "
        "farthest from them"
    )


def _is_seed(seed: object) -> bool:
    if isinstance(seed, np.random.Generator):
        return True
    try:
        return operator.index(seed) >= 0  # type: ignore[arg-type]
    except TypeError:
        return False


def _integer(value: object, name: str) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, not a bool")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None


def _real(value: object, name: str) -> float:
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None


def check_out(out: object, shape: tuple[int, int]) -> npt.NDArray[Any] | None:
    """Check an array to write distances to."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if out.dtype not in (np.float32, np.float64):
        raise TypeError(f"out must be float32 or float64, not {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape} where the distances have {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    return out
