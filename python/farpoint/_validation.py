"""Every check of what users pass, once; what comes out is what backends may rely on."""

from __future__ import annotations

import logging
import math
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn, TypeVar

import numpy as np

from farpoint._device_inputs import (
    AnyMatrix,
    as_device_matrix,
    as_element_type,
    element_type,
    host_rows,
    is_on_cuda,
    multiplied,
    upload,
)
from farpoint._files import is_source, open_files
from farpoint._inputs import as_host_matrix, given_type
from farpoint._metrics import METRICS, Metric, Unit
from farpoint._parts import PartedMatrix
from farpoint._spool import check_spill_folder
from farpoint.backends import choose_backend, cuda
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._protocol import (
    Backend,
    Frame,
    IndexArray,
    LimitTooSmallError,
    Matrix,
    Scanner,
    ScanResult,
)

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


@dataclass(frozen=True)
class Loaded:
    """Matrices of one call, of one element type and in one place, and what was asked for."""

    matrices: list[AnyMatrix]
    names: list[str]
    files: list[tuple[str, int]] | None  # name and rows of each, where the first is from files
    metric: Metric
    backend: str
    threads: int
    device: int | None  # that was named, or that the matrices are on
    memory_limit: int | None
    spill_folder: str
    copied: int  # bytes of matrices that had to be copied; they count against the limit
    constraints: frozenset[str] = frozenset()  # those of a selection that the backend must support


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


def check_actors(actors: object) -> int:
    """Return how many actors a distributed selection is to have."""
    count = _integer(actors, "actors")
    if count < 1:
        raise ValueError(f"actors must be at least 1, not {count}")
    return count


def check_device(device: object, backend: str) -> int | None:
    """Return the index of the CUDA device that was named, if one was; whether it exists is seen later."""
    if device is None:
        return None
    index = _integer(device, "device")
    if index < 0:
        raise ValueError(f"device must be at least 0, not {index}")
    if backend not in ("auto", cuda.BACKEND.name):
        raise ValueError(
            f"device = {index} has no meaning with backend {backend!r}: it is the index of a CUDA device, "
            'for backend "cuda"'
        )
    return index


_BYTE_UNITS = {
    "": 1,
    **{"kMGT"[i - 1] + "B": 1000**i for i in range(1, 5)},
    **{"KMGT"[i - 1] + "iB": 1024**i for i in range(1, 5)},
}
# No machine has more: what the engines' 64-bit numbers hold.
_MOST_BYTES = 1 << 62


def check_memory_limit(limit: object) -> int | None:
    """Return a number of bytes, given as one or as a text such as "4GiB"; None: no limit."""
    if limit is None:
        return None
    units = {unit.lower(): size for unit, size in _BYTE_UNITS.items()}
    if isinstance(limit, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e\d{1,2})?)\s*([a-z]*)\s*", limit.lower())
        if found is None or found[2] not in (*units, "b"):
            raise ValueError(
                f"memory_limit = {limit!r} is not a size; write bytes, or a number with one of "
                f'{", ".join(unit for unit in _BYTE_UNITS if unit)}, such as "4GiB"'
            )
        size = int(min(float(found[1]) * units.get(found[2], 1), _MOST_BYTES))
    else:
        size = _integer(limit, "memory_limit")
    if size < 1:
        raise ValueError(f"memory_limit must be at least 1 byte, not {size:,}; None sets no limit")
    return min(size, _MOST_BYTES)


def load(
    sources: Sequence[tuple[object, str]],
    metric: str,
    backend: str,
    threads: int | None,
    device: int | None = None,
    *,
    convert_to_first: bool = False,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    constraints: frozenset[str] = frozenset(),
) -> Loaded:
    """Bring the matrices of a call to one element type and one place.

    Parameters
    ----------
    sources : sequence of (array_like or paths, name)
        The first is the main one.
    convert_to_first : bool
        Bring the others to the element type of the first, instead of all to the type that holds all.
    memory_limit, spill_folder
        As `select` takes them.
    constraints : frozenset of str
        Those of "weights", "groups" and "exclude" that a selection has.

    Raises
    ------
    TypeError, ValueError
        With the name of the argument, what is wrong and where.
    RuntimeError
        The backend that was named, or that the device needs, cannot be used here.
    """
    chosen_metric = check_metric(metric)
    thread_count = check_threads(threads)
    named = check_device(device, backend)
    limit = check_memory_limit(memory_limit)
    folder = check_spill_folder(spill_folder, needed=limit is not None)
    if backend != "auto" or named is not None:
        # An unknown or unusable backend is refused before any data is read; a device is one.
        choose_backend(backend if named is None else cuda.BACKEND.name, metric, constraints=constraints)
    if named is not None:
        there = cuda.BACKEND.device_count()
        if named >= there:
            raise ValueError(f"device {named} does not exist; there {'is' if there == 1 else 'are'} {there}")
    opened = [_open(source, name, folder or None, limit) for source, name in sources]
    main = opened[0][0]
    files = main.files if isinstance(main, PartedMatrix) else None
    if chosen_metric.of_bits:
        for source, name in opened:
            check_bits(source, name, chosen_metric)
    matrices = _read(opened, metric, backend, constraints)
    names = [name for _, name in opened]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        if matrix.shape[1] != matrices[0].shape[1]:
            raise ValueError(
                f"{name} has {matrix.shape[1]} columns where {names[0]} has {matrices[0].shape[1]}"
            )
    matrices = _in_one_place(common_dtype(matrices, names, convert_to_first), names)
    main = matrices[0]
    if isinstance(main, DeviceMatrix):
        if named not in (None, main.device):
            raise ValueError(
                f"device = {named}, but {names[0]} is on device {main.device}; leave device out, or copy "
                f"{names[0]} to the host"
            )
        named = main.device
    copied = sum(_copied_bytes(matrix, source) for matrix, (source, _) in zip(matrices, opened, strict=True))
    return Loaded(
        *(matrices, names, files, chosen_metric, backend, thread_count, named, limit, folder, copied),
        constraints,
    )


