"""Peak memory of one selection, in a process of its own (Linux).

python benchmarks/memory.py DATA.npy K THREADS {loaded|mapped} SELECTOR [OUT.npz]

prints JSON. "loaded" reads the file into memory first, "mapped" leaves it in the page cache. SELECTOR is
"farpoint" or a name in peers.SELECTORS; a peer makes as many picks as fit five seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

_SAMPLE_SECONDS = 0.005
_PEER_SECONDS = 5.0


@dataclass(frozen=True)
class Peak:
    """Bytes, and the seconds of the call."""

    beyond_input: int  # peak resident set during the call, less the resident set before
    anonymous: int  # peak of what is not backed by a file: of the whole process, the input too if loaded
    anonymous_before: int
    input_bytes: int
    seconds: float


def measure(
    data: Path,
    k: int,
    threads: int,
    *,
    mapped: bool = False,
    selector: str = "farpoint",
    output: Path | None = None,
) -> Peak:
    """Return the peak of a selection from an .npy file, which `output` keeps if it is farpoint's."""
    # A fresh process: a fork would start with its parent's peak.
    arguments = [str(data), str(k), str(threads), "mapped" if mapped else "loaded", selector]
    found = subprocess.run(
        [sys.executable, __file__, *arguments, *([str(output)] if output else [])],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Peak(**json.loads(found.stdout))


def _status(field: str) -> int:
    """Return a size of this process in bytes, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {field} in /proc/self/status")


class _AnonymousPeak:
    """The largest RssAnon while it is entered; Linux keeps a peak of the whole resident set only."""

    def __enter__(self) -> _AnonymousPeak:
        self.bytes = _status("RssAnon")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self.bytes = max(self.bytes, _status("RssAnon"))

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def main() -> None:
    """Run the call and print."""
    import farpoint
    import peers

    data, k, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    how, selector = sys.argv[4], sys.argv[5]
    X = np.load(data, mmap_mode="r" if how == "mapped" else None)
    # What is loaded once is not the call's.
    if selector == "farpoint":
        farpoint.select(X[:100].copy(), 10)
    else:
        peers.SELECTORS[selector](X[:100].copy(), 10, 1.0)
    resident, anonymous = _status("VmRSS"), _status("RssAnon")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    began = time.perf_counter()
    with _AnonymousPeak() as peak:
        if selector == "farpoint":
            selection = farpoint.select(X, k, threads=threads)
        else:
            peers.SELECTORS[selector](X, k, _PEER_SECONDS)
    seconds = time.perf_counter() - began
    beyond = _status("VmHWM") - resident
    if len(sys.argv) > 6:
        selection.save(sys.argv[6])
    print(json.dumps(asdict(Peak(beyond, peak.bytes, anonymous, X.nbytes, seconds))))


if __name__ == "__main__":
    main()
