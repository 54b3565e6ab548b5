"""Progress: a bar, a callable, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farpoint._metrics import Metric, Unit
from farpoint.backends._protocol import ProgressListener

Progress = bool | Callable[[int, int, float], object]


class Reporter:
    """Turns stored values into radii on the way to whoever listens, and skips repeated reports."""

    def __init__(self, target: Callable[[int, int, float], object], metric: Metric, unit: Unit) -> None:
        self._target = target
        self._metric = metric
        self._unit = unit
        self._last = -1

    def __call__(self, done: int, total: int, value: float) -> None:
        """Report that `done` picks are made, the last at `value`."""
        if done != self._last:
            self._last = done
            self._target(done, total, self._metric.distance(value, self._unit))


@contextmanager
def listening(
    progress: Progress, total: int, metric: Metric, unit: Unit
) -> Iterator[ProgressListener | None]:
    """Yield what backends call with (done, total, stored value), or None."""
    if callable(progress):
        yield Reporter(progress, metric, unit)
    elif progress is True:
        with _bar(total) as update:
            yield Reporter(update, metric, unit)
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
