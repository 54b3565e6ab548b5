"""The result of a selection."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from farpoint._archives import ArrayArchive, open_archive
from farpoint._atomic import atomic_write
from farpoint._json_values import finite
from farpoint._metrics import METRICS
from farpoint._read_only import ReadOnlyArrays

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_FORMAT = 1
_REQUIRED = {"farpoint_selection", "indices", "radii", "covering_radius", "metric", "info"}
# A checkpoint is a selection that also says which problem it belongs to.
_KNOWN = _REQUIRED | {"labels", "distances", "farthest_first", "problem"}
_LONGEST_METRIC = 100  # characters
# The names of a hundred thousand files and their numbers of rows, with room to spare.
LONGEST_JSON = 1 << 24


class Locations(NamedTuple):
    """Where the rows of a selection are in the files that it was made from.

    The t-th pick is row ``row[t]`` of ``files[file[t]]``.
    """

    files: list[str]
    file: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Selection(ReadOnlyArrays):
    """Rows selected from a matrix, in order, with what is known about their spread.

    Attributes
    ----------
    indices : (k,) int64 array
        Row numbers in the order of selection.
    radii : (k,) float64 array
        Distance of each pick to the nearest earlier pick (or row kept away from) when it was picked.
        ``radii[0]`` is infinite when nothing came before it. Never increasing, but with weights or quotas.
    covering_radius : float
        Largest distance from any row to its nearest pick (or row kept away from): the radius that the next
        pick would have had. Rows of `exclude` do not count. With weights or quotas NaN for a `prefix` and in
        the checkpoint of an unfinished run: it is not known there.
    metric : str
        The metric that distances are in.
    labels : (n,) int64 array or None
        With ``assign=True``: position in `indices` of each row's nearest pick (the earliest on ties), -1
        where a row kept away from is at least as near.
    distances : (n,) float64 array or None
        With ``assign=True``: distance to what `labels` names.
    farthest_first : bool
        Whether each pick was the farthest of all rows that are not excluded. False where weights or quotas
        decided too.
    info : dict
        For every backend ``backend``, ``simd`` (None where there is no choice), ``device`` (index and name of
        the CUDA device; None on others), ``threads``, ``seconds``, ``fraction_evaluated`` (share of the pairs
        that were looked at), ``n``, ``d``, ``dtype``, ``version``, ``resumed_from`` (how many picks are from
        an earlier selection or a checkpoint; the rest tells of the others). What is not known yet in the
        checkpoint of an unfinished run is None. Of files, ``files``: a dictionary with ``name`` and ``rows``
        for each, in order (see `locate`). With weights, groups or excluded rows, ``constraints`` (digests of
        them, by which `extend` knows that they are the same) and, with up to 1,000 groups,
        ``picked_per_group`` (number of picks by label). Of a refined selection, ``refinement``: a dictionary
        (see `refine`); the rest tells of the selection before. The C++ and CUDA engines add ``levels``;
        ``pairs_screened`` (bounded), ``pairs_looked_up`` (those of them bounded one by one, among likely near
        picks), ``pairs_confirmed`` (bounded again, more finely), ``pairs_refined`` (computed),
        ``pairs_improved`` (that lowered a row's distance); and
        ``seconds_by_phase`` (seed, certify, catch_up, pick, assign). The C++ engine adds ``bytes_work`` and
        ``bytes_spilled`` (what its work arrays took at most in memory, and in a temporary file).

    Examples
    --------
    >>> s = farpoint.select(np.array([[0.0], [1.0], [5.0], [9.0]]), k=3)
    >>> s
    Selection(k=3, metric='euclidean', h_min=4, covering_radius=1, upper_bound=8)
    >>> s.prefix(2).h_min
    9.0
    """

    indices: npt.NDArray[np.int64]
    radii: npt.NDArray[np.float64]
    covering_radius: float
    metric: str = "euclidean"
    labels: npt.NDArray[np.int64] | None = None
    distances: npt.NDArray[np.float64] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    farthest_first: bool = True

    _ARRAYS = ("indices", "radii", "labels", "distances")

    @property
    def h_min(self) -> float:
        """Smallest distance of a pick to another pick or to a row kept away from; inf for a lone pick."""
        return float(self.radii.min()) if len(self.radii) else math.inf

    @property
    def upper_bound(self) -> float:
        """No selection of this size has a larger `h_min`.

        The first k - 1 picks cover every row within `h_min`; of any k rows two share a nearest pick, so
        their distance is at most twice that (pigeonhole; 4 times for squared distances, twice the angle for
        cosine). Rounded up by 2**-22, so that rounding cannot make it false. With excluded rows, no selection
        without them. Infinite with weights or quotas, whose picks cover the rows less well. Of a refined
        selection: what it was before, which holds for any rows of that number.
        """
        if self.is_refined:
            bound = self.info["refinement"]["upper_bound"]
            return math.inf if bound is None else float(bound)
        if not self.farthest_first:
            return math.inf
        return METRICS[self.metric].largest_spread(self.h_min)

    @property
    def is_refined(self) -> bool:
        """Whether picks were exchanged, or tried for exchange, by `refine`."""
        return "refinement" in self.info

    def prefix(self, t: int) -> Selection:
        """Return the selection of the first `t` picks, which is what ``select`` with ``k=t`` returns.

        Where quotas ask for a least number of rows, ``select`` would keep more of its `t` picks for them.

        Parameters
        ----------
        t : int
            From 1 to ``len(self)``.

        Returns
        -------
        Selection
            Without `labels` and `distances`, which are not known for a prefix.

        Raises
        ------
        ValueError
            `t` is out of range, or the selection was refined: the first of its picks are not a selection of
            their own.
        """
        if isinstance(t, bool) or not isinstance(t, (int, np.integer)) or not 1 <= t <= len(self):
            raise ValueError(f"t must be an integer from 1 to {len(self)}, not {t!r}")
        if t == len(self):
            return self
        if self.is_refined:
            raise ValueError(
                "a refined selection has no prefixes: its first picks are spread among its rows, not among "
                f"all; select {t} rows and refine them"
            )
        return Selection(
            indices=self.indices[:t].copy(),
            radii=self.radii[:t].copy(),
            covering_radius=float(self.radii[t]) if self.farthest_first else math.nan,
            metric=self.metric,
            info={**self._info_of_prefix(), "prefix_of": len(self)},
            farthest_first=self.farthest_first,
        )

    def _info_of_prefix(self) -> dict[str, Any]:
        return {name: value for name, value in self.info.items() if name != "picked_per_group"}

    def locate(self) -> Locations:
        """Return which row of which file each pick is.

        Returns
        -------
        Locations
            Named tuple ``(files, file, row)``: the names of the files, the position in them of each pick's
            file, (k,) int64, and the row within that file, (k,) int64.

        Raises
        ------
        ValueError
            The selection was not made from files.
        """
        if "files" not in self.info:
            raise ValueError("this selection was made from an array, not from files; its rows are `indices`")
        names, rows = _check_files(self.info["files"], self.indices)
        starts = np.cumsum([0, *rows], dtype=np.int64)
        file = np.searchsorted(starts, self.indices, side="right") - 1
        return Locations(names, file, self.indices - starts[file])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an .npz file, without pickles. All or nothing: an existing file is replaced at the end.

        Parameters
        ----------
        path : path-like
            Written as given; no suffix is appended.

        Raises
        ------
        ValueError
            `info` takes more than 16 million characters as JSON.
        OSError
            It cannot be written; what was there before still is.
        """
        with atomic_write(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **selection_arrays(self))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, limit: int | None = None) -> Selection:
        """Read what `save` wrote. The file may come from anyone: it runs no code, and is checked.

        Parameters
        ----------
        path : path-like
            A saved selection or a checkpoint.
        limit : int, optional
            How many bytes its arrays may take in memory. Default: 256 MiB or a hundred times the size of the
            file, whichever is more, which only `labels` of very many rows with few picks can exceed.

        Returns
        -------
        Selection

        Raises
        ------
        ValueError
            The file is not a saved selection, is damaged, or expands beyond `limit`.
        OSError
            The file cannot be opened.
        """
        try:
            with open_archive(path, limit=limit) as archive:
                return cls._from_archive(archive)
        except ValueError as error:
            raise ValueError(f"{path} is not a saved selection: {error}") from error

    @classmethod
    def _from_archive(cls, archive: ArrayArchive) -> Selection:
        """Take what an archive says of a selection, if it can be true."""
        names = set(archive.names)
        if "farpoint_selection" in names:
            version = int(archive.array("farpoint_selection", dtype=np.int64, dimensions=0))
            if version != _FORMAT:
                raise ValueError(f"format {version}, where this version of farpoint reads {_FORMAT}")
        if not _REQUIRED <= names <= _KNOWN:
            raise ValueError(f"it holds {_listed(names)}, where a selection has {_listed(_REQUIRED)}")
        metric = archive.text("metric", longest=_LONGEST_METRIC)
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}")
        info = archive.json_object("info", longest=LONGEST_JSON)
        if not isinstance(info.get("constraints", {}), dict):
            raise ValueError('info["constraints"] is not a dictionary')
        rows = info.get("n")
        indices = archive.array("indices", dtype=np.int64, dimensions=1)
        radii = archive.array("radii", dtype=np.float64, dimensions=1)
        if indices.shape != radii.shape:
            raise ValueError("indices and radii differ in length")
        farthest_first = "farthest_first" not in names or bool(
            archive.array("farthest_first", dtype=np.bool_, dimensions=0)
        )
        if np.isnan(radii).any() or (radii < 0).any():
            raise ValueError("radii are not distances")
        if farthest_first and (radii[1:] > radii[:-1]).any():
            raise ValueError("radii are not non-increasing")
        if (indices < 0).any() or len(np.unique(indices)) != len(indices):
            raise ValueError("indices are not distinct rows")
        if isinstance(rows, int) and (indices >= rows).any():
            raise ValueError(f"indices are not rows of the {rows} that info tells of")
        covering_radius = float(archive.array("covering_radius", dtype=np.float64, dimensions=0))
        if farthest_first:
            if not covering_radius >= 0 or (radii < covering_radius).any():
                raise ValueError("covering_radius is not a distance, or larger than a radius")
        elif covering_radius < 0:
            raise ValueError("covering_radius is not a distance")
        labels = distances = None
        if names & {"labels", "distances"}:
            labels = archive.array("labels", dtype=np.int64, dimensions=1)
            distances = archive.array("distances", dtype=np.float64, dimensions=1)
            if isinstance(rows, int) and len(labels) != rows:
                raise ValueError(f"there are {len(labels)} labels for the {rows} rows that info tells of")
            # An excluded row may be farther from the picks than all that count.
            bound = math.inf if "constraints" in info else covering_radius
            _check_assignment(labels, distances, indices, bound)
        if "files" in info:
            _check_files(info["files"], indices)
        if "refinement" in info:
            _check_refinement(info["refinement"])
        return cls(
            indices=indices,
            radii=radii,
            covering_radius=covering_radius,
            metric=metric,
            labels=labels,
            distances=distances,
            info=info,
            farthest_first=farthest_first,
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas DataFrame with columns order, index and radius (needs pandas).

        Of several files, also file and row.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install pandas") from None
        columns = {"order": np.arange(len(self)), "index": self.indices, "radius": self.radii}
        return pd.DataFrame({**columns, **self._file_columns()})

    def plot(
        self,
        X: Any = None,
        *,
        kind: str | None = None,
        sample: int = 4000,
        seed: int = 0,
        threads: int | None = None,
        dark: bool = False,
    ) -> Figure:
        """Return what `farpoint.report` draws as a figure of matplotlib (needs it: extra ``plot``).

        Parameters
        ----------
        X, sample, seed, threads
            As for `farpoint.report`. Without X only radii can be drawn.
        kind : {"radii", "neighbours", "projection", "clusters"}, optional
            One plot: radii against the number of picks, histograms of the distances to nearest neighbours,
            rows and picks along two principal axes, or the number of rows of each pick. Default: all that can
            be drawn.
        dark : bool
            For a dark background, which the figure brings.

        Returns
        -------
        matplotlib.figure.Figure
            Of its own, unknown to ``matplotlib.pyplot``: ``figure.savefig("plot.png")`` writes it.

        Raises
        ------
        ValueError, TypeError
            As for `farpoint.report`; or there is nothing to draw.
        ImportError
            Matplotlib is not installed: ``pip install "farpoint[plot]"``.

        Examples
        --------
        >>> X = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
        >>> figure = farpoint.select(X, 30).plot(X, kind="neighbours")
        >>> [axes.get_title("left") for axes in figure.axes]
        ['all rows', 'random subset', 'selection']
        """
        from farpoint.reporting import plotted

        return plotted(self, X, kind=kind, sample=sample, seed=seed, threads=threads, dark=dark)

    def _file_columns(self) -> dict[str, list[Any]]:
        """Return the name of each pick's file and its row there, where there are several files."""
        if len(self.info.get("files", ())) < 2:
            return {}
        files, file, row = self.locate()
        return {"file": [files[i] for i in file], "row": row.tolist()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, as JSON can hold them (None stands for infinity)."""
        return {
            "k": len(self),
            "metric": self.metric,
            "h_min": finite(self.h_min),
            "covering_radius": finite(self.covering_radius),
            "upper_bound": finite(self.upper_bound),
            "indices": self.indices.tolist(),
            "radii": finite(self.radii.tolist()),
            **self._file_columns(),
            "info": self.info,
        }

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return (
            f"Selection(k={len(self)}, metric={self.metric!r}, h_min={self.h_min:.6g}, "
            f"covering_radius={self.covering_radius:.6g}, upper_bound={self.upper_bound:.6g})"
        )


def _check_files(files: Any, indices: npt.NDArray[np.int64]) -> tuple[list[str], list[int]]:
    """Return names and numbers of rows of `info["files"]`, which may come from a file."""
    try:
        names = [file["name"] for file in files]
        rows = [file["rows"] for file in files]
    except (TypeError, KeyError):
        raise ValueError('info["files"] must be a list of dictionaries with name and rows') from None
    if not all(isinstance(name, str) for name in names) or not all(
        type(number) is int and number >= 0 for number in rows
    ):
        raise ValueError('info["files"] must be a list of dictionaries with name and rows')
    total = sum(rows)
    if len(indices) and not indices.max() < total < 2**63:
        raise ValueError(f'info["files"] holds {total} rows, indices name row {indices.max()}')
    return names, rows


def _check_refinement(refinement: Any) -> None:
    """Check what a file says of how a selection was refined."""
    bound = refinement.get("upper_bound", -1) if isinstance(refinement, dict) else -1
    if bound is not None and (type(bound) not in (int, float) or not bound >= 0):
        raise ValueError('info["refinement"] must be a dictionary with an upper_bound of at least 0')


def json_array(content: dict[str, Any], name: str) -> npt.NDArray[Any]:
    """Return a JSON object as the text that `ArrayArchive.json_object` reads."""
    text = json.dumps(content)
    if len(text) > LONGEST_JSON:
        raise ValueError(f"{name} takes {len(text)} characters as JSON, where {LONGEST_JSON} are the most")
    return np.array(text)


def selection_arrays(selection: Selection) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file that `Selection.load` reads."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "farpoint_selection": np.array(_FORMAT),
        "indices": selection.indices,
        "radii": selection.radii,
        "covering_radius": np.array(selection.covering_radius),
        "metric": np.array(selection.metric),
        "info": json_array(selection.info, "info"),
    }
    if selection.labels is not None and selection.distances is not None:
        arrays["labels"] = selection.labels
        arrays["distances"] = selection.distances
    if not selection.farthest_first:
        arrays["farthest_first"] = np.array(False)
    return arrays


def _check_assignment(
    labels: npt.NDArray[np.int64],
    distances: npt.NDArray[np.float64],
    indices: npt.NDArray[np.int64],
    covering_radius: float,
) -> None:
    """Check what a file says of each row's nearest pick."""
    if labels.shape != distances.shape:
        raise ValueError("labels and distances differ in length")
    if (indices >= len(labels)).any():
        raise ValueError("indices are not rows that have labels")
    if (labels < -1).any() or (labels >= len(indices)).any():
        raise ValueError("labels are not positions in indices")
    if not ((distances >= 0) & (distances <= covering_radius)).all():
        raise ValueError("distances are not distances within covering_radius")


def _listed(names: set[str]) -> str:
    """Name arrays; a few of them, for a file from anyone may hold any number."""
    shown = sorted(names)[:10]
    return ", ".join(shown)[:200] + (", ..." if len(shown) < len(names) else "") if names else "no arrays"
