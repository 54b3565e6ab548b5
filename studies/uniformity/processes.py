"""Several trainings at a time, a process each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(function: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> list[Result]:
    """Return what a function of a module makes of every job, in their order."""
    # Processes that are forked would have a torch whose threads are gone.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        return list(executor.map(function, jobs))
