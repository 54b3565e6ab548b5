"""Progress: a bar, a callable, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farpoint._metrics import Metric, Unit
from farpoint.backends._protocol import ProgressListener

Progress = bool | Callable[[int, int, float], object]


@contextmanager
def listening(
    progress: Progress, total: int, metric: Metric, unit: Unit
) -> Iterator[ProgressListener | None]:
    """Yield what backends call with (done, total, stored value), or None."""
    if callable(progress):
        listener = progress

        def call(done: int, of: int, value: float) -> None:
            listener(done, of, metric.distance(value, unit))

        yield call
    elif progress is True:
        with _bar(total, metric, unit) as update:
            yield update
    elif progress is False or progress is None:
        yield None
    else:
        raise TypeError("progress must be a bool or a callable(done, total, radius)")


@contextmanager
def _bar(total: int, metric: Metric, unit: Unit) -> Iterator[ProgressListener]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError('progress=True needs tqdm: pip install "farpoint[progress]"') from None
    with tqdm(total=total, unit="pick", desc="farpoint") as bar:

        def update(done: int, of: int, value: float) -> None:
            bar.set_postfix_str(f"radius {metric.distance(value, unit):.4g}", refresh=False)
            bar.update(done - bar.n)

        yield update
        bar.update(total - bar.n)
