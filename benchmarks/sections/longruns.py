"""What checkpoints cost, and what it costs to go on from picks that are made."""

from __future__ import annotations

import logging
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import data
import farpoint
from measure import Bench, evaluated, settled, timed
from report import Row

ABOUT = "checkpoints, and going on from them"
# Of the time of the run.
CEILING = 0.02


class _WriteTimes(logging.Handler):
    """Collects the seconds that writes of checkpoints took, from the log."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        if "picks written" in record.msg and isinstance(record.args, tuple):
            self.seconds.append(float(record.args[-1]))  # type: ignore[arg-type]


def run(bench: Bench) -> None:
    """Measure."""
    X, bench.section.data = data.real(bench.data, 20_000 if bench.quick else None)
    farpoint.select(X[:1000], 10)  # what is loaded once is not the call's
    for k in (500, 2000) if bench.quick else (5_000, 20_000):
        case(bench, X, k)
    bench.section.notes.append(
        "A checkpoint is flushed to the disk, and so is its folder. The share is that of the writes, from "
        "the log: the difference of two whole times is smaller than their noise."
    )


def case(bench: Bench, X: data.Matrix, k: int) -> None:
    """Measure one k."""
    bench.say(f"whole run, k = {k:,}")
    whole, seconds = settled(partial(farpoint.select, X, k))
    bench.check_selection(X, whole, f"k = {k:,}")
    rows = [_row("whole run", whole, seconds, seconds)]

    bench.say(f"with a checkpoint, k = {k:,}")
    kept, with_checkpoint, writing = _with_checkpoint(X, k)
    bench.check_same(kept, whole, "with a checkpoint")
    rows.append(_row("with a checkpoint", kept, with_checkpoint, seconds))
    share = writing / with_checkpoint
    bench.section.target(
        f"k = {k:,}: writing the checkpoint, of the run: below {CEILING:.0%}", f"{share:.2%}", share < CEILING
    )
    for t in (k // 2, k - 10):
        bench.say(f"going on from {t:,}")
        longer, going_on = settled(partial(farpoint.extend, whole.prefix(t), X, k))
        bench.check_same(longer, whole, f"from {t:,}")
        rows.append(_row(f"going on from {t:,} picks", longer, going_on, seconds))
    bench.section.tables[f"{len(X):,} x {X.shape[1]} float32, k = {k:,}"] = rows


def _with_checkpoint(X: data.Matrix, k: int) -> tuple[Any, float, float]:
    """Return a selection that was kept, its seconds, and those that went into writing."""
    logger = logging.getLogger("farpoint.checkpoint")
    times = _WriteTimes()
    logger.addHandler(times)
    logger.setLevel(logging.DEBUG)
    try:
        with tempfile.TemporaryDirectory() as folder:
            selection, seconds = timed(
                partial(farpoint.select, X, k, checkpoint=Path(folder) / "checkpoint.npz")
            )
    finally:
        logger.removeHandler(times)
        logger.setLevel(logging.NOTSET)
    return selection, seconds, sum(times.seconds)


def _row(what: str, selection: farpoint.Selection, seconds: float, whole: float) -> Row:
    figures = {"of the whole run": f"{seconds / whole:.2f}", "evaluated": evaluated(selection)}
    return Row(what, seconds, figures)
