"""Progress: a bar, a callable, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farpoint._metrics import FloatArray, Metric, Unit
from farpoint.backends._protocol import IndexArray, RawSelection, ValueArray

Progress = bool | Callable[[int, int, float], object]


class Reporter:
    """Listens to the picks of a selection, and tells (done, total, radius) to whoever wants to know."""

    def __init__(
        self,
        target: Callable[[int, int, float], object],
        total: int,
        known: FloatArray,
        metric: Metric,
        unit: Unit,
    ) -> None:
        self._target = target
        self._total = total
        self._known = self._done = len(known)
        self._radius = float(known[-1]) if len(known) else math.inf
        self._reported = -1
        self._metric = metric
        self._unit = unit

    def __call__(self, rows: IndexArray, values: ValueArray) -> None:
        """Take new picks."""
        if len(rows):
            self._done += len(rows)
            self._radius = self._metric.distance(float(values[-1]), self._unit)
            self._report()

    def complete(self, found: RawSelection) -> None:
        """Take the picks of the finished selection that were not heard of yet."""
        heard = self._done - self._known
        self(found.indices[heard:], found.values[heard:])
        if self._reported != self._done:
            self._report()

    def _report(self) -> None:
        self._reported = self._done
        self._target(self._done, self._total, self._radius)


@contextmanager
def listening(
    progress: Progress, total: int, known: FloatArray, metric: Metric, unit: Unit
) -> Iterator[Reporter | None]:
    """Yield what listens to the picks after those of radii `known`, or None."""
    if callable(progress):
        yield Reporter(progress, total, known, metric, unit)
    elif progress is True:
        with _bar(total) as update:
            yield Reporter(update, total, known, metric, unit)
    elif progress is False:
        yield None
    else:  # a caller without a type checker
        raise TypeError("progress must be a bool or a callable(done, total, radius)")


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int, int, float], None]]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError('progress=True needs tqdm: pip install "farpoint[progress]"') from None
    with tqdm(total=total, unit="pick", desc="farpoint") as bar:

        def update(done: int, _total: int, radius: float) -> None:
            bar.set_postfix_str(f"radius {radius:.4g}", refresh=False)
            bar.update(done - bar.n)

        yield update
