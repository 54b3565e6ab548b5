"""What each kernel takes of registers and memory; exit status 1 if a hot one spills.

python tools/check_cuda_resources.py BUILD_FOLDER

Reads the reports that keep_ptxas_report.py left beside the objects. A register that does not fit is spilled
to memory, in the innermost loops of the hot kernels.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Kernels in which the time goes, as regular expressions of their names without namespace.
HOT = ("catch_up_kernel", "pick_kernel", "seed_kernel", "code_kernel", "all_pairs_kernel")
# The most that a thread can have.
ALL_REGISTERS = 255

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass
class Kernel:
    """One kernel on one architecture."""

    name: str
    architecture: str
    stack: int = 0
    spilled: int = 0
    registers: int = 0
    shared: int = 0

    @property
    def short(self) -> str:
        """Its name without namespaces, arguments and return type."""
        name = re.sub(r"\(anonymous namespace\)::", "", self.name)
        name = name.partition("(")[0].removeprefix("void ")
        return name.replace("farpoint::cuda::", "").replace("farpoint::", "")

    @property
    def hot(self) -> bool:
        """Whether it is one of HOT."""
        return any(re.match(pattern, self.short) for pattern in HOT)

    @property
    def wrong(self) -> str:
        """What is wrong with it, if it is hot."""
        if self.spilled:
            return f"spills {self.spilled} bytes"
        if self.stack:
            return f"keeps {self.stack} bytes in local memory"
        return "takes every register" if self.registers >= ALL_REGISTERS else ""


def read(report: str) -> list[Kernel]:
    """Return the kernels of a report of ptxas."""
    found: list[Kernel] = []
    entered = False
    for line in report.splitlines():
        if match := _ENTRY.search(line):
            found.append(Kernel(match[1], match[2]))
            entered = True
        elif entered and (match := _FRAME.search(line)):
            found[-1].stack = int(match[1])
            found[-1].spilled = max(int(match[2]), int(match[3]))
        elif entered and (match := _USED.search(line)):
            found[-1].registers = int(match[1])
            shared = _SHARED.search(line)
            found[-1].shared = int(shared[1]) if shared else 0
            entered = False
    return found


def demangle(kernels: list[Kernel]) -> None:
    """Give kernels the names of the source, where there is a tool for it."""
    if kernels and shutil.which("c++filt"):
        names = "\n".join(kernel.name for kernel in kernels)
        done = subprocess.run(["c++filt"], input=names, capture_output=True, text=True, check=True)
        for kernel, name in zip(kernels, done.stdout.splitlines(), strict=True):
            kernel.name = name


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    kernels = [kernel for path in sorted(folder.rglob("*.ptxas")) for kernel in read(path.read_text())]
    if not kernels:
        print(f"no kernel is reported under {folder}", file=sys.stderr)
        return 1
    demangle(kernels)
    kernels.sort(key=lambda kernel: (kernel.short, kernel.architecture))
    print(f"{'architecture':<13} {'registers':>9} {'shared':>7} {'stack':>6} {'spilled':>8}  kernel")
    for kernel in kernels:
        mark = f"  <- {kernel.wrong}" if kernel.hot and kernel.wrong else ""
        print(
            f"{kernel.architecture:<13} {kernel.registers:>9} {kernel.shared:>7} {kernel.stack:>6} "
            f"{kernel.spilled:>8}  {'*' if kernel.hot else ' '} {kernel.short}{mark}"
        )
    wrong = [kernel for kernel in kernels if kernel.hot and kernel.wrong]
    hot = {kernel.short for kernel in kernels if kernel.hot}
    print(f"{len(kernels)} kernels; {len(hot)} hot (*), of which {len(wrong)} builds are at fault")
    if not hot:
        print(f"no kernel is called like one of {', '.join(HOT)}: bring the list up to date", file=sys.stderr)
    return 1 if wrong or not hot else 0


if __name__ == "__main__":
    sys.exit(main())
