"""The public functions: signatures and docstrings; validate, dispatch, wrap."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from farpoint import _loading, _preparing
from farpoint import _validation as check
from farpoint._checkpoint import Checkpoint
from farpoint._constraints import Quotas
from farpoint._device_inputs import AnyMatrix, host_rows, taken, write_rows
from farpoint._fingerprint import constraint_differences
from farpoint._progress import Progress
from farpoint._selecting import check_belongs, check_selection, picks_of, prepare_selection
from farpoint.backends._protocol import PairProblem
from farpoint.refinement import Options, check_free, check_memory, refined
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
    start: int | str | None = None,
    selected: npt.ArrayLike | None = None,
    anchors: Any = None,
    weights: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    quotas: Quotas | None = None,
    exclude: npt.ArrayLike | None = None,
    min_distance: float | None = None,
    assign: bool = False,
    refine: bool | float | Mapping[str, Any] | None = None,
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress = False,
    seed: int | np.random.Generator | None = None,
) -> Selection:
    """Select the most evenly spread rows: exact farthest-point selection.

    Each pick is the row farthest from all picks so far; ties go to the lowest row number. The smallest
    distance within the selection, `h_min`, is at least half of what any selection of that size can reach. The
    result is the same to the bit for every backend, SIMD level and number of threads.

    Parameters
    ----------
    X : (n, d) array_like, or paths
        One row a point: numpy array or memory map of float16, bfloat16, float32, float64, int8 or uint8 in
        any memory order, torch tensor, Arrow (fixed-size) list or tensor array, anything with an
        array protocol, nested lists. All elements must be finite. Not copied where rows are contiguous; other
        integers are converted to a floating type that holds them. Arrays on a CUDA device (CuPy, PyTorch,
        JAX, Numba, anything with DLPack or the CUDA array interface; needs CuPy) stay there. A path, a
        pattern, a folder of files or a list of these: see `open_matrix`.
    k : int or float, optional
        How many rows: a count, or a fraction of n as a float in (0, 1] (rounded; at least one, at most
        the rows that are neither in `selected` nor in `exclude`). May be left out when `min_distance` is
        given. Asking for rows where there is none left is an error.
    metric : str
        What `radii`, `h_min` and `min_distance` are measured in: "euclidean", "sqeuclidean", "cosine",
        ``1 - cos(x, y)``, for which zero rows are an error; "manhattan", the sum of the absolute
        differences, and "chebyshev", the largest of them; of packed bits (`numpy.packbits`) "hamming", how
        many differ, and "jaccard", one less the share of the bits set in either that are set in both. A
        CUDA device has the first three.
    start : int or {"center", "random"}, optional
        The first pick: a row number, the row nearest the mean (not of packed bits), or a random row (see
        `seed`). Default: row 0; with `weights`, `quotas` or `exclude` the row of the largest weight that may
        be picked, the lowest of several. Has no meaning with `selected` or `anchors`: then the first pick is
        the row farthest from them.
    selected : (s,) array_like of int, optional
        Rows of X chosen before: never returned again, kept away from.
    anchors : (m, d) array_like, or paths, optional
        Vectors outside X to keep away from, such as data already owned. Converted to the dtype of X, and
        copied to its device.
    weights : (n,) array_like, optional
        How much each row is wanted, such as a quality: the next pick is the row with the largest weight times
        distance to the picks so far, ties to the lowest. Finite, and 0 or at least 2**-300 of the largest.
        Rows of weight 0 come last, in row order. Only ratios matter; weights that are all equal change
        nothing. See docs/constraints.md for this and the next three.
    groups : (n,) array_like, optional
        The group of each row: integers, strings or anything that `numpy.unique` sorts. Needs `quotas`.
    quotas : mapping, int or (int or None, int or None), optional
        How many picks there are to be of each group: exactly so many, or at least and at most so many, None
        for no limit. A mapping by group, in which ``...`` stands for all others (by default without limit);
        or one quota for every group. Each pick is the farthest row whose group is not full and that leaves
        enough picks for all that is asked for. Rows in `selected` do not count. Quotas that `k` picks cannot
        meet are an error.
    exclude : (e,) array_like of int, or (n,) of bool, optional
        Rows that are never returned, as row numbers or as a mask, and that are not kept away from. They get
        labels with `assign`, but do not count for the covering radius. Their elements must be finite all the
        same.
    min_distance : float, optional
        Stop before a pick closer than this to what came before it. Without `k`, as many rows as there
        are: none, where every row is in `selected` or too close to what is kept away from. With `weights` or
        `quotas` rows that are too close are passed over instead, until there is no other; then quotas may be
        missed.
    assign : bool
        Also return each row's nearest pick and its distance.
    refine : bool, float or dict, optional
        Exchange picks for other rows afterwards, so that `h_min` rises: for so many seconds, True for 10, or
        a dictionary with ``seconds``, ``moves`` and ``seed`` as for `farpoint.refine`. A `start` that was
        given as a row or "center" stays. A checkpoint holds the picks as they were before.
    backend : {"auto", "cpu", "cuda", "numba", "reference"}
        "auto" takes the compiled engine, or Numba where there is none; "cuda" for arrays on a CUDA device,
        and for much work (n d k) where a device can be used and has the memory. A backend that is named is
        used or refused. "cuda" has no `weights`,
        `groups` and `exclude`.
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
    checkpoint : path-like, optional
        Keep the picks in this file, once a minute and when the call is ended by Ctrl-C, SIGTERM or an
        error; the same call goes on from there. So does one with another `k`, `min_distance`, `assign`,
        `backend`, `device` or `threads`, which decide nothing about the order. Another X, `metric`, `start`,
        `selected`, `anchors`, `weights`, `groups`, `quotas` or `exclude` is refused; with quotas that ask for
        a least number another `k`, and with weights or quotas another `min_distance`. Of X (and of
        `anchors`) that is seen by the shape, the element type, a hash of 1,024 evenly spaced rows, the radii
        of some picks, and the names, sizes and times of last change of the files that it is in; a change of
        other rows is not seen. `Selection.load` reads the file at any moment. See docs/long-runs.md.
    progress : bool or callable
        True shows a bar (needs tqdm); a callable gets (done, total, radius) several times a second.
    seed : int or numpy.random.Generator, optional
        For ``start="random"``, and for `refine`.

    Returns
    -------
    Selection
        `indices`, `radii`, `h_min`, `covering_radius`, `upper_bound` and more.

    Raises
    ------
    ValueError, TypeError
        With the argument or file, what is wrong with it and what would be right.
    OSError, ImportError
        A file cannot be read, or needs a package that is not installed: see `open_matrix`.
    RuntimeError
        The backend that was named cannot be used here.
    MemoryError
        What the system did not give, and for what.
    OSError
        A temporary file could not be written: the disk is full.
    OSError
        The checkpoint cannot be written; the one before is intact.
    KeyboardInterrupt
        Ctrl-C ends a selection within a fraction of a second; with a checkpoint SIGTERM does too.

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
    >>> farpoint.select(X, k=3, weights=[1, 9, 1, 1, 1]).indices
    array([1, 3, 4])
    >>> farpoint.select(X, k=3, groups=["a", "a", "a", "b", "b"], quotas={"a": (2, None)}).indices
    array([0, 3, 1])
    >>> farpoint.select(X, k=2, exclude=[0, 3]).indices
    array([1, 4])
    """
    began = time.perf_counter()
    options = Options.of_argument(refine, seed)
    kept = None if checkpoint is None else Checkpoint(checkpoint)
    task = prepare_selection(
        X,
        k,
        metric=metric,
        selected=selected,
        anchors=anchors,
        min_distance=min_distance,
        assign=assign,
        backend=backend,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
        weights=weights,
        groups=groups,
        quotas=quotas,
        exclude=exclude,
    )
    if options is not None:
        check_free(task.constraints)
        check_memory(task)
    known = task.known(start, seed, kept, lambda first: task.fingerprint(first, X))
    selection = task.run(known, progress=progress, checkpoint=kept, began=began)
    if options is None:
        return selection
    stays = known.indices[:1] if start is not None and start != "random" else known.indices[:0]
    return refined(task, selection, options, stays, time.perf_counter())


def extend(
    selection: Selection,
    X: Any,
    k: int | float | None = None,
    *,
    selected: npt.ArrayLike | None = None,
    anchors: Any = None,
    weights: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    quotas: Quotas | None = None,
    exclude: npt.ArrayLike | None = None,
    min_distance: float | None = None,
    assign: bool = False,
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    progress: Progress = False,
) -> Selection:
    """Select more rows after those of an earlier selection, without picking these again.

    Parameters
    ----------
    selection : Selection
        What `select` returned for the same X, a prefix of it, or what was loaded from a file or a checkpoint.
    X : (n, d) array_like, or paths
        The matrix that it was made from.
    k : int or float, optional
        How many rows altogether, as for `select`.
    selected, anchors
        What the selection was kept away from: the same as then.
    weights, groups, quotas, exclude
        The same as then. A selection with quotas that ask for a least number of rows kept its last picks for
        these: it cannot be made longer.
    min_distance, assign, backend, device, threads, memory_limit, spill_folder, progress
        As for `select`; none of them need be as it was (but `min_distance` with weights or quotas).

    Returns
    -------
    Selection
        What ``select(X, k, ...)`` with the metric and the first pick of `selection` returns, to the bit: with
        a `k` that is smaller than the selection, or a larger `min_distance`, the beginning of it.

    Raises
    ------
    ValueError, TypeError
        As for `select`; and the selection was made from another X, or with others to keep away from. That is
        seen by the shape, the element type, and the radii of some of its picks, which are computed again.

    Notes
    -----
    Of an engine's state only the picks are kept, and what else it needs is made again: most rows need to meet
    a few of the picks only. docs/long-runs.md says what that costs.

    Examples
    --------
    >>> X = np.array([[0, 0], [1, 0], [0, 1], [10, 0], [0, 7]], dtype=np.float32)
    >>> s = farpoint.select(X, k=2)
    >>> farpoint.extend(s, X, k=4).indices
    array([0, 3, 4, 1])
    """
    began = time.perf_counter()
    check_selection(selection)
    if selection.is_refined:
        raise ValueError(
            "selection was refined: no selection goes on from it; to keep its rows and add others, call "
            "select(X, k, selected=selection.indices)"
        )
    task = prepare_selection(
        X,
        k,
        metric=selection.metric,
        selected=selected,
        anchors=anchors,
        min_distance=min_distance,
        assign=assign,
        backend=backend,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
        weights=weights,
        groups=groups,
        quotas=quotas,
        exclude=exclude,
    )
    check_belongs(selection, task.loaded.matrices[0])
    different = constraint_differences(selection.info.get("constraints", {}), task.record)
    if different:
        raise ValueError(f"selection was made otherwise: {'; '.join(different)}")
    known = picks_of(selection)
    task.check_made_here(known, "selection")
    if not len(known) and not task.keeps_away:
        raise ValueError("selection is empty: give what it was kept away from (selected, anchors)")
    return task.run(known, progress=progress, checkpoint=None, began=began)


def update(
    selection: Selection,
    X_new: Any,
    k: int | float | None = None,
    *,
    X: Any,
    anchors: Any = None,
    min_distance: float | None = None,
    assign: bool = False,
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    progress: Progress = False,
) -> Selection:
    """Select from rows that arrived later those that keep the `h_min` of an earlier selection.

    The rows of `selection` stay selected. The new ones are chosen one by one, each the farthest from all
    before it, old and new, until the next would be closer than `h_min`.

    Parameters
    ----------
    selection : Selection
        What was selected so far.
    X_new : (m, d) array_like, or paths
        The rows that arrived, without those of before.
    k : int or float, optional
        At most so many of them. Default: all that keep `h_min`.
    X : (n, d) array_like, or paths
        The matrix that `selection` was made from.
    anchors : (a, d) array_like, optional
        Other vectors to keep away from: what `selection` was kept away from, or selected before it.
    min_distance : float, optional
        Keep this distance instead of ``selection.h_min``.
    assign, backend, device, threads, memory_limit, spill_folder, progress
        As for `select`.

    Returns
    -------
    Selection
        Row numbers are those of `X_new`. May be empty.

    Raises
    ------
    ValueError, TypeError
        As for `select`; and `X` is not what `selection` was made from, which is seen by its shape and type
        alone.

    Notes
    -----
    This is ``select(X_new, k, anchors=X[selection.indices], min_distance=selection.h_min)``, with the metric
    of the selection. A third batch is kept away from both selections before it, and keeps the first `h_min`::

        first = farpoint.select(X0, 1000)
        second = farpoint.update(first, X1, X=X0)
        third = farpoint.update(second, X2, X=X1, anchors=X0[first.indices], min_distance=first.h_min)

    Examples
    --------
    >>> X = np.array([[0.0], [4.0], [9.0], [5.0]])
    >>> s = farpoint.select(X, k=3)
    >>> s.h_min
    4.0
    >>> farpoint.update(s, [[8.0], [14.0], [13.5], [20.0]], X=X).indices
    array([3, 1])
    """
    check_selection(selection)
    before = _loading.load([(X, "X")], selection.metric, backend, threads, device).matrices[0]
    check_belongs(selection, before)
    kept = taken(before, selection.indices)
    if anchors is not None:
        others = _loading.load([(anchors, "anchors")], selection.metric, backend, threads, device).matrices[0]
        if others.shape[1] != kept.shape[1]:
            raise ValueError(f"anchors has {others.shape[1]} columns where X has {kept.shape[1]}")
        kept = np.concatenate((host_rows(kept, 0, len(kept)), host_rows(others, 0, len(others))))
    if min_distance is None and math.isfinite(selection.h_min):
        min_distance = selection.h_min
    if min_distance is None and k is None:
        raise ValueError(
            f"the selection has no h_min to keep: it has {len(selection)} picks and was kept away from "
            "nothing; give min_distance or k"
        )
    return select(
        X_new,
        k,
        metric=selection.metric,
        anchors=host_rows(kept, 0, len(kept)) if len(kept) else None,
        min_distance=min_distance,
        assign=assign,
        backend=backend,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
        progress=progress,
    )


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
    X : (n, d) array_like, or paths
    Y : (m, d) array_like, or paths
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
    loaded = _loading.load(
        [(X, "X"), (Y, "Y")],
        metric,
        backend,
        threads,
        device,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
    )
    prepared = _preparing.prepare(loaded, len(loaded.matrices[1]))
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
    X : (n, d) array_like, or paths
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
    loaded = _loading.load(
        [(X, "X")], metric, backend, threads, device, memory_limit=memory_limit, spill_folder=spill_folder
    )
    prepared = _preparing.prepare(loaded, len(loaded.matrices[0]) // 2)
    points = prepared.matrices[0]
    if len(points) < 2:
        raise ValueError(f"{loaded.names[0]} has one row; a pairwise distance needs at least two")
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
    X : (n, d) array_like, or paths
    Y : (m, d) array_like, or paths, optional
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
    loaded = _loading.load(sources, metric, backend, threads, device)
    prepared = _preparing.prepare(loaded, len(loaded.matrices[-1]))
    x, y = prepared.matrices[0], prepared.matrices[-1]
    target = check.check_out(out, x, (len(x), len(y)))

    def distances(rows: AnyMatrix) -> npt.NDArray[np.float64]:
        problem = PairProblem(rows, y, prepared.frame)
        values = prepared.run(lambda chosen: chosen.pairwise(problem))
        return prepared.metric.distances(values, prepared.unit)

    if target is None:
        return distances(x)
    step = max(1, _OUT_ELEMENTS // len(y))
    for begin in range(0, len(x), step):
        block = slice(begin, begin + step)
        with np.errstate(over="ignore"):
            write_rows(target, block, distances(x[block]).astype(target.dtype, copy=False))
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
    X : (n, d) array_like, or paths
    Y : (m, d) array_like, or paths
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
