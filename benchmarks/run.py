"""farpoint against its peers, in one run, on one machine: prints the tables and keeps them, dated.

python benchmarks/run.py [--only SECTION,...] [--data FILE] [--quick] [--limit SECONDS] [--output FOLDER]

Exit status 1 if an answer was wrong or a section ended early; a target that was missed is reported and does
not fail.
"""

from __future__ import annotations

import os
import sys

# This variable makes numpy's matrix products run the kernels of another processor, and every ratio to numpy
# with them. The library reads it when the process starts, so the process starts again without it.
if "OPENBLAS_CORETYPE" in os.environ:
    value = os.environ.pop("OPENBLAS_CORETYPE")
    os.environ["FARPOINT_BENCH_REMOVED"] = f"OPENBLAS_CORETYPE={value} was set and was removed for the run."
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

import argparse
import time
import traceback
from pathlib import Path

import machine
from measure import Bench
from report import Report, Section
from sections import SECTIONS

RESULTS = Path(__file__).parent / "results"


def chosen_sections(only: str) -> list[str]:
    """Return the sections that are named, all of them by default."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown section {unknown[0]!r}; the known ones are {', '.join(SECTIONS)}"
        )
    return [name for name in SECTIONS if name in names] or list(SECTIONS)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        type=chosen_sections,
        default=list(SECTIONS),
        metavar="SECTION,...",
        help=f"of {', '.join(SECTIONS)} (default: all)",
    )
    parser.add_argument("--data", type=Path, help="a .npy matrix (default: the real embeddings)")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything work?")
    parser.add_argument(
        "--limit", type=float, help="seconds for a peer's loop that can be stopped (default: 30, quick: 3)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()

    report = Report(machine.describe(), options.quick)
    stem = report.stem([] if options.only == list(SECTIONS) else options.only)
    for name in options.only:
        module = SECTIONS[name]
        section = Section(name, module.ABOUT)
        report.sections.append(section)
        bench = Bench(
            section,
            quick=options.quick,
            limit=options.limit or (3.0 if options.quick else 30.0),
            data=options.data,
            results=options.output,
            stem=stem,
        )
        began = time.perf_counter()
        try:
            module.run(bench)
        except Exception as error:
            traceback.print_exc()
            section.failure = f"{type(error).__name__}: {error}"
        section.seconds = time.perf_counter() - began
        report.write(options.output, stem)  # after each: what is measured is kept
    print(report.markdown())
    return 1 if report.wrong or report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
