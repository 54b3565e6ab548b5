"""The public function: check, find the frame, start, run the levels, wrap."""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from farpoint import _loading, _preparing
from farpoint import _validation as check
from farpoint._checkpoint import Checkpoint
from farpoint._device_inputs import AnyMatrix
from farpoint._files import find_files, is_source, name_of, open_files
from farpoint._fingerprint import Fingerprint, fingerprint
from farpoint._inputs import as_host_matrix, bfloat16
from farpoint._metrics import Metric
from farpoint._parts import PartedMatrix
from farpoint._picks import PickListeners
from farpoint._progress import Progress
from farpoint._selecting import Task
from farpoint._spool import check_spill_folder
from farpoint._start import mean_of
from farpoint.backends import choose_backend
from farpoint.backends._protocol import (
    Frame,
    HostMatrix,
    IndexArray,
    Matrix,
    PairProblem,
    RawSelection,
    ScanResult,
    Sharding,
    ValueArray,
)
from farpoint.distributed._levels import LevelProblem, run_levels
from farpoint.distributed._messages import Entries
from farpoint.distributed._pieces import FilePiece, Holding, ObjectPiece, Piece, Shape, share_out
from farpoint.distributed._worker import Setup
from farpoint.selection import Selection

if TYPE_CHECKING:
    from farpoint.distributed._crew import Crew


