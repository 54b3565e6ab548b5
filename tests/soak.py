"""Long randomised differential test: every engine against the reference, to the bit.

python -m tests.soak [--seconds 600] [--seed N]    draw instances until the time is up
python -m tests.soak --seed N --instance M         run one of them again, and say what it is

An instance is a call with everything about it drawn at random: shape, element type, metric, kind of data,
memory layout, options. It depends on the seed and its own number alone, so it can be run again by itself.
The instances run in a process of their own: a crash or a hang is reported like a wrong answer, with the
command that repeats it. Exit status 1 if there was any.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import secrets
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import farpoint
from tests.soak_instances import Instance, Random, draw

SIMD_VARIABLE = "FARPOINT_SIMD"
EAGER_VARIABLE = "FARPOINT_TEST_EAGER"
# A child that starts nothing new for so long hangs: the longest instances take a few seconds.
STALL_SECONDS = 300.0


# Engines, and what they return.


@dataclass(frozen=True)
class Engine:
    """A way to compute."""

    backend: str
    simd: str
    threads: int
    eager: bool = False  # take up every stage at once
    spare: int | None = None  # bytes of memory above the least that works; None: no limit
    known_share: float | None = None  # of a selection: made first, and gone on from

    def run(self, instance: Instance) -> Any:
        """Make the instance's call."""
        os.environ[SIMD_VARIABLE] = self.simd
        os.environ[EAGER_VARIABLE] = "1" if self.eager else ""
        try:
            if self.spare is not None:
                return instance.run_in(self.spare, self.backend, self.threads)
            if self.known_share is not None:
                return instance.run_in_two(self.backend, self.threads, self.known_share)
            return instance.run(self.backend, self.threads)
        finally:
            del os.environ[SIMD_VARIABLE], os.environ[EAGER_VARIABLE]

    def __str__(self) -> str:
        eager = " eager" if self.eager else ""
        memory = "" if self.spare is None else f" least memory + {self.spare:,}"
        two = "" if self.known_share is None else f" in two, {self.known_share:.3f} first"
        threads = f"{self.threads} thread{'s'[: self.threads > 1]}"
        return f"{self.backend} {self.simd} {threads}{eager}{memory}{two}"


def engines(random: Random, numba: bool) -> Iterator[Engine]:
    """Every usable SIMD level, as users get it and eager; a third of them select in two steps.

    One of them once more with a limit on memory, anything from the least that works.
    """
    for engine in _engines(random, numba):
        share = float(random.uniform(0, 1))
        in_two = share < 1 / 3 and engine.spare is None
        yield replace(engine, known_share=share * 3 if in_two else None)


def _engines(random: Random, numba: bool) -> Iterator[Engine]:
    """With numbers of threads drawn at random."""
    available = farpoint.show_config("dict")["backends"]["cpu"].get("simd_usable", [])
    for level in available:
        yield Engine("cpu", level, int(random.integers(1, 4)))
    for level in available:
        yield Engine("cpu", level, int(random.integers(1, 4)), eager=True)
    if available:
        spare = int(2 ** random.uniform(0, 24)) - 1 if random.integers(2) else 0
        level = str(random.choice(available))
        yield Engine("cpu", level, int(random.integers(1, 4)), bool(random.integers(2)), spare)
    if numba or not available:
        yield Engine("numba", "", int(random.integers(1, 3)))


def parts(result: Any) -> dict[str, Any]:
    """Take a result apart into what must be equal to the bit."""
    if isinstance(result, farpoint.Selection):
        names = ("indices", "radii", "covering_radius", "labels", "distances")
        return {name: getattr(result, name) for name in names}
    if isinstance(result, tuple):
        return dict(zip(type(result)._fields, result, strict=True))  # type: ignore[attr-defined]
    if isinstance(result, Exception):
        return {"error": f"{type(result).__name__}: {result}"}
    return {"result": result}


def difference(actual: Any, expected: Any) -> str:
    """Say what differs first; nothing if nothing does."""
    ours, theirs = parts(actual), parts(expected)
    if ours.keys() != theirs.keys():
        return f"{_shown(ours)}, where the reference has {_shown(theirs)}"
    for name in theirs:
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name}: {a.dtype} {a.shape}, where the reference has {b.dtype} {b.shape}"
        unequal = np.asarray(a != b)
        if unequal.any():
            at = tuple(int(i) for i in np.argwhere(unequal)[0])
            return (
                f"{name}{list(at) or ''}: {a[at]!r}, where the reference has {b[at]!r} "
                f"({int(unequal.sum())} of {a.size} differ)"
            )
    return ""


def _shown(result: dict[str, Any]) -> str:
    return str(result.get("error", "no error"))


# What the instances reached: engines have phases that small ones never enter.


