"""Selection on a GPU: against loops of PyTorch and CuPy on the same device, and against its peaks."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import data
import farpoint
from measure import Bench, agreement, evaluated, settled, timed
from report import Row

ABOUT = "selection on a GPU, from arrays that are there"
# How many times a loop's speed the first selection must have; the rest of the targets.
LOOP_FLOOR = 40.0
SCREEN_SHARE = 0.5
MICROSECONDS_A_PICK = 6.0
# A loop's cost a pick is constant: so many are timed.
PEER_PICKS = 200
# Rows that are made on the host.
CLUSTERED_ROWS = 200_000


@dataclass(frozen=True)
class Case:
    """One matrix and how long its selection may take."""

    name: str
    n: int
    d: int
    k: int
    dtype: str
    limit: float

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.name}: {self.n:,} x {self.d} {self.dtype}, k = {self.k:,}"


CASES = (
    Case("clustered", 1_000_000, 768, 100_000, "float32", 3.0),
    Case("clustered", 10_000_000, 384, 100_000, "float16", 15.0),
    Case("real", 117_659, 384, 58_829, "float32", 1.0),
)
QUICK_CASES = (
    Case("clustered", 50_000, 768, 3_000, "float32", 3.0),
    Case("clustered", 100_000, 384, 3_000, "float16", 15.0),
    Case("real", 20_000, 384, 10_000, "float32", 1.0),
)


def run(bench: Bench) -> None:
    """Measure."""
    state = farpoint.show_config("dict")["backends"]["cuda"]
    reason = "" if state["available"] else f"no CUDA device: {state['reason']}"
    for module in ("cupy", "torch"):
        if not reason and importlib.util.find_spec(module) is None:
            reason = f"{module} is not installed"
    if reason:
        bench.section.notes.append(f"Skipped: {reason}.")
        bench.section.target("everything on a GPU", reason, None)
        return
    bench.section.data = (
        f"{'; '.join(state['devices'])}; runtime {state['runtime']}, driver {state['driver']}"
    )
    peak = int8_peak(bench)
    for case in QUICK_CASES if bench.quick else CASES:
        measure(bench, case, peak)


def measure(bench: Bench, case: Case, peak: float) -> None:
    """One table."""
    bench.say(f"making {case.title}")
    X = on_device(bench, case)
    farpoint.select(X[:5000], 100)  # what is loaded once is not the call's
    bench.say("farpoint")
    selection, seconds = settled(partial(farpoint.select, X, case.k))
    k = len(selection)

    def row(what: str, took: float, picks: int, pairs: str, agrees: str) -> Row:
        figures = {
            "us a pick": f"{took / k * 1e6:.2f}",
            "x farpoint's time": f"{took / seconds:.1f}",
            "picks given time for": f"{picks:,}",
            "pairs evaluated": pairs,
        }
        return Row(what, took, figures, agrees)

    rows = [row("farpoint", seconds, k, evaluated(selection), "bits")]
    best = np.inf
    for name, loop in LOOPS.items():
        bench.say(name)
        picks = min(PEER_PICKS, k)
        try:
            indices, a_pick = loop(X, picks)
        except Exception as error:
            bench.section.notes.append(f"{case.title}: {name}: {type(error).__name__}: {error}")
            continue
        finally:
            release_memory()
        best = min(best, a_pick * k)
        rows.append(row(name, a_pick * k, picks, "100%", agreement(selection.indices, indices)))
    bench.section.tables[case.title] = rows
    bench.section.target(
        f"{case.title}: at most {case.limit:g} s",
        f"{seconds:.2f} s",
        None if bench.quick else seconds <= case.limit,
    )
    if case in (CASES[0], QUICK_CASES[0]):
        if np.isfinite(best):
            bench.section.at_least(f"{case.title}: speed of the best loop", best / seconds, LOOP_FLOOR)
        else:
            bench.section.target(f"{case.title}: speed of the best loop", "no loop ran", None)
    phases(bench, case, selection, peak)
    check(bench, case, X, selection)


def phases(bench: Bench, case: Case, selection: farpoint.Selection, peak: float) -> None:
    """What info says of the screen and the pick loop."""
    info = selection.info
    spent = info["seconds_by_phase"]
    bench.section.notes.append(
        f"Seconds a phase, {case.title}: "
        + ", ".join(f"{phase} {seconds:.3f}" for phase, seconds in spent.items())
        + f"; {info['levels']} levels."
    )
    if spent["catch_up"] > 0:
        rate = 2.0 * (info["pairs_screened"] - info["pairs_looked_up"]) * case.d / spent["catch_up"]
        bench.section.target(
            f"{case.title}: screening at least {SCREEN_SHARE:.0%} of the int8 peak, refinement counted in",
            f"{rate / 1e12:.0f} of {peak / 1e12:.0f} TOP/s, {rate / peak:.0%}",
            rate / peak >= SCREEN_SHARE,
        )
    a_pick = spent["pick"] / len(selection) * 1e6
    bench.section.target(
        f"{case.title}: pick loop at most {MICROSECONDS_A_PICK:g} us a pick",
        f"{a_pick:.2f} us",
        a_pick <= MICROSECONDS_A_PICK,
    )


def check(bench: Bench, case: Case, X: Any, selection: farpoint.Selection) -> None:
    """The first picks must be the CPU's, and the host's array must give what the device's gave."""
    bench.say("checking")
    host = X.get()
    k = max(2, min(len(selection), 1000, int(2e11 / (case.n * case.d)) + 200))
    bench.check_same(farpoint.select(host, k, backend="cpu"), selection, f"{case.title}, CPU")
    again, seconds = timed(partial(farpoint.select, host, len(selection), backend="cuda"))
    bench.check_same(again, selection, f"{case.title}, from the host")
    bench.section.notes.append(f"From the host's memory, {case.title}: {seconds:.2f} s.")


