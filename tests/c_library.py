"""The shared library of the C interface through ctypes: its declarations once more, arrays in and out."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import farpoint
from tests.conftest import Array

OK, INVALID_ARGUMENT, OUT_OF_MEMORY, LIMIT_TOO_SMALL, SPILL_FAILED, CANCELLED, INTERNAL_ERROR = range(7)
DTYPES = {
    name: number
    for number, name in enumerate(("float16", "bfloat16", "float32", "float64", "int8", "uint8"), start=1)
}
METRICS = {
    name: number
    for number, name in enumerate(
        ("euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev", "hamming", "jaccard")
    )
}
START_DEFAULT, START_ROW, START_CENTER = range(3)

# Called on the thread that made the call; what it returns ends the call unless it is 0.
Progress = Callable[[int, int, float], int]
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_double)


class Matrix(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("row_stride", ctypes.c_int64),
        ("dtype", ctypes.c_int32),
    ]


class RunOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("threads", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        ("memory_limit", ctypes.c_int64),
        ("spill_folder", ctypes.c_char_p),
        ("simd_level", ctypes.c_char_p),
        ("progress", PROGRESS),
        ("context", ctypes.c_void_p),
    ]


class SelectOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("min_distance", ctypes.c_double),
        ("start", ctypes.c_int32),
        ("assign", ctypes.c_int32),
        ("start_row", ctypes.c_int64),
        ("selected", ctypes.c_void_p),
        ("selected_count", ctypes.c_int64),
        ("excluded", ctypes.c_void_p),
        ("excluded_count", ctypes.c_int64),
        ("anchors", ctypes.POINTER(Matrix)),
        ("weights", ctypes.c_void_p),
        ("groups", ctypes.c_void_p),
        ("group_count", ctypes.c_int64),
        ("at_least", ctypes.c_void_p),
        ("at_most", ctypes.c_void_p),
    ]


class CError(Exception):
    """A call that did not return FARPOINT_OK."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Selected(NamedTuple):
    """What a selection's handle knew before it was freed."""

    indices: npt.NDArray[np.int64]
    radii: npt.NDArray[np.float64]
    h_min: float
    covering_radius: float
    upper_bound: float
    labels: npt.NDArray[np.int64] | None
    distances: npt.NDArray[np.float64] | None


@cache
def library() -> ctypes.CDLL:
    """Load it, with the types of what its functions return."""
    loaded = ctypes.CDLL(farpoint.get_library())
    for name in ("version", "last_error_message"):
        getattr(loaded, f"farpoint_{name}").restype = ctypes.c_char_p
    loaded.farpoint_simd_levels.restype = ctypes.POINTER(ctypes.c_char_p)
    for name in ("free", "size", "indices", "radii", "h_min", "covering_radius", "upper_bound"):
        getattr(loaded, f"farpoint_selection_{name}").argtypes = [ctypes.c_void_p]
    for name in ("labels", "distances"):
        getattr(loaded, f"farpoint_selection_{name}").argtypes = [ctypes.c_void_p]
    loaded.farpoint_selection_free.restype = None
    loaded.farpoint_selection_size.restype = ctypes.c_int64
    for name in ("indices", "radii", "labels", "distances"):
        getattr(loaded, f"farpoint_selection_{name}").restype = ctypes.c_void_p
    for name in ("h_min", "covering_radius", "upper_bound"):
        getattr(loaded, f"farpoint_selection_{name}").restype = ctypes.c_double
    matrix, run = ctypes.POINTER(Matrix), ctypes.POINTER(RunOptions)
    loaded.farpoint_select.argtypes = [
        *(matrix, ctypes.c_int32, ctypes.c_int64, ctypes.POINTER(SelectOptions), run),
        ctypes.POINTER(ctypes.c_void_p),
    ]
    pair: list[Any] = [matrix, matrix, ctypes.c_int32, run]
    loaded.farpoint_nearest.argtypes = [*pair, ctypes.c_void_p, ctypes.c_void_p]
    loaded.farpoint_covering_radius.argtypes = [*pair, ctypes.POINTER(ctypes.c_double)]
    loaded.farpoint_pairwise_distances.argtypes = [*pair, ctypes.c_void_p]
    loaded.farpoint_closest_pair.argtypes = [
        *(matrix, ctypes.c_int32, run, ctypes.POINTER(ctypes.c_double)),
        *(ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_int64)),
    ]
    return loaded


def check(status: int) -> None:
    """Raise what a call says of itself."""
    if status != OK:
        raise CError(status, library().farpoint_last_error_message().decode())