@dataclass
class Coverage:
    """Counts over all instances, from Selection.info, whatever keys it has."""

    functions: Counter[str] = field(default_factory=Counter)
    selections: int = 0
    deep: int = 0
    positive: Counter[str] = field(default_factory=Counter)
    largest: dict[str, float] = field(default_factory=dict)
    named: Counter[str] = field(default_factory=Counter)
    errors: int = 0

    def add(self, instance: Instance, results: list[Any]) -> None:
        """Count an instance and what its engines returned."""
        self.functions[instance.function] += 1
        self.errors += isinstance(results[0], Exception)
        for result in results:
            if isinstance(result, farpoint.Selection):
                self.selections += 1
                self.deep += len(result) >= 300
                self._add_info(result.info)

    def _add_info(self, info: dict[str, Any], prefix: str = "") -> None:
        for key, value in info.items():
            name = f"{prefix}{key}"
            if key in ("constraints", "picked_per_group"):  # keys and digests of the instance's own
                self.named[key] += 1
            elif isinstance(value, dict):
                self._add_info(value, f"{name}.")
            elif isinstance(value, (str, bool)):
                self.named[f"{name}={value}"] += 1
            elif isinstance(value, (int, float)) and name not in ("n", "d", "seconds"):
                # More than one level, or anything of what can be 0.
                self.positive[name] += value > (name == "levels")
                self.largest[name] = max(self.largest.get(name, 0.0), float(value))

    def __str__(self) -> str:
        lines = [
            ", ".join(f"{count:,} {name}" for name, count in self.functions.most_common())
            + f"; {self.errors:,} of these are errors, as they are in the reference",
            f"{self.selections:,} selections by engines, {self.deep:,} of at least 300 picks; "
            + ", ".join(
                f"{count:,} {name}" for name, count in sorted(self.named.items()) if "version" not in name
            ),
            "positive (levels: above 1) in a share of them, and largest:",
        ]
        for name, count in self.positive.items():
            lines.append(f"  {name}: {count / self.selections:.1%}, {self.largest[name]:.4g}")
        return "\n".join(lines)


# Running.


def command(seed: int, number: int) -> str:
    return f"python -m tests.soak --seed {seed} --instance {number}"


def run_instance(seed: int, number: int, numba: bool, coverage: Coverage) -> list[str]:
    """Run one instance by every engine; return what is wrong."""
    random = np.random.default_rng([seed, number, 1])
    instance = draw(seed, number)
    expected = instance.run("reference", 1)
    found, wrong = [], []
    for engine in engines(random, numba):
        result = engine.run(instance)
        found.append(result)
        differs = difference(result, expected)
        if differs:
            wrong.append(f"{engine}: {differs}")
    coverage.add(instance, found)
    if wrong:
        wrong.insert(0, instance.about)
    return wrong


def prepare_process() -> None:
    """Show where a crash or a hang happened; overflows in the making of odd data are meant."""
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")


def run_until(seed: int, seconds: float, numba: bool, at: Any) -> None:
    """Draw instances until the time is up (in a child process); exit status 1 at the first wrong answer."""
    prepare_process()
    coverage = Coverage()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        wrong = run_instance(seed, at.value, numba, coverage)
        if wrong:
            print(*wrong, sep="\n", flush=True)
            sys.exit(1)
        at.value += 1
    print(coverage, flush=True)


def watch(seed: int, seconds: float, numba: bool) -> int:
    """Run the instances in a child; say which one was wrong, crashed or hung."""
    context = multiprocessing.get_context("spawn")
    at = context.Value("q", 0, lock=False)
    child = context.Process(target=run_until, args=(seed, seconds, numba, at))
    child.start()
    last, since = -1, time.monotonic()
    hung = False
    while child.is_alive() and not hung:
        child.join(1.0)
        if at.value != last:
            last, since = at.value, time.monotonic()
        hung = child.is_alive() and time.monotonic() - since > STALL_SECONDS
    if hung and child.pid is not None:
        if hasattr(signal, "SIGUSR1"):
            os.kill(child.pid, signal.SIGUSR1)  # it prints where it is
            time.sleep(1.0)
        child.kill()
        child.join()
    number = int(at.value)
    if child.exitcode == 0:
        print(f"soak: {number:,} instances, seed {seed}, no difference")
        return 0
    what = "hung" if hung else "differed" if child.exitcode == 1 else f"ended the process ({child.exitcode})"
    print(f"soak: instance {number:,} of seed {seed} {what}; again: {command(seed, number)}")
    return 1


def again(seed: int, number: int, numba: bool) -> int:
    """Run one instance here."""
    print(draw(seed, number).about, flush=True)
    wrong = run_instance(seed, number, numba, Coverage())
    print(*(wrong[1:] or ["no difference"]), sep="\n")
    return 1 if wrong else 0


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--seed", type=int, help="default: a new one, which is printed")
    parser.add_argument("--instance", type=int, help="run this one alone")
    parser.add_argument("--numba", action="store_true", help="the Numba backend too")
    options = parser.parse_args()
    if options.instance is not None and options.seed is None:
        parser.error("--instance needs the --seed that it was drawn with")
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    if options.instance is not None:
        prepare_process()
        return again(seed, options.instance, options.numba)
    print(f"soak: seed {seed}, {options.seconds:g} s", flush=True)
    return watch(seed, options.seconds, options.numba)


if __name__ == "__main__":
    sys.exit(main())
