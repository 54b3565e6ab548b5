"""Telling the user how far a selection is, and how long it will take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from farpoint._metrics import FloatArray
from farpoint._picks import Picks
from farpoint.backends._protocol import IndexArray

Progress = bool | Callable[[int, int, float], object]

# How many moments the estimate of the time left looks at; beyond twice as many every second one is dropped.
_MOMENTS = 128
# Picks that there must have been, as a share of those that are left, before they say how long these take.
_TELLING_SHARE = 0.02


class TimeLeft:
    """How long the picks that are left will take, from the times at which numbers of picks were reached.

    As long each as the last half of the picks took on average: what a pick costs changes along a run, most
    at its beginning. What came before the first pick that was heard of, such as making the state of a run
    that goes on, has no part in it. (Letting the change go on as a fitted power of the number of picks was
    tried: at the median 6 instead of 8 % of the run off, but ten runs where picks come in bursts.)
    """

    def __init__(self) -> None:
        self._done: list[int] = []
        self._seconds: list[float] = []

    def reached(self, done: int, seconds: float) -> None:
        """Note that there were so many picks at this time."""
        self._done.append(done)
        self._seconds.append(seconds)
        if len(self._done) > 2 * _MOMENTS:
            # The first and the last are kept.
            self._done = self._done[:-1:2] + self._done[-1:]
            self._seconds = self._seconds[:-1:2] + self._seconds[-1:]

    def until(self, total: int) -> float | None:
        """Return the seconds from the last moment to `total` picks; None where too little is known."""
        if not self._done:
            return None
        first, last = self._done[0], self._done[-1]
        heard, left = last - first, total - last
        if heard <= _TELLING_SHARE * left:
            return None if left else 0.0
        seconds = self._seconds[-1] - float(np.interp(last - heard / 2, self._done, self._seconds))
        return left * seconds / (heard / 2)


class Reporter:
    """Tells (done, total, radius) to whoever wants to know."""

    def __init__(self, target: Callable[[int, int, float], object], total: int, known: Picks) -> None:
        self._target = target
        self._total = total
        self._done = len(known)
        self._radius = float(known.radii[-1]) if len(known) else math.inf
        self._reported = -1

    def hear(self, rows: IndexArray, radii: FloatArray) -> None:
        """Take new picks."""
        self._done += len(rows)
        self._radius = float(radii[-1])
        self._report()

    def finish(self) -> None:
        """Tell the end, if nobody was told."""
        if self._reported != self._done:
            self._report()

    def _report(self) -> None:
        self._reported = self._done
        self._target(self._done, self._total, self._radius)


@contextmanager
def reporting(
    progress: Progress, *, known: Picks, total: int, total_is_known: bool, min_distance: float
) -> Iterator[Reporter | None]:
    """Yield what hears of the picks after `known`, or None.

    Parameters
    ----------
    progress : bool or callable
    known : Picks
    total : int
        The most picks that there can be.
    total_is_known : bool
        False: there are as many as `min_distance` allows.
    min_distance : float
        The radius at which the selection ends, if that is not 0.
    """
    if callable(progress):
        yield Reporter(progress, total, known)
    elif progress is True:
        with _bar(total if total_is_known else None, len(known), min_distance) as update:
            yield Reporter(update, total, known)
    elif progress is False:
        yield None
    else:  # a caller without a type checker
        raise TypeError("progress must be a bool or a callable(done, total, radius)")


@contextmanager
def _bar(total: int | None, known: int, min_distance: float) -> Iterator[Callable[[int, int, float], None]]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError('progress=True needs tqdm: pip install "farpoint[progress]"') from None
    # The time left that tqdm would show takes every pick to cost the same.
    counted = "{n_fmt}/{total_fmt}" if total is not None else "{n_fmt} picks"
    share = "{percentage:3.0f}%|{bar}| " if total is not None else ""
    left = TimeLeft()
    with tqdm(
        total=total,
        initial=known,
        unit="pick",
        desc="farpoint",
        bar_format=f"{{desc}}: {share}{counted} [{{elapsed}}{{postfix}}]",
    ) as bar:

        def update(done: int, _total: int, radius: float) -> None:
            left.reached(done, time.perf_counter())
            text = f"radius {radius:.4g}"
            if min_distance > 0:
                text += f", down to {min_distance:.4g}"
            seconds = None if total is None else left.until(total)
            if seconds is not None:
                text += f", {tqdm.format_interval(seconds)} left"
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield update