def matrix(array: Array, **wrong: Any) -> Matrix:
    """Describe an array, which must outlive what is returned; but for the fields that are given."""
    fields = {
        "data": array.ctypes.data,
        "rows": array.shape[0],
        "columns": array.shape[1],
        "row_stride": array.strides[0],
        "dtype": DTYPES[array.dtype.name],
    }
    return Matrix(**{**fields, **wrong})


def run_options(progress: Progress | None = None, **options: Any) -> RunOptions:
    """Make them."""
    found = RunOptions(struct_size=ctypes.sizeof(RunOptions), **options)
    if progress is not None:
        found.progress = PROGRESS(lambda _context, done, total, radius: progress(done, total, radius))
    return found


def select_options(arrays: list[Array], **options: Any) -> SelectOptions:
    """Make them. What they borrow is appended to `arrays`; rows, weights and groups are array_likes."""
    found = SelectOptions(struct_size=ctypes.sizeof(SelectOptions))
    types = {"selected": np.int64, "excluded": np.int64, "weights": np.float64, "groups": np.int32}
    for name, value in options.items():
        if name == "anchors":
            arrays.append(np.asarray(value))
            found.anchors = ctypes.pointer(matrix(arrays[-1]))
        elif name in types or name in ("at_least", "at_most"):
            arrays.append(np.array(value, dtype=types.get(name, np.int64)))
            setattr(found, name, arrays[-1].ctypes.data)
            if name in ("selected", "excluded"):
                setattr(found, f"{name}_count", arrays[-1].size)
            if name in ("at_least", "at_most"):
                found.group_count = arrays[-1].size
        else:
            setattr(found, name, value)
    return found


def taken(address: int | None, size: int, kind: Any) -> Any:
    """Copy what a handle owns."""
    if not address or not size:
        return np.empty(0, dtype=kind)
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (size,)).copy()


def select(
    X: Array, k: int = 0, metric: str = "euclidean", run: RunOptions | None = None, **options: Any
) -> Selected:
    """Select, and free the handle."""
    lib, handle = library(), ctypes.c_void_p()
    points, arrays = matrix(X), [X]
    check(
        lib.farpoint_select(
            points, METRICS[metric], k, select_options(arrays, **options), run, ctypes.byref(handle)
        )
    )
    size = lib.farpoint_selection_size(handle)
    assigned = bool(lib.farpoint_selection_labels(handle))
    found = Selected(
        indices=taken(lib.farpoint_selection_indices(handle), size, ctypes.c_int64),
        radii=taken(lib.farpoint_selection_radii(handle), size, ctypes.c_double),
        h_min=lib.farpoint_selection_h_min(handle),
        covering_radius=lib.farpoint_selection_covering_radius(handle),
        upper_bound=lib.farpoint_selection_upper_bound(handle),
        labels=taken(lib.farpoint_selection_labels(handle), len(X), ctypes.c_int64) if assigned else None,
        distances=taken(lib.farpoint_selection_distances(handle), len(X), ctypes.c_double)
        if assigned
        else None,
    )
    lib.farpoint_selection_free(handle)
    return found


def nearest(
    X: Array, Y: Array, metric: str = "euclidean", run: RunOptions | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Nearest rows."""
    distances, indices = np.empty(len(X)), np.empty(len(X), dtype=np.int64)
    check(
        library().farpoint_nearest(
            *(matrix(X), matrix(Y), METRICS[metric], run, distances.ctypes.data, indices.ctypes.data)
        )
    )
    return distances, indices


def closest_pair(
    X: Array, metric: str = "euclidean", run: RunOptions | None = None
) -> tuple[float, int, int]:
    """The closest two rows."""
    distance, i, j = ctypes.c_double(), ctypes.c_int64(), ctypes.c_int64()
    check(library().farpoint_closest_pair(matrix(X), METRICS[metric], run, distance, i, j))
    return distance.value, i.value, j.value


def covering_radius(X: Array, Y: Array, metric: str = "euclidean") -> float:
    """Return the largest of the distances to nearest rows."""
    radius = ctypes.c_double()
    check(library().farpoint_covering_radius(matrix(X), matrix(Y), METRICS[metric], None, radius))
    return radius.value


def pairwise_distances(X: Array, Y: Array, metric: str = "euclidean") -> npt.NDArray[np.float64]:
    """All distances."""
    distances = np.empty((len(X), len(Y)))
    check(
        library().farpoint_pairwise_distances(
            matrix(X), matrix(Y), METRICS[metric], None, distances.ctypes.data
        )
    )
    return distances


def header() -> str:
    """Return the text of farpoint.h."""
    return Path(farpoint.get_include(), "farpoint.h").read_text()
