"""Checkpoints: the picks of a selection, kept in a file while it runs.

A checkpoint is a saved Selection (selection.py) with one more array, `problem`: what it belongs to, as JSON
(_fingerprint.py). Of t picks it holds t - 1, and the radius of the last as covering radius, so that it is a
right selection at any moment; with weights or groups no covering radius, which is another distance then.
Nothing is kept of an engine's state: it is made again from the picks (docs/decisions/0007-going-on.md).
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._archives import open_archive
from farpoint._atomic import atomic_write, check_writable, remove_stale
from farpoint._fingerprint import Fingerprint, check_fingerprint, differences
from farpoint._metrics import FloatArray
from farpoint._picks import Picks
from farpoint._signals import sigterm_interrupts
from farpoint.backends._protocol import IndexArray
from farpoint.selection import LONGEST_JSON, Selection, json_array, selection_arrays

_log = logging.getLogger("farpoint.checkpoint")

# Seconds from one write to the next, and the share of a run that writing may take where it is slow.
INTERVAL_SECONDS = 60.0
LARGEST_SHARE = 0.01


class Checkpoint:
    """The file of one call.

    Parameters
    ----------
    path : path-like
        Need not exist. What is there and is no checkpoint is refused, and stays as it is.

    Raises
    ------
    ValueError
        The file cannot be written, is something else than a checkpoint, or is damaged.

    Attributes
    ----------
    name : str
        What messages call it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"checkpoint must be a path, not {type(path).__name__}")
        self.name = f"checkpoint {os.fspath(path)}"
        # A link stays a link: what it points to is replaced.
        self._path = Path(os.path.realpath(path))
        check_writable(self._path)
        remove_stale(self._path)
        self._saved: Selection | None = None
        self._saved_problem: Fingerprint = {}
        if self._path.exists():
            try:
                self._saved, self._saved_problem = read_checkpoint(self._path)
            except ValueError as error:
                raise ValueError(f"{self.name} cannot be used, and is not overwritten: {error}") from error
        self._problem: Fingerprint = {}
        self._metric = ""
        self._info: dict[str, Any] = {}
        self._farthest_first = True
        self._heard: list[tuple[IndexArray, FloatArray]] = []
        self._next_write = 0.0
        self._writable = True

    @property
    def first_row(self) -> int | None:
        """The first pick of the run that the file is of, if there is one."""
        return int(self._saved.indices[0]) if self._saved is not None and len(self._saved) else None

    def resume(self, problem: Fingerprint) -> Picks | None:
        """Return the picks that the file holds of `problem`, to which this checkpoint belongs from now on.

        Raises
        ------
        ValueError
            The file belongs to another problem, or cannot hold what this one is.
        """
        json_array(problem, f"{self.name} cannot be kept: its problem")  # known now, not in an hour
        self._problem = problem
        if self._saved is None:
            return None
        different = differences(self._saved_problem, problem)
        if different:
            raise ValueError(f"{self.name} belongs to another problem: {'; '.join(different)}")
        saved = self._saved
        if saved.metric != problem["metric"] or problem["start"] not in (None, self.first_row):
            raise ValueError(f"{self.name} is damaged: its picks are not of the problem that it names")
        _log.info("%s holds %d picks", self.name, len(saved))
        return Picks(
            saved.indices,
            saved.radii,
            saved.covering_radius,
            saved.labels,
            saved.distances,
            saved.farthest_first,
        )

    @contextmanager
    def kept(self, known: Picks, metric: str, info: dict[str, Any]) -> Iterator[None]:
        """Keep what is heard after the picks `known`: every so often, and when the block is left by an error.

        Parameters
        ----------
        known : Picks
            What comes before the first that is heard.
        metric, info
            Of the Selection that the file holds before the run is done.
        """
        json_array(info, f"{self.name} cannot be kept: its info")
        self._metric, self._info, self._farthest_first = metric, info, known.farthest_first
        self._heard = [(known.indices, known.radii)]
        self._next_write = time.monotonic() + INTERVAL_SECONDS
        with sigterm_interrupts():
            try:
                yield
            except BaseException:
                self._rescue()
                raise

    def hear(self, rows: IndexArray, radii: FloatArray) -> None:
        """Take new picks; write if it is time to."""
        # One operation, so that an interrupt finds both or none.
        self._heard.append((rows, radii))
        if time.monotonic() >= self._next_write:
            self._write_heard()

    def finish(self, selection: Selection) -> None:
        """Keep the result, if there is more of it than the file holds."""
        # Labels belong to all the picks of a selection: those of a shorter one are no loss.
        wanted = (len(selection), selection.labels is not None)
        if self._saved is None or (len(self._saved), self._saved.labels is not None) < wanted:
            self._write(selection)

    def _rescue(self) -> None:
        """Keep what was heard, if it can be, on the way out."""
        if self._writable:
            try:
                self._write_heard()
            except OSError as error:
                _log.warning("%s", error)

    def _write_heard(self) -> None:
        indices, radii = (np.concatenate(parts) for parts in zip(*self._heard, strict=True))
        self._heard = [(indices, radii)]
        complete = len(indices) - 1
        if complete > (0 if self._saved is None else len(self._saved)):
            self._write(
                Selection(
                    indices=indices[:complete],
                    radii=radii[:complete],
                    covering_radius=float(radii[complete]) if self._farthest_first else math.nan,
                    metric=self._metric,
                    info=self._info,
                    farthest_first=self._farthest_first,
                )
            )

    def _write(self, selection: Selection) -> None:
        began = time.monotonic()
        arrays = selection_arrays(selection)
        arrays["problem"] = json_array(self._problem, "problem")
        try:
            with atomic_write(self._path) as partial, partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            self._writable = False
            raise OSError(
                error.errno, f"{self.name} cannot be written ({error.strerror}); the one before is intact"
            ) from error
        self._saved = selection
        took = time.monotonic() - began
        self._next_write = began + took + max(INTERVAL_SECONDS, took / LARGEST_SHARE)
        _log.debug("%s: %d picks written in %.3f s", self.name, len(selection), took)


def read_checkpoint(path: Path) -> tuple[Selection, Fingerprint]:
    """Return the selection in a checkpoint, and what it belongs to. The file may come from anyone.

    Raises
    ------
    ValueError
        The file is no checkpoint, or is damaged.
    """
    selection = Selection.load(path)
    try:
        with open_archive(path) as archive:
            if "problem" not in archive.names:
                raise ValueError(
                    "it is a saved selection and says nothing of what it was made from; farpoint.extend goes "
                    "on from it"
                )
            problem = archive.json_object("problem", longest=LONGEST_JSON)
        check_fingerprint(problem)
    except ValueError as error:
        raise ValueError(f"{path} is not a checkpoint: {error}") from error
    return selection, problem
