"""Damaged and malicious files against everything that reads files.

python -m tests.fuzz [--seconds 600] [--seed N] [--target NAME]    draw cases until the time is up
python -m tests.fuzz --seed N --case M --keep FILE                 run one of them again, and keep its file

A case is a valid file of some format with a few mutations. It depends on the seed and its own number alone.
Either it is refused with an error that names the file, or what is read is what a trusted reader makes of the
same bytes. The cases run in a process of their own, whose memory and time are limited: a crash, a hang or
absurd memory is reported like a wrong answer, with the command that repeats it. Exit status 1 if there was
any.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import resource
import secrets
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.targets import Arrays, Seed, Target, targets

# A case takes milliseconds.
CASE_SECONDS = 5.0  # of the processor's time: the machine may be busy
STALL_SECONDS = 120.0  # for a case that waits for something
# What the process may take beyond what it has at the start: no file here holds a megabyte, and the reader of
# archives allows small ones 256 MiB.
HEADROOM_BYTES = 1 << 30
# What a reader may raise. MemoryError is not among them: it is what absurd sizes end in.
REFUSALS = (ValueError, TypeError, FileNotFoundError, ImportError)


def draw(seed: int, number: int, chosen: dict[str, Target]) -> tuple[str, Seed, bytes]:
    """Return the name of a case's target, the file that it starts from, and the bytes that it is."""
    random = np.random.default_rng([seed, number])
    name = list(chosen)[int(random.integers(len(chosen)))]
    target = chosen[name]
    start = target.seeds[int(random.integers(len(target.seeds)))]
    how = target.mutations[int(random.integers(len(target.mutations)))]
    return name, start, how(random, start.content, [seed.content for seed in target.seeds])


def run_case(target: Target, path: Path, options: dict[str, str]) -> tuple[str, str]:
    """Read a file; return what came of it ("refused", "read", "wrong"), and more about it."""
    try:
        ours = target.read(path, options)
    except REFUSALS as error:
        if path.name not in str(error):
            return "wrong", f"the error does not name the file: {type(error).__name__}: {error}"
        return "refused", str(error)
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {error}"
    try:
        theirs = target.trusted(path, options)
    except Exception as error:
        return "wrong", f"was read, where the trusted reader says {type(error).__name__}: {error}"
    differs = difference(ours, theirs)
    return ("wrong", differs) if differs else ("read", "")


def difference(ours: Arrays, theirs: Arrays) -> str:
    """Say what differs first; nothing if nothing does."""
    if ours.keys() != theirs.keys():
        return f"{sorted(ours)} were read, where the trusted reader has {sorted(theirs)}"
    for name, expected in theirs.items():
        actual = ours[name]
        if actual.shape != expected.shape:
            return f"{name} has shape {actual.shape}, where the trusted reader has {expected.shape}"
        if not np.array_equal(actual, expected, equal_nan=actual.dtype.kind == "f"):
            return f"{name} has other elements than the trusted reader's"
    return ""


def limit_process() -> None:
    """Make absurd memory and endless loops end the process, and crashes show where they were."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + HEADROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run_until(seed: int, seconds: float, only: str | None, folder: Path, at: Any) -> None:
    """Run cases until the time is up (in a child process); exit status 1 at the first wrong one."""
    every = targets()
    chosen = {only: every[only]} if only else every
    for target in chosen.values():  # what is imported and started late counts as there from the start
        for start in target.seeds:
            path = folder / f"valid.{start.suffix}"
            path.write_bytes(start.content)
            what, about = run_case(target, path, start.options)
            if what != "read":
                print(f"a valid file was not read: {about}", flush=True)
                sys.exit(1)
    limit_process()
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name, start, content = draw(seed, at.value, chosen)
        path = folder / f"case.{start.suffix}"
        path.write_bytes(content)
        signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS)  # its signal ends the process
        what, about = run_case(chosen[name], path, start.options)
        signal.setitimer(signal.ITIMER_PROF, 0)
        counts[f"{name} {what}"] += 1
        if what == "wrong":
            print(f"{name}: {about}", flush=True)
            sys.exit(1)
        at.value += 1
    print(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())), flush=True)


def watch(seed: int, seconds: float, only: str | None) -> int:
    """Run the cases in a child; say which one was wrong, crashed or hung."""
    context = multiprocessing.get_context("spawn")
    at = context.Value("q", 0, lock=False)
    with tempfile.TemporaryDirectory() as folder:
        child = context.Process(target=run_until, args=(seed, seconds, only, Path(folder), at))
        child.start()
        last, since = -1, time.monotonic()
        hung = False
        while child.is_alive() and not hung:
            child.join(0.5)
            if at.value != last:
                last, since = at.value, time.monotonic()
            hung = child.is_alive() and time.monotonic() - since > STALL_SECONDS
        if hung:
            child.kill()
            child.join()
    number = int(at.value)
    if child.exitcode == 0:
        print(f"fuzz: {number:,} cases, seed {seed}, nothing wrong")
        return 0
    hung = hung or child.exitcode == -signal.SIGPROF
    what = "hung" if hung else "was wrong" if child.exitcode == 1 else f"ended the process ({child.exitcode})"
    print(f"fuzz: case {number:,} of seed {seed} {what}; again: {command(seed, number, only)}")
    return 1


def command(seed: int, number: int, only: str | None) -> str:
    chosen = f" --target {only}" if only else ""
    return f"python -m tests.fuzz --seed {seed} --case {number}{chosen}"


def again(seed: int, number: int, only: str | None, keep: Path | None) -> int:
    """Run one case here."""
    every = targets()
    chosen = {only: every[only]} if only else every
    name, start, content = draw(seed, number, chosen)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case.{start.suffix}"
        path.write_bytes(content)
        if keep is not None:
            shutil.copy(path, keep)
        print(f"{name}: {len(content)} bytes, options {start.options}", flush=True)
        limit_process()
        what, about = run_case(chosen[name], path, start.options)
    print(f"{what}: {about}" if about else what)
    return 1 if what == "wrong" else 0


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--seed", type=int, help="default: a new one, which is printed")
    parser.add_argument("--target", choices=sorted(targets()), help="this one alone")
    parser.add_argument("--case", type=int, help="run this one alone")
    parser.add_argument("--keep", type=Path, help="with --case: where to put its file")
    options = parser.parse_args()
    if options.case is not None and options.seed is None:
        parser.error("--case needs the --seed that it was drawn with")
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    if options.case is not None:
        return again(seed, options.case, options.target, options.keep)
    print(f"fuzz: seed {seed}, {options.seconds:g} s", flush=True)
    return watch(seed, options.seconds, options.target)