def on_device(bench: Bench, case: Case) -> Any:
    """Return the case's matrix; rows of large ones are made on the host and repeated with noise."""
    import cupy

    if case.name == "real":
        embeddings, what = data.real(bench.data, case.n if bench.quick else None)
        bench.section.notes.append(f"{case.title}: {what}.")
        return cupy.asarray(embeddings.astype(case.dtype))
    block = cupy.asarray(data.clustered(min(case.n, CLUSTERED_ROWS), case.d))
    X = cupy.empty((case.n, case.d), case.dtype)
    generator = cupy.random.default_rng(0)
    for begin in range(0, case.n, len(block)):
        rows = min(len(block), case.n - begin)
        noise = generator.standard_normal((rows, case.d), dtype=cupy.float32)
        noise *= 0.02
        X[begin : begin + rows] = block[:rows] + noise
        del noise
    cupy.cuda.Device().synchronize()
    release_memory()
    return X


def release_memory() -> None:
    """Give back what the libraries' pools hold: peers and farpoint share the device."""
    import cupy
    import torch

    cupy.get_default_memory_pool().free_all_blocks()
    torch.cuda.empty_cache()


def int8_peak(bench: Bench, size: int = 8192) -> float:
    """Return the best rate of the device's dense int8 product."""
    import torch

    bench.say("int8 peak")
    size = 2048 if bench.quick else size
    a = torch.randint(-127, 128, (size, size), dtype=torch.int8, device="cuda")
    b = torch.randint(-127, 128, (size, size), dtype=torch.int8, device="cuda").t()
    best = np.inf
    for _ in range(10):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        torch._int_mm(a, b)
        end.record()
        end.synchronize()
        best = min(best, begin.elapsed_time(end) / 1000)
    return float(2 * size**3 / best)


Indices = npt.NDArray[np.int64]


def cupy_loop(X: Any, picks: int) -> tuple[Indices, float]:
    """One matrix-vector product a pick, norms precomputed, no host round trip a pick."""
    import cupy

    step = 1 << 18
    norms = cupy.empty(len(X), dtype=cupy.float32)
    for begin in range(0, len(X), step):
        norms[begin : begin + step] = cupy.square(X[begin : begin + step], dtype=cupy.float32).sum(axis=1)
    nearest = cupy.full(len(X), cupy.inf, dtype=cupy.float32)
    indices = cupy.zeros(picks, dtype=cupy.int64)

    def pick(number: int) -> None:
        row = indices[number - 1]
        squares = (X @ X[row]).astype(cupy.float32)
        squares *= -2
        squares += norms
        squares += norms[row]
        cupy.minimum(nearest, squares, out=nearest)
        indices[number] = cupy.argmax(nearest)

    return _timed_loop(pick, picks, cupy.cuda.Device().synchronize, lambda: indices.get())


def torch_loop(X: Any, picks: int) -> tuple[Indices, float]:
    """addmv, minimum, argmax a pick."""
    import torch

    state = _TorchState(X, picks)
    return _timed_loop(state.pick, picks, torch.cuda.synchronize, state.found)


def torch_graph_loop(X: Any, picks: int) -> tuple[Indices, float]:
    """The same, as a CUDA graph that is replayed: nothing is launched from Python a pick but the graph."""
    import torch

    state = _TorchState(X, picks)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        state.pick(1)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        state.pick(1)
    state.restart()
    return _timed_loop(lambda _: graph.replay(), picks, torch.cuda.synchronize, state.found)


class _TorchState:
    """What a torch loop works on; its counter is on the device, so that a pick can be captured."""

    def __init__(self, X: Any, picks: int) -> None:
        import torch

        self.torch = torch
        self.X = torch.from_dlpack(X)
        self.norms = torch.cat([(rows.float() ** 2).sum(1) for rows in self.X.split(1 << 18)]).to(
            self.X.dtype
        )
        self.nearest = torch.full_like(self.norms, float("inf"))
        self.indices = torch.zeros(picks, dtype=torch.int64, device="cuda")
        self.count = torch.zeros(1, dtype=torch.int64, device="cuda")
        self.row = torch.zeros(1, dtype=torch.int64, device="cuda")

    def restart(self) -> None:
        self.nearest.fill_(float("inf"))
        self.indices.zero_()
        self.count.zero_()
        self.row.zero_()

    def pick(self, _number: int) -> None:
        torch = self.torch
        x = self.X.index_select(0, self.row)[0]
        squares = torch.addmv(self.norms, self.X, x, alpha=-2)
        squares += self.norms.index_select(0, self.row)
        torch.minimum(self.nearest, squares, out=self.nearest)
        self.row.copy_(self.nearest.argmax())
        self.count += 1
        self.indices.index_copy_(0, self.count, self.row)

    def found(self) -> Indices:
        return np.asarray(self.indices.cpu().numpy())


def _timed_loop(
    pick: Callable[[int], None], picks: int, wait: Callable[[], Any], found: Callable[[], Indices]
) -> tuple[Indices, float]:
    """Return the picks, and the seconds of one after some that are not counted."""
    warm = max(1, picks // 10)
    for number in range(1, warm):
        pick(number)
    wait()
    began = time.perf_counter()
    for number in range(warm, picks):
        pick(number)
    wait()
    return found(), (time.perf_counter() - began) / max(1, picks - warm)


LOOPS: dict[str, Callable[[Any, int], tuple[Indices, float]]] = {
    "torch loop, CUDA graph": torch_graph_loop,
    "torch loop": torch_loop,
    "CuPy loop": cupy_loop,
}