def select(
    X: Any,
    k: int | float | None = None,
    *,
    metric: str = "euclidean",
    start: int | str | None = None,
    selected: npt.ArrayLike | None = None,
    anchors: Any = None,
    min_distance: float | None = None,
    assign: bool = False,
    actors: int | None = None,
    backend: str = "auto",
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress = False,
    seed: int | np.random.Generator | None = None,
    key: str | None = None,
    column: str | None = None,
) -> Selection:
    """Select the most evenly spread rows of a matrix that is spread over a Ray cluster.

    The result is that of `farpoint.select` on all rows, to the bit. Each actor holds a shard of the rows and
    runs the engine on it; the caller's process picks among the candidates that they send. An actor that dies
    is started again by Ray and brought up to date; the result does not change.

    Parameters
    ----------
    X : paths, list of ray.ObjectRef, ray.data.Dataset, or (n, d) array_like
        Files as for `farpoint.open_matrix`, which the caller lists and the actors open: they must be at the
        same paths on all machines. Arrays in Ray's object store, one shard after the other. A Dataset, with
        `column`. An array is put into the object store, each actor's rows once.
    k, metric, start, selected, anchors, min_distance, assign, checkpoint, progress, seed
        As for `farpoint.select`; rows are numbered in the order of the shards.
    actors : int, optional
        How many. Default: one a file or object, but no more than there are processors; for an array, one a
        machine. Each holds consecutive rows, about as many as the others.
    backend : {"auto", "cpu", "numba", "reference"}
        As for `farpoint.select`.
    threads : int, optional
        Of each actor, which asks Ray for as many processors. Default: as many as all actors can have.
    memory_limit : int or str, optional
        Work memory of each actor, as for `farpoint.select`.
    spill_folder : path-like, optional
        Where the actors' temporary files go.
    key, column : str, optional
        As for `farpoint.open_matrix`; `column` also of a Dataset.

    Returns
    -------
    Selection
        Its `info` has, beside what every backend reports, ``actors``, ``rounds`` (messages to every actor),
        ``bytes_sent``, ``bytes_received``, ``restarts`` (of actors) and ``seconds_by_phase`` (start: until
        the actors have opened their rows; scan; shards: waiting for them; pick; assign).

    Raises
    ------
    ValueError, TypeError
        With the argument, or the shard, what is wrong with it and what would be right.
    RuntimeError
        There is no Ray cluster, or the backend cannot be used.
    ImportError
        Ray is not installed.
    KeyboardInterrupt
        Ctrl-C ends the actors, too.

    Notes
    -----
    A round costs a message of the new picks to every actor and one of candidates from each of them. Rounds
    are a hundredth of k and fewer: see docs/distributed.md for what that costs on which network.

    Examples
    --------
    >>> import ray, farpoint.distributed
    >>> context = ray.init(num_cpus=2, ignore_reinit_error=True)  # address="auto": a cluster that runs
    >>> X = np.array([[0, 0], [1, 0], [0, 1], [10, 0], [0, 7]], dtype=np.float32)
    >>> farpoint.distributed.select([ray.put(X[:2]), ray.put(X[2:])], k=3).indices
    array([0, 3, 4])
    """
    began = time.perf_counter()
    ray = _connected()
    kept = None if checkpoint is None else Checkpoint(checkpoint)
    chosen_metric = check.check_metric(metric)
    distance = check.check_min_distance(min_distance)
    limit = check.check_memory_limit(memory_limit)
    folder = check_spill_folder(spill_folder, needed=limit is not None)
    _sharding(backend, metric)
    source = _source(ray, X, key, column, spill_folder, in_memory=limit is None)
    source.wait(ray)
    actor_count, actor_threads = _places(source, actors, threads)

    from farpoint.distributed._crew import Crew

    with Crew(actor_count, actor_threads) as crew:
        table = Table.of(source.pieces(ray, actor_count), source.name, crew)
        if chosen_metric.of_bits:
            _loading.check_bit_type(table.dtype, table.name, chosen_metric)
            if anchors is not None and not is_source(anchors):
                _loading.check_bits(anchors, "anchors", chosen_metric)
        kept_away = check.check_selected(selected, table.rows)
        anchor_rows = None if anchors is None else _anchors(anchors, table, spill_folder)
        count = check.check_count(k, table.rows, table.rows - len(kept_away), distance)
        opened = time.perf_counter()

        name, engine = _sharding(backend, metric, table.dtype)
        scans = [_preparing.NOTHING_FOUND]
        if not chosen_metric.of_bits:
            scans = crew.scan(name, metric, actor_threads)
            table.check(scans, crew, chosen_metric)
        driver_threads = check.check_threads(None)
        if anchor_rows is not None and not chosen_metric.of_bits:
            scans.append(_preparing.scan(anchor_rows, choose_backend(name, metric), driver_threads))
            _preparing.check_scan(scans[-1], anchor_rows, "anchors", chosen_metric)
        frame, unit, taming = _preparing.find_frame(
            chosen_metric, table.dtype, table.columns, scans, driver_threads
        )
        task = DistributedTask(
            metric=chosen_metric,
            unit=unit,
            frame=frame,
            count=count,
            count_is_known=k is not None,
            selected=kept_away,
            min_distance=0.0 if distance is None else distance,
            assign=bool(assign),
            crew=crew,
            table=table,
            given_anchors=anchor_rows,
            taming=taming,
            backend=name,
            engine=engine,
            threads=actor_threads,
            files=[piece.path for piece in table.pieces if isinstance(piece, FilePiece)],
            seconds={"start": opened - began, "scan": time.perf_counter() - opened},
        )
        task.set_up(replace(frame, threads=actor_threads, memory_limit=limit, spill_folder=folder))
        known = task.known(start, seed, kept, task.fingerprint)
        return task.run(known, progress=progress, checkpoint=kept, began=began)


