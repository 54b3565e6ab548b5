"""The public functions: signatures and docstrings; validate, dispatch, wrap."""

from __future__ import annotations

import math
import os
import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from farpoint import _validation as check
from farpoint._config import __version__
from farpoint._device_inputs import AnyMatrix, write_rows
from farpoint._progress import Progress, listening
from farpoint._start import center_row, random_row
from farpoint.backends._protocol import Frame, PairProblem, SelectProblem
from farpoint.selection import Selection

# Rows of a block when distances are written to a float32 `out`.
_OUT_ELEMENTS = 1 << 22


class ClosestPair(NamedTuple):
    """The closest two rows of a matrix: their distance and row numbers, i < j."""

    value: float
    i: int
    j: int


class Nearest(NamedTuple):
    """Distance to, and row number of, the nearest row."""

    distances: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]


def select(
    X: Any,
    k: int | float | None = None,
    *,
    metric: str = "euclidean",
    start: int | str = 0,
    selected: npt.ArrayLike | None = None,
    anchors: Any = None,
    min_distance: float | None = None,
    assign: bool = False,
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    progress: Progress = False,
    seed: int | np.random.Generator | None = None,
) -> Selection:
    """Select the most evenly spread rows: exact farthest-point selection.

    Each pick is the row farthest from all picks so far; ties go to the lowest row number. The smallest
    distance within the selection, `h_min`, is at least half of what any selection of that size can reach. The
    result is the same to the bit for every backend, SIMD level and number of threads.

    Parameters
    ----------
    X : (n, d) array_like
        One row a point: numpy array or memory map of float16, bfloat16, float32, float64, int8 or uint8 in
        any memory order, torch tensor, Arrow (fixed-size) list or tensor array, anything with an
        array protocol, nested lists. All elements must be finite. Not copied where rows are contiguous; other
        integers are converted to a floating type that holds them. Arrays on a CUDA device (CuPy, PyTorch,
        JAX, Numba, anything with DLPack or the CUDA array interface; needs CuPy) stay there.
    k : int or float, optional
        How many rows: a count, or a fraction of n as a float in (0, 1] (rounded; at least one, at most
        the rows that are not in `selected`). May be left out when `min_distance` is given. Asking for
        rows where every row is in `selected` is an error.
    metric : {"euclidean", "sqeuclidean", "cosine"}
        What `radii`, `h_min` and `min_distance` are measured in. Cosine distance is ``1 - cos(x, y)``;
        zero rows are an error.
    start : int or {"center", "random"}
        The first pick: a row number, the row nearest the mean, or a random row (see `seed`). Has no
        meaning with `selected` or `anchors`: then the first pick is the row farthest from them.
    selected : (s,) array_like of int, optional
        Rows of X chosen before: never returned again, kept away from.
    anchors : (m, d) array_like, optional
        Vectors outside X to keep away from, such as data already owned. Converted to the dtype of X, and
        copied to its device.
    min_distance : float, optional
        Stop before a pick closer than this to what came before it. Without `k`, as many rows as there
        are: none, where every row is in `selected` or too close to what is kept away from.
    assign : bool
        Also return each row's nearest pick and its distance.
    backend : {"auto", "cpu", "cuda", "numba", "reference"}
        "auto" takes the compiled engine, or Numba where there is none; "cuda" for arrays on a CUDA device,
        and for much work (n d k) where a device can be used and has the memory. A backend that is named is
        used or refused.
    device : int, optional
        Index of the CUDA device, for backend "cuda", which it asks for if that is "auto". Default: where X
        is, else 0.
    threads : int, optional
        Default: the processors that this process may use.
    memory_limit : int or str, optional
        Bytes that the call may take beyond X, as a number or such as "4GiB" or "800MB". What does not fit
        goes to a temporary file, or is done without, more slowly and with the same result. Default: as much
        as is useful. A limit too small even for that is an error that says the least that works. What counts
        is in docs/memory.md.
    spill_folder : path-like, optional
        Folder for temporary files. Default: the system's. They are gone when the call ends, however it ends.
    progress : bool or callable
        True shows a bar (needs tqdm); a callable gets (done, total, radius) several times a second.
    seed : int or numpy.random.Generator, optional
        For ``start="random"``.

    Returns
    -------
    Selection
        `indices`, `radii`, `h_min`, `covering_radius`, `upper_bound` and more.

    Raises
    ------
    ValueError, TypeError
        With the argument, what is wrong with it and what would be right.
    RuntimeError
        The backend that was named cannot be used here.
    MemoryError
        What the system did not give, and for what.
    OSError
        A temporary file could not be written: the disk is full.
    KeyboardInterrupt
        Ctrl-C ends a selection within a fraction of a second.

    Notes
    -----
    Distances are reported in float64; one that float64 does not hold (of float64 data with elements near
    1e308, squared ones near 1e154) as infinity. The order of selection is right all the same.

    Farthest-first traversal (Gonzalez, 1985 [1]_). The plain loop costs n k d multiply-adds; the compiled
    engine evaluates a fraction of the pairs (``info["fraction_evaluated"]``). It keeps about d + 110 bytes
    a row and 2 d bytes a pick (int8 codes and state; 4 d bytes a pick and 32 a row where it works
    without codes), and with at most 8 columns a copy of X, 2 to 3.5 times X while it is built: docs/memory.md
    says what of it `memory_limit` can spare.

    References
    ----------
    .. [1] T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical
       Computer Science 38 (1985), 293-306.

    Examples
    --------
    >>> X = np.array([[0, 0], [1, 0], [0, 1], [10, 0], [0, 7]], dtype=np.float32)
    >>> s = farpoint.select(X, k=3)
    >>> s.indices
    array([0, 3, 4])
    >>> s.radii
    array([inf, 10.,  7.])
    >>> farpoint.select(X, min_distance=1.2).indices
    array([0, 3, 4])
    >>> farpoint.select(X, k=1, selected=[3], anchors=[[0, 7]]).indices
    array([1])
    """
    began = time.perf_counter()
    distance = check.check_min_distance(min_distance)
    sources = [(X, "X")] if anchors is None else [(X, "X"), (anchors, "anchors")]
    loaded = check.load(
        sources,
        metric,
        backend,
        threads,
        device,
        convert_to_first=True,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
    )
    n = len(loaded.matrices[0])
    rows = check.check_selected(selected, n)
    count = check.check_count(k, n, n - len(rows), distance)
    prepared = check.prepare(loaded, count)
    points, frame = prepared.matrices[0], prepared.frame
    kept_away = anchors is not None or len(rows) > 0
    first = _first_row(check.check_start(start, seed, n, kept_away), points, frame, seed)

    minimum = 0.0
    if distance is not None:
        minimum = prepared.metric.smallest_value(distance, prepared.unit, frame.stored)
    with listening(progress, count, prepared.metric, prepared.unit) as listener:
        problem = SelectProblem(
            points=points,
            frame=frame,
            k=count,
            first=first,
            selected=rows,
            anchors=prepared.matrices[1] if anchors is not None else None,
            minimum_value=minimum,
            assign=bool(assign),
            progress=listener,
        )
        raw = prepared.run(
            lambda chosen: chosen.select(problem),
            f"{n:,} rows of {points.shape[1]:,} columns and k = {count:,}",
        )
        if listener is not None and len(raw.indices):
            listener(len(raw.indices), count, float(raw.values[-1]))
    label_values = raw.label_values
    return Selection(
        indices=raw.indices,
        radii=prepared.metric.distances(raw.values, prepared.unit),
        covering_radius=prepared.metric.distance(raw.next_value, prepared.unit),
        metric=prepared.metric.name,
        labels=raw.labels,
        distances=None if label_values is None else prepared.metric.distances(label_values, prepared.unit),
        info={
            "backend": prepared.plan.backend.name,
            "version": __version__,
            "n": n,
            "d": points.shape[1],
            "dtype": frame.dtype,
            "threads": frame.threads,
            "seconds": time.perf_counter() - began,
            "simd": None,
            "device": None,
            "fraction_evaluated": 1.0,
            "bytes_work": None,
            "bytes_spilled": 0,
            **raw.statistics,
        },
    )


