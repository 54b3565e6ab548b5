"""Records larger than memory is meant to hold: what `farpoint select` takes for a file of a gigabyte.

python -m tests.soak_records [--megabytes 1000] [--folder FOLDER]

Makes JSON lines and their embeddings in a temporary folder, selects from them by the command line, as JSON
lines and as Parquet, and compares what comes out with the lines that were picked. Exit status 1 if anything
differs, or if the command took more memory than a constant.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import farpoint
from tests.conftest import Array

# What the command may take, whatever the size of its input, with the few embeddings that are mapped.
LIMIT_MEGABYTES = 400
K = 5000
COLUMNS = 8
_WORDS = ["the", "quick", "brown", "fox", "\u2028", "é", "\U0001f600", "\\", '"', "1234567890"]


@dataclass(frozen=True)
class Files:
    """A file of records, where its lines begin, and the embeddings."""

    data: Path
    embeddings: Path
    starts: Array

    def lines(self, rows: Array) -> Iterator[bytes]:
        """Return some of the lines, as they are in the file."""
        with self.data.open("rb") as file:
            for row in rows:
                file.seek(int(self.starts[row]))
                yield file.read(int(self.starts[row + 1] - self.starts[row]))


def make(folder: Path, megabytes: float) -> Files:
    """Write lines of a few hundred to a few thousand bytes."""
    random = np.random.default_rng(0)
    words = np.array(_WORDS)
    texts = [
        " ".join(words[random.integers(len(words), size=size)]) for size in random.integers(20, 400, 500)
    ]
    data = folder / "data.jsonl"
    starts = [0]
    with data.open("wb") as file:
        while starts[-1] < megabytes * 1e6:
            i = len(starts) - 1
            content = {"id": i, "instruction": texts[i % 499], "output": texts[i * 7 % 500], "score": i / 3}
            line = json.dumps(content, ensure_ascii=i % 3 == 0).encode() + (b"\r\n" if i % 5 == 0 else b"\n")
            file.write(line)
            starts.append(starts[-1] + len(line))
    np.save(folder / "emb.npy", random.standard_normal((len(starts) - 1, COLUMNS)).astype(np.float32))
    return Files(data, folder / "emb.npy", np.array(starts))


def select(files: Files, output: Path, k: int) -> tuple[float, float]:
    """Run the command; return its peak of memory in megabytes, and the seconds that it took."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "farpoint", "select", str(files.data), "--embeddings", str(files.embeddings)]
        + ["-k", str(k), "-o", str(output), "--quiet"]
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"farpoint ended with status {child.returncode}")
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return usage.ru_maxrss / unit, time.perf_counter() - began


def check(files: Files, output: Path, k: int) -> str:
    """Say how the output differs from what is to be there; nothing if it does not."""
    rows = farpoint.select(files.embeddings, k).indices
    expected = files.lines(rows)
    if output.suffix == ".parquet":
        import pyarrow.parquet as pq

        found = pq.read_table(output).to_pylist()
        same = len(found) == k and all(
            row == json.loads(line) for row, line in zip(found, expected, strict=True)
        )
    else:
        with output.open("rb") as file:
            same = all(file.read(len(line)) == line for line in expected) and not file.read(1)
    return "" if same else f"{output.name} does not hold the selected records, in their order"


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=1000.0, help="of records (default: 1000)")
    parser.add_argument("--folder", help="where the temporary folder goes (default: the system's)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        files = make(Path(folder), options.megabytes)
        size = files.data.stat().st_size / 1e6
        print(f"soak: {len(files.starts) - 1:,} records of {size:,.0f} MB", flush=True)
        wrong = 0
        for name in ("out.jsonl", "out.parquet"):
            output = Path(folder, name)
            peak, seconds = select(files, output, K)
            differs = check(files, output, K)
            if peak > LIMIT_MEGABYTES:
                differs = differs or f"{peak:,.0f} MB are more than the {LIMIT_MEGABYTES} that it may take"
            print(
                f"soak: {name}: {peak:,.0f} MB at most, {seconds:.1f} s; {differs or 'nothing wrong'}",
                flush=True,
            )
            wrong += bool(differs)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