@dataclass(frozen=True)
class DistributedTask(Task):
    """A selection from the rows that a crew holds."""

    crew: Crew
    table: Table
    given_anchors: HostMatrix | None
    taming: _preparing.Taming
    backend: str
    engine: Sharding  # of the driver
    threads: int  # of an actor
    files: list[Path]
    seconds: dict[str, float]  # that phases took until now

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns to select from."""
        return self.table.rows, self.table.columns

    @property
    def anchors(self) -> AnyMatrix | None:
        """The vectors to keep away from."""
        return None if self.given_anchors is None else self.taming.apply(self.given_anchors)

    def rows(self, numbers: IndexArray) -> Matrix:
        """Fetch rows from those who have them."""
        return np.asarray(self.taming.apply(self.crew.rows(numbers)))

    def pairwise(self, x: AnyMatrix, y: AnyMatrix) -> ValueArray:
        """Return the stored values of all pairs."""
        return choose_backend(self.backend, self.metric.name).pairwise(PairProblem(x, y, self.frame))

    def set_up(self, frame: Frame) -> None:
        """Tell the crew what to make of its rows; `frame` is that of the shards."""
        self.crew.set_up(
            [
                Setup(
                    holding,
                    frame,
                    self.taming,
                    self.backend,
                    self.metric.name,
                    self._expected,
                    self.assign,
                )
                for holding in self.table.holdings
            ]
        )

    @property
    def _expected(self) -> int:
        """How many entries the shards will see."""
        anchors = 0 if self.given_anchors is None else len(self.given_anchors)
        return self.count + len(self.selected) + anchors

    def center_row(self, among: npt.NDArray[np.bool_] | None) -> int:
        """Return the row nearest the mean, which is that of all shards; every row can be the first pick."""
        del among
        total = self.crew.sum_of_rows(self.table.columns)
        return self.crew.nearest_row(mean_of(total, self.table.rows, self.frame.kind))

    def fingerprint(self, first_row: int | None) -> Fingerprint:
        """Return what decides the picks: the same as where one process has the rows."""
        return fingerprint(
            self.shape,
            self.table.dtype,
            self.crew.rows,
            metric=self.metric.name,
            start=first_row,
            selected=self.selected,
            anchors=self.given_anchors,
            files=self.files,
            constraints=self.record,
        )

    def picked(
        self, prior: IndexArray, prior_value: float, minimum_value: float, listening: PickListeners
    ) -> RawSelection:
        """Run the levels."""
        entries = []
        if len(self.selected):
            entries.append(Entries(self.rows(self.selected), self.selected, None))
        anchors = self.anchors
        if anchors is not None:
            nowhere = np.full(len(anchors), -1, dtype=np.int64)
            entries.append(Entries(np.asarray(anchors), nowhere, None))
        if len(prior):
            # Which radius a pick had is nothing to the shards, as long as it is above 0.
            entries.append(Entries(self.rows(prior), prior, np.full(len(prior), math.inf)))
        problem = LevelProblem(
            frame=self.frame,
            rows=self.table.rows,
            k=self.count - len(prior),
            entries=entries,
            largest=prior_value,
            minimum_value=minimum_value,
            assign=self.assign,
            listener=listening if listening.are_there else None,
        )
        raw = run_levels(problem, self.crew, self.engine.pick_among)
        return replace(raw, statistics=self._statistics(raw))

    def description(self) -> dict[str, Any]:
        """Return what is known of the rows and of what computes."""
        return {
            "backend": self.backend,
            "threads": self.threads,
            "actors": self.crew.count,
            **({"files": self.table.file_records()} if self.files else {}),
        }

    def _statistics(self, raw: RawSelection) -> dict[str, Any]:
        """Put together what driver, crew and engines counted."""
        engines = self.crew.statistics()
        screened = sum(engine["pairs_screened"] for engine in engines)
        return {
            "simd": engines[0].get("simd"),
            "rounds": raw.statistics["rounds"],
            "bytes_sent": self.crew.bytes_sent,
            "bytes_received": self.crew.bytes_received,
            "restarts": self.crew.restarts,
            "pairs_screened": screened,
            "fraction_evaluated": min(1.0, screened / max(1, self.table.rows * self._expected)),
            "seconds_by_phase": {**self.seconds, **raw.statistics["seconds_by_phase"]},
        }


def _connected() -> Any:
    """Return the module ray, once it is there and connected."""
    if importlib.util.find_spec("ray") is None:
        raise ImportError('farpoint.distributed needs Ray: pip install "farpoint[ray]"')
    import ray

    if not ray.is_initialized():
        raise RuntimeError(
            'there is no Ray cluster: call ray.init(address="auto") first to join one that runs, or '
            "ray.init() to start one on this machine"
        )
    return ray


def _sharding(backend: str, metric: str, dtype: str | None = None) -> tuple[str, Sharding]:
    """Return the backend of all shards, by name too."""
    chosen = choose_backend(backend, metric, dtype)
    if not isinstance(chosen, Sharding):
        raise ValueError(
            f"backend {backend!r} cannot be one of several engines yet; cpu, numba and reference can"
        )
    return chosen.name, chosen


@dataclass(frozen=True)
class _Source:
    """What the user named: pieces, or an array that becomes one piece an actor."""

    name: str
    given: list[Piece] | HostMatrix

    def wait(self, ray: Any) -> None:
        """Let the tasks end that make what is in the object store.

        The actors may take every processor, and would wait for them in vain.
        """
        if isinstance(self.given, list):
            made = [piece.reference for piece in self.given if isinstance(piece, ObjectPiece)]
            if made:
                ray.wait(made, num_returns=len(made), fetch_local=False)

    def pieces(self, ray: Any, actors: int) -> list[Piece]:
        """Return the pieces; those of an array are put into the object store now."""
        if isinstance(self.given, list):
            return self.given
        matrix = self.given
        places = sorted({len(matrix) * actor // actors for actor in range(actors + 1)})
        return [
            ObjectPiece(ray.put(np.ascontiguousarray(matrix[begin:end])), self.name)
            for begin, end in pairwise(places)
        ]


def _source(
    ray: Any,
    X: Any,
    key: str | None,
    column: str | None,
    spill_folder: str | os.PathLike[str] | None,
    in_memory: bool,
) -> _Source:
    if is_source(X):
        paths = find_files(X, key=key, column=column)
        files: list[Piece] = [
            FilePiece(path.absolute(), key, column, spill_folder, in_memory) for path in paths
        ]
        return _Source(name_of(X), files)
    is_dataset = type(X).__module__.startswith("ray.data")
    for option, value in (("key", key), ("column", column)):
        if value is not None and not (is_dataset and option == "column"):
            raise ValueError(f"{option} = {value!r} has no meaning: X is not in files")
    if is_dataset:
        return _Source("X", [ObjectPiece(reference, "X") for reference in _blocks(X, column)])
    if isinstance(X, ray.ObjectRef):
        X = [X]
    if isinstance(X, (list, tuple)) and X and all(isinstance(item, ray.ObjectRef) for item in X):
        return _Source("X", [ObjectPiece(reference, f"X[{i}]") for i, reference in enumerate(X)])
    return _Source("X", as_host_matrix(X, "X"))


def _blocks(dataset: Any, column: str | None) -> list[Any]:
    """Return references to the column's arrays, in the order of the rows."""
    if column is None:
        names = dataset.columns()
        raise ValueError(f"X is a Dataset: say which column holds the vectors; there are {', '.join(names)}")
    options = dataset.context.execution_options
    before, options.preserve_order = options.preserve_order, True
    try:
        references: list[Any] = dataset.to_numpy_refs(column=column)
    finally:
        options.preserve_order = before
    return references


