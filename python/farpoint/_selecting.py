"""A selection from its arguments to its result: what all functions that select have in common."""

from __future__ import annotations

import logging
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint import _loading, _preparing
from farpoint import _validation as check
from farpoint._checkpoint import Checkpoint
from farpoint._config import version
from farpoint._constraints import Constraints, Quotas, check_constraints, requested
from farpoint._device_inputs import AnyMatrix, element_type, taken
from farpoint._fingerprint import Fingerprint, fingerprint, memory_mapped_files
from farpoint._metrics import FloatArray, Metric, Unit
from farpoint._picks import HearsPicks, PickListeners, Picks
from farpoint._progress import Progress, reporting
from farpoint._start import center_row, random_row
from farpoint.backends._protocol import (
    Backend,
    Frame,
    IndexArray,
    PairProblem,
    RawSelection,
    SelectProblem,
    ValueArray,
)
from farpoint.selection import Selection

_log = logging.getLogger("farpoint.select")

# Picks whose radii are computed again before a selection goes on from them.
_CHECKED_PICKS = 16
# Elements of the rows that these are compared with, and of their distances, at a time.
_BLOCK_ELEMENTS = 1 << 20


def check_selection(selection: object) -> None:
    """Raise if it is not one."""
    if not isinstance(selection, Selection):
        raise TypeError(f"selection must be a farpoint.Selection, not {type(selection).__name__}")


def picks_of(selection: Selection) -> Picks:
    """Return what a selection knows of its picks."""
    return Picks(
        selection.indices,
        selection.radii,
        selection.covering_radius,
        farthest_first=selection.farthest_first,
    )


def check_belongs(selection: Selection, matrix: AnyMatrix) -> None:
    """Raise if the selection was made from a matrix of another shape or element type."""
    rows, columns = matrix.shape
    for name, here in (("n", rows), ("d", columns), ("dtype", element_type(matrix))):
        there = selection.info.get(name, here)
        if there != here:
            raise ValueError(f"selection was not made from this X: {name} is {there} there and {here} here")
    if len(selection) and int(selection.indices.max()) >= rows:
        raise ValueError(
            f"selection was not made from this X: it holds row {selection.indices.max()} of {rows}"
        )


def prepare_selection(
    X: Any,
    k: int | float | None,
    *,
    metric: str,
    selected: npt.ArrayLike | None,
    anchors: Any,
    min_distance: float | None,
    assign: bool,
    backend: str,
    device: int | None,
    threads: int | None,
    memory_limit: int | str | None,
    spill_folder: str | os.PathLike[str] | None,
    weights: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    quotas: Quotas | None = None,
    exclude: npt.ArrayLike | None = None,
) -> SelectionTask:
    """Check the arguments of a selection, all but where it starts."""
    distance = check.check_min_distance(min_distance)
    wanted = requested(weights, groups, quotas, exclude)
    sources = [(X, "X")] if anchors is None else [(X, "X"), (anchors, "anchors")]
    loaded = _loading.load(
        sources,
        metric,
        backend,
        threads,
        device,
        convert_to_first=True,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
        constraints=wanted,
    )
    n = len(loaded.matrices[0])
    rows = check.check_selected(selected, n)
    constraints = check_constraints(
        n, rows, loaded.metric, weights=weights, groups=groups, quotas=quotas, exclude=exclude
    )
    count = check.check_count(k, n, constraints.free, distance, excluding=exclude is not None)
    if k is None:
        count = min(count, constraints.most)
    constraints.check_count(count)
    loaded = replace(loaded, copied=loaded.copied + constraints.bytes_held)
    prepared = _preparing.prepare(loaded, count)
    return SelectionTask(
        metric=prepared.metric,
        unit=prepared.unit,
        frame=prepared.frame,
        loaded=loaded,
        prepared=prepared,
        count=count,
        count_is_known=k is not None,
        selected=rows,
        min_distance=0.0 if distance is None else distance,
        assign=bool(assign),
        constraints=constraints if wanted else None,
    )