def _first_row(
    start: int | str | None, points: AnyMatrix, frame: Frame, seed: int | np.random.Generator | None
) -> int | None:
    if start == "center":
        return center_row(points, frame)
    if start == "random":
        return random_row(len(points), seed)
    return start  # type: ignore[return-value]


def nearest(
    X: Any,
    Y: Any,
    *,
    metric: str = "euclidean",
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
) -> Nearest:
    """Find the nearest row of Y for each row of X, exactly.

    Parameters
    ----------
    X : (n, d) array_like
    Y : (m, d) array_like
        As for `select`. Of different dtypes: both are converted to float64 if one is, else to float32.
    metric, backend, device, threads, memory_limit, spill_folder
        As for `select`.

    Returns
    -------
    Nearest
        Named tuple ``(distances, indices)``, (n,) float64 and (n,) int64; ties go to the lowest row of Y.

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    Costs n m d multiply-adds in blocked float32; only pairs that a proven bound lets through get their
    canonical float64 distance. Nothing of size n x m is stored.

    Examples
    --------
    >>> farpoint.nearest([[0.0], [4.0]], [[5.0], [1.0], [-1.0]])
    Nearest(distances=array([1., 1.]), indices=array([1, 0]))
    """
    loaded = check.load(
        [(X, "X"), (Y, "Y")],
        metric,
        backend,
        threads,
        device,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
    )
    prepared = check.prepare(loaded, len(loaded.matrices[1]))
    problem = PairProblem(prepared.matrices[0], prepared.matrices[1], prepared.frame)
    values, indices = prepared.run(
        lambda chosen: chosen.nearest(problem),
        f"{len(problem.x):,} rows of {problem.x.shape[1]:,} columns and {len(problem.y):,} rows of Y",
    )
    return Nearest(prepared.metric.distances(values, prepared.unit), indices)