def _places(source: _Source, actors: int | None, threads: int | None) -> tuple[int, int]:
    """Return how many actors there are to be, with how many threads each."""
    from farpoint.distributed import _crew

    if threads is not None:
        threads = check.check_threads(threads)
    there = _crew.places(threads or 1)
    if actors is None:
        wanted = len(source.given) if isinstance(source.given, list) else _crew.nodes()
        count = max(1, min(wanted, there))
    else:
        count = check.check_actors(actors)
    if not isinstance(source.given, list):
        count = min(count, len(source.given))
    if there < count:
        each = "" if threads is None else f" of {threads} threads each"
        raise ValueError(
            f"the Ray cluster has processors for {there} actors{each}, not for {count}; ask for fewer, or "
            "start it with more (ray.init(num_cpus=...))"
        )
    if threads is None:
        threads = 1
        while _crew.places(threads + 1) >= count:
            threads += 1
    return count, threads


@dataclass(frozen=True)
class Table:
    """All rows: what holds which of them."""

    name: str
    pieces: list[Piece]
    shapes: list[Shape]
    columns: int
    dtype: str
    holdings: list[Holding]

    @classmethod
    def of(cls, pieces: list[Piece], name: str, crew: Crew) -> Table:
        """Have the crew open the pieces, check that they make one matrix, and share it out."""
        shapes = crew.measure(pieces)
        filled = [(piece.name, shape) for piece, shape in zip(pieces, shapes, strict=True) if shape.rows]
        if not filled:
            raise ValueError(f"{name} is empty: there are no rows")
        first_name, first = filled[0]
        for other_name, other in filled:
            if other.columns != first.columns:
                raise ValueError(
                    f"{other_name} has {other.columns} columns where {first_name} has {first.columns}"
                )
        types = {shape.dtype for _, shape in filled}
        if len(types) > 1:
            types = {"float64" if "float64" in types else "float32"}
        dtype = types.pop()
        holdings = share_out(pieces, shapes, crew.count, dtype)
        crew.hold(holdings)
        return cls(name, pieces, shapes, first.columns, dtype, holdings)

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(shape.rows for shape in self.shapes)

    def locate(self, row: int) -> tuple[str, int]:
        """Return what messages call the source of a row, and its number there."""
        begin = 0
        for piece, shape in zip(self.pieces, self.shapes, strict=True):
            if row < begin + shape.rows:
                # The pieces of an array or a Dataset have one name, and one numbering.
                return piece.name, row if piece.name == self.name == "X" else row - begin
            begin += shape.rows
        raise IndexError(f"row {row} of {begin}")

    def file_records(self) -> list[dict[str, Any]]:
        """Return name and rows of each file, as Selection.locate reads them."""
        return [
            {"name": piece.name, "rows": shape.rows}
            for piece, shape in zip(self.pieces, self.shapes, strict=True)
        ]

    def check(self, scans: Sequence[ScanResult], crew: Crew, metric: Metric) -> None:
        """Raise if the rows cannot be used, for the first that cannot."""
        firsts = [holding.first for holding in self.holdings]
        bad = [first + scan[0] for first, scan in zip(firsts, scans, strict=True) if scan[0] >= 0]
        zero = [first + scan[1] for first, scan in zip(firsts, scans, strict=True) if scan[1] >= 0]
        if bad:
            _preparing.raise_not_finite(*self.locate(bad[0]), crew.rows(np.array(bad[:1]))[0])
        if zero and metric.kind == "cosine":
            _preparing.raise_zero_row(*self.locate(zero[0]))


def _anchors(anchors: Any, table: Table, spill_folder: str | os.PathLike[str] | None) -> HostMatrix:
    """Return the anchors, of the element type of the rows."""
    name = "anchors"
    if is_source(anchors):
        anchors = open_files(anchors, spill_folder=spill_folder)
        name = anchors.name
    matrix = as_host_matrix(anchors, name)
    if matrix.shape[1] != table.columns:
        raise ValueError(f"{name} has {matrix.shape[1]} columns where {table.name} has {table.columns}")
    dtype = bfloat16(table.name) if table.dtype == "bfloat16" else np.dtype(table.dtype)
    like = np.empty((0, table.columns), dtype)
    converted = _loading.common_dtype([like, matrix], [table.name, name], convert_to_first=True)[1]
    assert isinstance(converted, (np.ndarray, PartedMatrix))
    return converted