@dataclass(frozen=True)
class Task(ABC):
    """A selection whose arguments were checked, wherever its rows are."""

    metric: Metric
    unit: Unit
    frame: Frame
    count: int
    count_is_known: bool  # false: as many as min_distance allows
    selected: IndexArray
    min_distance: float
    assign: bool
    constraints: Constraints | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns to select from."""

    @property
    @abstractmethod
    def anchors(self) -> AnyMatrix | None:
        """The vectors to keep away from."""

    @abstractmethod
    def rows(self, numbers: IndexArray) -> AnyMatrix:
        """Return rows to select from, as backends get them."""

    @abstractmethod
    def center_row(self, among: npt.NDArray[np.bool_] | None) -> int:
        """Return the row nearest the mean, of those that can be the first pick; None: all."""

    @abstractmethod
    def pairwise(self, x: AnyMatrix, y: AnyMatrix) -> ValueArray:
        """Return the stored values of all pairs."""

    @abstractmethod
    def picked(
        self, prior: IndexArray, prior_value: float, minimum_value: float, listening: PickListeners
    ) -> RawSelection:
        """Make the picks after `prior`; no free row's value is above `prior_value`."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Return what Selection.info says of the rows and of what computes."""

    @property
    def keeps_away(self) -> bool:
        """Whether something is kept away from, so that the first pick follows from it."""
        return self.anchors is not None or len(self.selected) > 0

    @property
    def farthest_first(self) -> bool:
        """Whether distance alone decides which of the rows is picked next."""
        return self.constraints is None or self.constraints.order is None

    @property
    def record(self) -> dict[str, Any]:
        """What of the constraints a selection goes on only with if it is the same."""
        return {} if self.constraints is None else self.constraints.record(self.count, self.min_distance)

    def first_row(self, start: int | str | None, seed: int | np.random.Generator | None) -> int | None:
        """Return the first pick; None where it follows from what is kept away from."""
        checked = check.check_start(start, seed, self.shape[0], self.keeps_away)
        if checked is None:
            return None
        given = self.constraints
        if checked == "best":
            return 0 if given is None else given.best_first(self.count)
        among = None if given is None else given.may_be_first(self.count)
        if checked == "center":
            if self.metric.of_bits:
                raise ValueError(
                    f'start="center" has no meaning for metric {self.metric.name!r}: bits have no mean; '
                    'start at a row, or at "random"'
                )
            return self.center_row(among)
        if checked == "random":
            return random_row(self.shape[0], seed, among)
        assert not isinstance(checked, str)
        if given is not None:
            given.check_first(checked, self.count)
        return checked

    def known(
        self,
        start: int | str | None,
        seed: int | np.random.Generator | None,
        checkpoint: Checkpoint | None,
        fingerprint_of: Callable[[int | None], Fingerprint],
    ) -> Picks:
        """Return what the selection begins with: its first pick, or what the checkpoint holds.

        `fingerprint_of` says what decides the picks, from the first of them.
        """
        first = self.first_row(start, seed)
        if checkpoint is None:
            return Picks.start(first, farthest_first=self.farthest_first)
        if start == "random" and seed is None and checkpoint.first_row is not None:
            # A start that cannot be drawn again is the one that was drawn.
            first = checkpoint.first_row
        resumed = checkpoint.resume(fingerprint_of(first))
        if resumed is None:
            return Picks.start(first, farthest_first=self.farthest_first)
        self.check_made_here(resumed, checkpoint.name)
        return resumed

    def check_made_here(self, known: Picks, name: str) -> None:
        """Raise unless a sample of picks has, among these rows, the radii that they are said to have.

        Parameters
        ----------
        known : Picks
        name : str
            What messages call where they come from.
        """
        n = self.shape[0]
        if not len(known):
            return
        if known.indices.min() < 0 or known.indices.max() >= n:
            raise ValueError(f"{name} was not made from this X: it holds row {known.indices.max()} of {n}")
        both = np.concatenate((self.selected, known.indices))
        if len(np.unique(both)) != len(both):
            raise ValueError(f"{name} holds a row twice, or one that is in selected")
        sample = np.unique(np.linspace(0, len(known) - 1, _CHECKED_PICKS).round().astype(np.int64))
        radii = self._radii(known.indices, sample)
        wrong = np.flatnonzero(radii != known.radii[sample])
        if len(wrong):
            pick, here = int(sample[wrong[0]]), float(radii[wrong[0]])
            there = float(known.radii[pick])
            reason = f"pick {pick} has radius {there!r} there and {here!r} here"
            if pick == 0 and math.isinf(here):
                reason += "; something was kept away from: give the same selected and anchors"
            elif pick == 0 and math.isinf(there):
                reason += "; nothing was kept away from: leave selected and anchors out"
            raise ValueError(f"{name} was not made from this X with these options: {reason}")

    def _radii(self, picks: IndexArray, sample: IndexArray) -> FloatArray:
        """Return the radii of the picks at some positions, from all rows that come before each."""
        wanted = self.rows(picks[sample])
        values = np.full(len(sample), np.inf)
        before = np.concatenate((self.selected, picks[: sample[-1]]))
        # Position in `picks`; what is kept away from comes before all.
        positions = np.arange(len(before)) - len(self.selected)
        block = max(1, _BLOCK_ELEMENTS // max(_CHECKED_PICKS, self.shape[1]))

        def lower(rows: AnyMatrix, positions: IndexArray) -> None:
            found = self.pairwise(wanted, rows)
            found[positions[None, :] >= sample[:, None]] = np.inf
            np.minimum(values, found.min(axis=1), out=values)

        for begin in range(0, len(before), block):
            here = slice(begin, begin + block)
            lower(self.rows(before[here]), positions[here])
        if self.anchors is not None:
            for begin in range(0, len(self.anchors), block):
                rows = self.anchors[begin : begin + block]
                lower(rows, np.full(len(rows), -1))
        return self.metric.distances(values, self.unit)

    def run(
        self, known: Picks, *, progress: Progress, checkpoint: Checkpoint | None, began: float
    ) -> Selection:
        """Make the picks after `known`, and the result.

        Parameters
        ----------
        known : Picks
            The start, or the picks of an earlier selection, as many as there are.
        progress : bool or callable
        checkpoint : Checkpoint, optional
        began : float
            When the call did, by time.perf_counter.
        """
        wanted = known.prefix(self.count)
        if self.farthest_first:
            wanted = wanted.down_to(self.min_distance, first_is_given=not self.keeps_away)
        is_complete = math.isfinite(wanted.covering_radius) and (
            len(wanted) == self.count or (self.farthest_first and wanted.covering_radius < self.min_distance)
        )
        nothing_to_do = is_complete and not (self.assign and wanted.labels is None)
        prior = wanted if nothing_to_do else wanted.apart()
        is_start = len(wanted) <= 1 and math.isinf(wanted.covering_radius)
        info = self._info(resumed_from=0 if is_start else len(wanted))
        _log.info(
            "selecting up to %d of %d rows of %d columns (%s, %s), %d of them known; backend %s, %d threads",
            *(self.count, *self.shape, self.frame.dtype, self.metric.name, len(prior)),
            *(info["backend"], info["threads"]),
        )
        with ExitStack() as stack:
            listeners: list[HearsPicks] = []
            if checkpoint is not None:
                stack.enter_context(checkpoint.kept(prior, self.metric.name, info))
                listeners.append(checkpoint)
            reporter = stack.enter_context(
                reporting(
                    progress,
                    known=prior,
                    total=self.count,
                    total_is_known=self.count_is_known,
                    min_distance=self.min_distance,
                )
            )
            if reporter is not None:
                listeners.append(reporter)
            selection = self._held(prior, info) if nothing_to_do else self._found(prior, listeners, info)
            selection.info["seconds"] = time.perf_counter() - began
            if reporter is not None:
                reporter.finish()
            if checkpoint is not None:
                checkpoint.finish(selection)
        _log.info("selected %d rows in %.3f s", len(selection), selection.info["seconds"])
        return selection

    def _held(self, picks: Picks, info: dict[str, Any]) -> Selection:
        """Return what is known already."""
        return Selection(
            indices=picks.indices.copy(),
            radii=picks.radii.copy(),
            covering_radius=picks.covering_radius,
            metric=self.metric.name,
            labels=picks.labels if self.assign else None,
            distances=picks.distances if self.assign else None,
            info={**info, **self._counts(picks.indices), "fraction_evaluated": 0.0},
            farthest_first=self.farthest_first,
        )

    def _counts(self, rows: IndexArray) -> dict[str, Any]:
        """Return what Selection.info says of the groups of the picks."""
        groups = None if self.constraints is None else self.constraints.groups
        return {} if groups is None else {"picked_per_group": groups.counts(rows)}

    def _found(self, prior: Picks, listeners: Sequence[HearsPicks], info: dict[str, Any]) -> Selection:
        """Make the picks, and return them after those before."""
        listening = PickListeners(listeners, self.metric, self.unit)
        prior_value = self._smallest_value(float(prior.radii[-1])) if len(prior) else math.inf
        raw = self.picked(prior.indices, prior_value, self._smallest_value(self.min_distance), listening)
        listening.complete(raw)
        distances = None if raw.label_values is None else self.metric.distances(raw.label_values, self.unit)
        indices = np.concatenate((prior.indices, raw.indices))
        return Selection(
            indices=indices,
            radii=np.concatenate((prior.radii, self.metric.distances(raw.values, self.unit))),
            covering_radius=self.metric.distance(raw.next_value, self.unit),
            metric=self.metric.name,
            labels=raw.labels,
            distances=distances,
            info={**info, **self._counts(indices), "fraction_evaluated": 1.0, **raw.statistics},
            farthest_first=self.farthest_first,
        )

    def _smallest_value(self, distance: float) -> float:
        return self.metric.smallest_value(distance, self.unit, self.frame.stored)

    def _info(self, resumed_from: int) -> dict[str, Any]:
        """Return what Selection.info says whatever is computed; None where that is not known yet."""
        return {
            "version": version(),
            "n": self.shape[0],
            "d": self.shape[1],
            "dtype": self.frame.dtype,
            "seconds": None,
            "simd": None,
            "device": None,
            "fraction_evaluated": None,
            "bytes_work": None,
            "bytes_spilled": 0,
            "resumed_from": resumed_from,
            **({"constraints": self.record} if self.record else {}),
            **self.description(),
        }


@dataclass(frozen=True)
class SelectionTask(Task):
    """A selection from a matrix that this process has."""

    loaded: _loading.Loaded  # what the user gave
    prepared: _preparing.Prepared  # what backends get

    @property
    def points(self) -> AnyMatrix:
        """The rows to select from."""
        return self.prepared.matrices[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns to select from."""
        n, d = self.points.shape
        return n, d

    @property
    def anchors(self) -> AnyMatrix | None:
        """The vectors to keep away from."""
        return self.prepared.matrices[1] if len(self.prepared.matrices) > 1 else None

    def rows(self, numbers: IndexArray) -> AnyMatrix:
        """Return rows to select from."""
        return taken(self.points, numbers)

    def pairwise(self, x: AnyMatrix, y: AnyMatrix) -> ValueArray:
        """Return the stored values of all pairs."""
        problem = PairProblem(x, y, self.frame)
        return self.prepared.run(lambda chosen: chosen.pairwise(problem))

    def center_row(self, among: npt.NDArray[np.bool_] | None) -> int:
        """Return the row nearest the mean, of those that can be the first pick; None: all."""
        return center_row(self.points, self.frame, among)

    def nearest(self, x: AnyMatrix, y: AnyMatrix) -> tuple[ValueArray, IndexArray]:
        """Return the nearest row of y for each row of x, and its stored value."""
        problem = PairProblem(x, y, self.frame)
        return self.prepared.run(
            lambda chosen: chosen.nearest(problem),
            f"{len(x):,} rows of {x.shape[1]:,} columns and {len(y):,}",
        )

    def fingerprint(self, first_row: int | None, source: object) -> Fingerprint:
        """Return what decides the picks; `source` is X as the user gave it."""
        named = self.loaded.files
        files = memory_mapped_files(source) if named is None else [Path(name) for name, _ in named]
        given = self.loaded.matrices[0]
        return fingerprint(
            self.shape,
            element_type(given),
            partial(taken, given),
            metric=self.prepared.metric.name,
            start=first_row,
            selected=self.selected,
            anchors=self.loaded.matrices[1] if self.anchors is not None else None,
            files=files,
            constraints=self.record,
        )

    def picked(
        self, prior: IndexArray, prior_value: float, minimum_value: float, listening: PickListeners
    ) -> RawSelection:
        """Let the backend pick."""
        problem = SelectProblem(
            points=self.points,
            frame=self.frame,
            k=self.count,
            prior=prior,
            prior_value=prior_value,
            selected=self.selected,
            anchors=self.anchors,
            minimum_value=minimum_value,
            assign=self.assign,
            listener=listening if listening.are_there else None,
            excluded=self.selected[:0] if self.constraints is None else self.constraints.excluded,
            order=None if self.constraints is None else self.constraints.order,
        )

        def attempt(backend: Backend) -> RawSelection:
            listening.begin()
            return backend.select(problem)

        n, d = self.shape
        raw = self.prepared.run(attempt, f"{n:,} rows of {d:,} columns and k = {self.count:,}")
        # The plan's backend is another one than before where a device had too little memory.
        return replace(raw, statistics={"backend": self.prepared.plan.backend.name, **raw.statistics})

    def description(self) -> dict[str, Any]:
        """Return what is known of the rows and of what computes."""
        files = self.loaded.files
        return {
            "backend": self.prepared.plan.backend.name,
            "threads": self.frame.threads,
            **({} if files is None else {"files": [{"name": name, "rows": rows} for name, rows in files]}),
        }
