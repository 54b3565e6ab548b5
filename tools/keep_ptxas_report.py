"""A compiler launcher: run the command, and keep what it says on standard error beside the object.

keep_ptxas_report.py COMMAND... -o OBJECT ...    writes OBJECT.ptxas

With nvcc's -Xptxas=-v that is what every kernel takes of registers and memory, for check_cuda_resources.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run."""
    command = sys.argv[1:]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    sys.stderr.write("".join(line for line in done.stderr.splitlines(True) if not _is_report(line)))
    if "-o" in command:
        Path(command[command.index("-o") + 1] + ".ptxas").write_text(done.stderr)
    return done.returncode


def _is_report(line: str) -> bool:
    return line.startswith("ptxas info") or "bytes stack frame" in line


if __name__ == "__main__":
    sys.exit(main())