def _open(source: object, name: str, spill_folder: str | None, limit: int | None) -> tuple[object, str]:
    """Return what the files that are named hold, if they are named, and what messages call it."""
    if is_source(source):
        source = open_files(source, spill_folder=spill_folder, in_memory=limit is None)
    return source, source.name if isinstance(source, PartedMatrix) else name


def check_bits(source: object, name: str, metric: Metric) -> None:
    """Raise unless what is given has elements of uint8, for a metric of packed bits."""
    check_bit_type(given_type(source, name), name, metric)


def check_bit_type(found: str, name: str, metric: Metric) -> None:
    """Raise unless the element type is uint8."""
    if found != "uint8":
        raise TypeError(
            f"{name} has dtype {found}; metric {metric.name!r} takes packed bits, uint8: "
            f"numpy.packbits({name}, axis=1) makes them of a matrix of booleans or of 0 and 1"
        )


def _copied_bytes(matrix: AnyMatrix, source: object) -> int:
    """Bytes of host memory that a matrix takes beside what it was made from."""
    if isinstance(matrix, DeviceMatrix):
        return 0
    given = source.parts if isinstance(source, PartedMatrix) else [source]
    held = matrix.parts if isinstance(matrix, PartedMatrix) else [matrix]
    return sum(
        _owned_bytes(ours)
        for ours, theirs in zip(held, given, strict=True)
        if not isinstance(theirs, np.ndarray) or not np.may_share_memory(ours, theirs)
    )


