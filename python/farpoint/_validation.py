"""Every check of the arguments of a call, once; how matrices are checked is in _loading and _preparing."""

from __future__ import annotations

import math
import operator
import os
import re
import sys
from typing import Any

import numpy as np

from farpoint._device_inputs import AnyMatrix, is_on_cuda
from farpoint._metrics import METRICS, Metric
from farpoint.backends import cuda
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._protocol import IndexArray, Matrix


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


def check_sampling(sample: object, seed: object, *, least: int) -> tuple[int, int]:
    """Return how many rows a sample is to have, at least `least`, and the seed that it is drawn by."""
    for name, value, smallest in (("sample", sample, least), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < smallest:
            raise ValueError(f"{name} must be an integer of at least {smallest}, not {value!r}")
    return int(sample), int(seed)  # type: ignore[call-overload]


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
    rows = check_row_numbers(rows, n, name)
    order = np.argsort(rows, kind="stable")
    repeated = rows[order][1:] == rows[order][:-1]
    if repeated.any():
        raise ValueError(f"{name} holds row {rows[order][1:][np.argmax(repeated)]} more than once")
    return np.ascontiguousarray(rows)


def check_row_numbers(rows: Matrix, n: int, name: str, what: str = "integers (row numbers)") -> IndexArray:
    """Return an array of rows as int64; `what` is what it may be."""
    if rows.dtype.kind not in "iu":
        raise TypeError(f"{name} must be {what}, not {rows.dtype}")
    if rows.ndim != 1:
        raise ValueError(f"{name} must be 1-D; it has shape {rows.shape}")
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise ValueError(f"{name} holds row {rows[np.argmax(outside)]}; rows are 0 to {n - 1}")
    return rows.astype(np.int64)


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
