"""Refinement: a selection of the same size whose rows are farther apart than the greedy's."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint import _validation as check
from farpoint._exchange import Found, exchange
from farpoint._independent import farther_apart
from farpoint._json_values import finite
from farpoint._picks import PickListeners
from farpoint._selecting import SelectionTask, check_belongs, check_selection, picks_of, prepare_selection
from farpoint._spread import ROW_BYTES, Spread, values_to_kept_away
from farpoint.backends._protocol import IndexArray, SelectProblem
from farpoint.selection import Selection

# Seconds where nothing else limits a refinement.
_DEFAULT_SECONDS = 10.0
# An h_min that is so near the upper bound is taken to be at it.
_BOUND_SLACK = 2.0**-20


@dataclass(frozen=True)
class Options:
    """What limits a refinement, and what it draws from."""

    seconds: float
    moves: float  # infinite: no limit
    seed: int | np.random.Generator | None

    @classmethod
    def check(cls, seconds: object, moves: object, seed: object) -> Options:
        """Check what the user passed."""
        most = check.check_moves(moves)
        limit = check.check_seconds(seconds)
        if limit is None:
            limit = _DEFAULT_SECONDS if most is None else math.inf
        return cls(limit, math.inf if most is None else most, check.check_seed(seed))

    @classmethod
    def of_argument(cls, argument: object, seed: object) -> Options | None:
        """Return what the argument `refine` of `select` means; None: do not."""
        if argument is None or argument is False:
            return None
        if argument is True:
            return cls.check(None, None, seed)
        if not isinstance(argument, Mapping):
            return cls.check(check.check_seconds(argument, "refine"), None, seed)
        unknown = sorted(map(str, set(argument) - {"seconds", "moves", "seed"}))
        if unknown:
            raise ValueError(f"refine knows seconds, moves and seed, not {', '.join(unknown)}")
        return cls.check(argument.get("seconds"), argument.get("moves"), argument.get("seed", seed))


class _Budget:
    """Counts moves and looks at the clock."""

    def __init__(self, options: Options, began: float) -> None:
        self._deadline = began + options.seconds
        self._most = options.moves
        self.moves = 0

    def spend(self) -> bool:
        """Count a move that is about to be made; False where none may be."""
        if self.moves >= self._most or time.perf_counter() >= self._deadline:
            return False
        self.moves += 1
        return True


def refine(
    selection: Selection,
    X: Any,
    *,
    seconds: float | None = None,
    moves: int | None = None,
    seed: int | np.random.Generator | None = None,
    keep: npt.ArrayLike | None = None,
    selected: npt.ArrayLike | None = None,
    anchors: Any = None,
    assign: bool = False,
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
) -> Selection:
    """Exchange rows of a selection for others, so that its smallest distance rises.

    Farthest-point selection is greedy: its `h_min` is at least half of the largest that so many rows can
    have, and often well below it. The longer this searches the more it finds; it never returns a smaller
    `h_min`.

    Parameters
    ----------
    selection : Selection
        What `select` returned for the same X, or what was refined before.
    X : (n, d) array_like, or paths
        The matrix that it was made from.
    seconds : float, optional
        How long to search, about: what is being computed then is finished. Default: 10, or no limit where
        there is one of `moves`.
    moves : int, optional
        At most so many exchanges. With this as the only limit the result is the same whatever the machine,
        backend and number of threads; with a limit of time it is not.
    seed : int or numpy.random.Generator, optional
        For what is drawn on the way. Default: 0.
    keep : (m,) array_like of int, optional
        Rows of the selection that stay in it.
    selected, anchors
        What the selection was kept away from: the same as then.
    assign, backend, device, threads, memory_limit, spill_folder
        As for `select`.

    Returns
    -------
    Selection
        As many rows. They are in the order of farthest-point selection among themselves, from the first pick
        of `selection` if that is still there, else from the lowest row; so `radii` fall to `h_min` as ever.
        `covering_radius` is that of the refined rows, and not above `h_min`. `upper_bound` is that of
        `selection`. `info` is that of `selection`, and ``info["refinement"]`` has ``h_min_before``, ``gain``
        (1 %: 0.01), ``moves``, ``seconds`` and ``upper_bound``.

    Raises
    ------
    ValueError, TypeError
        As for `extend`; and `keep` holds a row that is not in the selection.
    KeyboardInterrupt
        Ctrl-C; `selection` is as it was.

    Notes
    -----
    At most half of the time goes to a search among the rows of the selection and those that are farthest from
    it, for as many of them that are farther apart; of `moves` it takes none. Then each move takes one of the
    two closest rows out and the row farthest from the rest in, with a short memory that keeps it from going
    in circles, and costs about 2 to 3 n d multiply-adds. docs/refine.md says how much that gains, and where
    little.

    Beyond what `select` takes, it takes 48 bytes a row, and up to 250 MB for the first search, or what
    `memory_limit` leaves.

    Examples
    --------
    >>> X = np.arange(9.0)[:, None]
    >>> s = farpoint.select(X, k=5, start=1)
    >>> s.h_min
    1.0
    >>> farpoint.refine(s, X, moves=100).h_min
    2.0
    """
    began = time.perf_counter()
    check_selection(selection)
    options = Options.check(seconds, moves, seed)
    if not len(selection):
        raise ValueError("selection is empty: there is nothing to exchange")
    task = prepare_selection(
        X,
        len(selection),
        metric=selection.metric,
        selected=selected,
        anchors=anchors,
        min_distance=None,
        assign=assign,
        backend=backend,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
    )
    check_belongs(selection, task.loaded.matrices[0])
    check_free(selection.info.get("constraints"))
    check_memory(task)
    task.check_made_here(picks_of(selection), "selection")
    stays = check.check_selected(keep, task.shape[0], "keep")
    absent = stays[~np.isin(stays, selection.indices)]
    if len(absent):
        raise ValueError(f"keep holds row {absent[0]}, which is not in selection")
    return refined(task, selection, options, stays, began)


def refined(
    task: SelectionTask, selection: Selection, options: Options, stays: IndexArray, began: float
) -> Selection:
    """Return the best that is found from a selection of the rows of `task`.

    Parameters
    ----------
    task : SelectionTask
    selection : Selection
        Made from them; settled: its covering radius is not above its h_min.
    options : Options
    stays : (s,) array
        Rows of the selection that are not to leave.
    began : float
        When the search did, by time.perf_counter.
    """
    budget = _Budget(options, began)
    rows_to_choose_from = task.shape[0] - len(task.selected)
    if 1 < len(selection) < rows_to_choose_from and selection.h_min > 0:
        searching = _with_memory_for_search(task)
        spread = Spread(searching, selection.indices, values_to_kept_away(searching))
        before = spread.smallest
        # The bound is rounded up by less than this.
        most = selection.upper_bound * (1 - _BOUND_SLACK)
        goal = task.metric.smallest_value(most, task.unit, task.frame.stored)
        found = Found(spread.members.copy(), before)
        # Where there is no limit of time, that of ten seconds decides how many rows are looked at.
        seconds = options.seconds if math.isfinite(options.seconds) else _DEFAULT_SECONDS
        deadline = began if math.isfinite(options.seconds) else math.inf
        start = farther_apart(spread, stays, seconds, deadline)
        if start is not None:
            spread = Spread(searching, start.members, spread.away)
        rng = np.random.default_rng(options.seed or 0)
        found = exchange(spread, found, stays, goal, budget, rng)
        del spread
        better = _made_of(task, selection, found) if found.smallest > before else None
    else:
        better = None
    if better is None:
        better = selection
        if task.assign and selection.labels is None:
            better = task.run(picks_of(selection), progress=False, checkpoint=None, began=began)
    return replace(
        better,
        labels=better.labels if task.assign else None,
        distances=better.distances if task.assign else None,
        info={
            **selection.info,
            "refinement": {
                "h_min_before": finite(selection.h_min),
                "gain": better.h_min / selection.h_min - 1 if better.h_min > selection.h_min else 0.0,
                "moves": budget.moves,
                "seconds": time.perf_counter() - began,
                "upper_bound": finite(selection.upper_bound),
            },
        },
    )


def _made_of(task: SelectionTask, selection: Selection, found: Found) -> Selection:
    """Return the selection that consists of the rows found, in place of those of `selection`."""
    rows = np.sort(found.members)
    first = None
    if not task.keeps_away:
        # That which was first, or the lowest.
        first = int(np.argmax(rows == selection.indices[0]))
    prior = np.array([] if first is None else [first], dtype=np.int64)
    problem = SelectProblem(
        points=task.rows(np.concatenate((rows, task.selected))),
        frame=task.frame,
        k=len(rows),
        prior=prior,
        prior_value=math.inf,
        selected=np.arange(len(rows), len(rows) + len(task.selected)),
        anchors=task.anchors,
        minimum_value=0.0,
        assign=False,
        listener=None,
    )
    order = task.prepared.run(lambda chosen: chosen.select(problem))
    indices = rows[np.concatenate((prior, order.indices))]
    radii = np.concatenate((np.full(len(prior), np.inf), task.metric.distances(order.values, task.unit)))
    # All rows against the set, which makes no picks: what is farthest from it, and what each is nearest to.
    nobody = PickListeners([], task.metric, task.unit)
    raw = replace(task, count=len(rows)).picked(indices, found.smallest, 0.0, nobody)
    distances = None if raw.label_values is None else task.metric.distances(raw.label_values, task.unit)
    return Selection(
        indices=indices,
        radii=radii,
        covering_radius=task.metric.distance(raw.next_value, task.unit),
        metric=selection.metric,
        labels=raw.labels,
        distances=distances,
    )


def check_free(constraints: object) -> None:
    """Raise if there are constraints: an exchange looks at distances alone."""
    if constraints:
        raise ValueError(
            "refine cannot be combined with weights, quotas or exclude: exchanges look at distances alone"
        )


def check_memory(task: SelectionTask) -> None:
    """Raise if the memory limit is below what a search keeps; what it works with is seen when it does."""
    n, columns = task.shape
    task.prepared.run(
        lambda _: task.frame.check_memory(ROW_BYTES * n), f"refine of {n:,} rows of {columns:,} columns"
    )


def _with_memory_for_search(task: SelectionTask) -> SelectionTask:
    """Take what a search keeps from the memory limit."""
    limit = task.frame.memory_limit
    if limit is None:
        return task
    taken = ROW_BYTES * task.shape[0]
    prepared = replace(task.prepared, copied=task.prepared.copied + taken)
    return replace(task, prepared=prepared, frame=replace(task.frame, memory_limit=max(0, limit - taken)))