def _owned_bytes(array: Matrix) -> int:
    """Bytes of memory, not mapped, that an array keeps."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return int(array.nbytes) if array.flags.owndata else 0


def _read(
    sources: Sequence[tuple[object, str]], metric: str, backend: str, constraints: frozenset[str]
) -> list[AnyMatrix]:
    main, main_name = sources[0]
    on_device = is_on_cuda(main)
    if on_device:
        try:
            choose_backend(backend, metric, device="cuda", constraints=constraints)
        except (RuntimeError, ValueError) as error:
            raise type(error)(
                f"{main_name} is on a CUDA device: {error}; copy it to the host first ({main_name}.get() "
                f"in CuPy, {main_name}.cpu() in PyTorch)"
            ) from error
    for source, name in sources[1:]:
        if is_on_cuda(source) and not on_device:
            raise TypeError(
                f"{name} is on a CUDA device and {main_name} is on the host; copy {name} to the host, or "
                f"{main_name} to the device"
            )
    return [
        as_device_matrix(source, name) if is_on_cuda(source) else as_host_matrix(source, name)
        for source, name in sources
    ]


def _in_one_place(matrices: list[AnyMatrix], names: list[str]) -> list[AnyMatrix]:
    """Upload the others to where the first is."""
    main = matrices[0]
    if not isinstance(main, DeviceMatrix):
        return matrices
    found: list[AnyMatrix] = [main]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        if isinstance(matrix, DeviceMatrix):
            if matrix.device != main.device:
                raise TypeError(
                    f"{name} is on device {matrix.device} and {names[0]} is on device {main.device}; copy "
                    "one to the other's"
                )
            found.append(matrix)
        else:
            found.append(upload(matrix, main))
    return found


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


def common_dtype(matrices: list[AnyMatrix], names: list[str], convert_to_first: bool) -> list[AnyMatrix]:
    """Bring matrices to the element type of the first, or to one that holds the elements of all."""
    types = [element_type(matrix) for matrix in matrices]
    if len(set(types)) == 1:
        return matrices
    if not convert_to_first:
        target = "float64" if "float64" in types else "float32"
        return [as_element_type(matrix, target) for matrix in matrices]
    target = types[0]
    converted = [matrices[0]]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        # Integers cannot hold everything: whether they do is seen on the host.
        source = matrix.host() if isinstance(matrix, DeviceMatrix) and target in ("int8", "uint8") else matrix
        other = as_element_type(source, target)
        if target in ("int8", "uint8") and not np.array_equal(other, source):  # type: ignore[arg-type]
            raise TypeError(
                f"{name} has dtype {element_type(matrix)} with elements that {names[0]}'s dtype {target} "
                f"cannot hold; convert {names[0]} to a floating type first"
            )
        converted.append(other)
    return converted


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


def check_count(k: object, n: int, free: int, min_distance: float | None, *, excluding: bool = False) -> int:
    """Return how many picks to make: a count, a fraction of n, or as many as min_distance allows."""
    taken = "selected or exclude" if excluding else "selected"
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
            raise ValueError(f"k = {fraction} of the {n} rows is at least one, and all are in {taken}")
        return min(max(1, round(fraction * n)), free)
    count = _integer(k, "k")
    if count < 1:
        raise ValueError(f"k must be at least 1, not {count}")
    if count > free:
        without = "" if free == n else f" that are not in {taken} (of {n})"
        raise ValueError(f"k = {count} is more than the {free} rows{without}")
    return count


def check_min_distance(min_distance: object, name: str = "min_distance") -> float | None:
    """Return a distance, or None."""
    if min_distance is None:
        return None
    try:
        distance = _real(min_distance, name)
    except OverflowError:
        raise ValueError(f"{name} must be a number that float64 holds; the largest is 1.8e308") from None
    if math.isnan(distance) or distance < 0:
        raise ValueError(f"{name} must be at least 0, not {distance}")
    return distance


def check_distance(distance: object) -> float:
    """Return the distance that rows are to be kept at."""
    found = check_min_distance(distance, "distance")
    if found is None:
        raise TypeError("distance must be a number, not None; 0 drops exact duplicates alone")
    if math.isinf(found):
        raise ValueError("distance must be finite, not inf: one row would be kept")
    return found


def check_moves(moves: object) -> int | None:
    """Return the most exchanges that a refinement may make; None: no limit."""
    if moves is None:
        return None
    count = _integer(moves, "moves")
    if count < 1:
        raise ValueError(f"moves must be at least 1, not {count}; None sets no limit")
    return count


def check_seconds(seconds: object, name: str = "seconds") -> float | None:
    """Return how long a refinement may take; None: not said."""
    if seconds is None:
        return None
    try:
        limit = _real(seconds, name)
    except OverflowError:
        limit = math.inf
    if not 0 < limit < math.inf:
        raise ValueError(f"{name} must be a finite number of seconds above 0, not {limit}")
    return limit


def check_seed(seed: object) -> int | np.random.Generator | None:
    """Return what random numbers are drawn from; None: not said."""
    if seed is None or isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, (bool, np.bool_)) or not _is_seed(seed):
        raise TypeError(f"seed must be None, an int or a numpy Generator, not {type(seed).__name__}")
    return operator.index(seed)  # type: ignore[arg-type]


def check_selected(selected: object, n: int, name: str = "selected") -> IndexArray:
    """Return rows that were chosen before: distinct row numbers."""
    if selected is None:
        return np.empty(0, dtype=np.int64)
    try:
        rows = np.asarray(selected)
    except ValueError as error:
        raise ValueError(f"{name} must be a flat list of row numbers ({error})") from None
    if rows.size == 0:
        return np.empty(0, dtype=np.int64)
    if rows.dtype == np.bool_:
        raise TypeError(f"{name} must be row numbers; numpy.flatnonzero(mask) makes them of a mask")
    if rows.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers (row numbers), not {rows.dtype}")
    if rows.ndim != 1:
        raise ValueError(f"{name} must be 1-D; it has shape {rows.shape}")
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise ValueError(f"{name} holds row {rows[np.argmax(outside)]}; rows are 0 to {n - 1}")
    rows = rows.astype(np.int64)
    order = np.argsort(rows, kind="stable")
    repeated = rows[order][1:] == rows[order][:-1]
    if repeated.any():
        raise ValueError(f"{name} holds row {rows[order][1:][np.argmax(repeated)]} more than once")
    return np.ascontiguousarray(rows)


def check_start(start: object, seed: object, n: int, kept_away: bool) -> int | str | None:
    """Return a row, "center", "random", or "best" for None; None when something is kept away from.

    Then the first pick is the row farthest from that, and `start` must have been left alone.
    """
    check_seed(seed)
    if isinstance(start, str):
        if start not in ("center", "random"):
            raise ValueError(f'start must be a row number, "center" or "random", not {start!r}')
        if kept_away:
            _raise_start_without_meaning(start)
        return start
    if start is None:
        return None if kept_away else "best"
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


def check_out(out: Any, matrix: AnyMatrix, shape: tuple[int, int]) -> Any:
    """Check an array to write distances to: numpy's, or CuPy's where the matrices are on its device."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray) and not is_on_cuda(out):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if not isinstance(out, np.ndarray):
        cupy = sys.modules.get("cupy")
        if cupy is None or not isinstance(out, cupy.ndarray):
            raise TypeError(f"out must be a numpy or CuPy array, not {type(out).__name__}")
        if not isinstance(matrix, DeviceMatrix) or int(out.device.id) != matrix.device:
            raise TypeError(
                "out is on a CUDA device and the matrices are not on the same; pass a numpy array"
            )
    if out.dtype not in (np.float32, np.float64):
        raise TypeError(f"out must be float32 or float64, not {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape} where the distances have {shape}")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("out is read-only")
    return out