def h_min(
    X: Any,
    *,
    metric: str = "euclidean",
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
) -> ClosestPair:
    """Find the minimum pairwise distance of a set: its closest pair, exactly.

    Parameters
    ----------
    X : (n, d) array_like
        At least two rows; as for `select`.
    metric, backend, device, threads, memory_limit, spill_folder
        As for `select`.

    Returns
    -------
    ClosestPair
        Named tuple ``(value, i, j)`` with i < j; of several closest pairs the one with the lowest i, then j.

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    Costs n^2 d / 2 multiply-adds in blocked float32. Nothing of size n x n is stored.

    Examples
    --------
    >>> farpoint.h_min([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])
    ClosestPair(value=1.0, i=1, j=2)
    """
    loaded = check.load(
        [(X, "X")], metric, backend, threads, device, memory_limit=memory_limit, spill_folder=spill_folder
    )
    prepared = check.prepare(loaded, len(loaded.matrices[0]) // 2)
    points = prepared.matrices[0]
    if len(points) < 2:
        raise ValueError("X has one row; a pairwise distance needs at least two")
    problem = PairProblem(points, points, prepared.frame)
    value, i, j = prepared.run(
        lambda chosen: chosen.closest_pair(problem), f"{len(points):,} rows of {points.shape[1]:,} columns"
    )
    return ClosestPair(prepared.metric.distance(value, prepared.unit), i, j)


def pairwise_distances(
    X: Any,
    Y: Any = None,
    out: Any = None,
    *,
    metric: str = "euclidean",
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
) -> Any:
    """Compute all distances between rows of X and rows of Y, to the bit of the contract.

    Parameters
    ----------
    X : (n, d) array_like
    Y : (m, d) array_like, optional
        Default: X. As for `nearest`.
    out : (n, m) array of float32 or float64, optional
        Where to write; float32 rounds. A CuPy array where X is on its device.
    metric, backend, device, threads
        As for `select`.

    Returns
    -------
    (n, m) float64 array of numpy, or `out`

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    Differences are squared and summed in float64, n m d of each: no cancellation, whatever the offset of
    the data.

    Examples
    --------
    >>> farpoint.pairwise_distances([[0.0], [3.0]], [[1.0], [5.0]])
    array([[1., 5.],
           [2., 2.]])
    """
    sources = [(X, "X")] if Y is None else [(X, "X"), (Y, "Y")]
    loaded = check.load(sources, metric, backend, threads, device)
    prepared = check.prepare(loaded, len(loaded.matrices[-1]))
    x, y = prepared.matrices[0], prepared.matrices[-1]
    target = check.check_out(out, x, (len(x), len(y)))

    def distances(rows: slice) -> npt.NDArray[np.float64]:
        problem = PairProblem(x[rows], y, prepared.frame)
        values = prepared.run(lambda chosen: chosen.pairwise(problem))
        return prepared.metric.distances(values, prepared.unit)

    if target is None:
        return distances(slice(None))
    step = max(1, _OUT_ELEMENTS // len(y))
    for begin in range(0, len(x), step):
        block = slice(begin, begin + step)
        with np.errstate(over="ignore"):
            write_rows(target, block, distances(block).astype(target.dtype, copy=False))
    return target


def covering_radius(
    X: Any,
    Y: Any,
    *,
    metric: str = "euclidean",
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
) -> float:
    """Return the largest distance from any row of X to its nearest row of Y.

    Parameters
    ----------
    X : (n, d) array_like
    Y : (m, d) array_like
        As for `nearest`.
    metric, backend, device, threads, memory_limit, spill_folder
        As for `select`.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    Costs what `nearest` costs.

    Examples
    --------
    >>> farpoint.covering_radius([[0.0], [1.0], [9.0]], [[0.0], [5.0]])
    4.0
    """
    found = nearest(
        X,
        Y,
        metric=metric,
        backend=backend,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
    )
    return float(found.distances.max()) if len(found.distances) else math.nan
