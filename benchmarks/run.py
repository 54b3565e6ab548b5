"""farpoint against its peers, in one run, on one machine: prints the tables and keeps them, dated.

python benchmarks/run.py [--data FILE] [--quick] [--limit SECONDS] [--output FOLDER]

Exit status 1 if an answer was wrong; a target that was missed is reported and does not fail.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
import machine
import memory
import peers

HERE = Path(__file__).parent
REAL_DATA = HERE.parents[1] / "shared" / "data" / "wordnet_minilm_f16.npy"
Matrix = npt.NDArray[np.float32]


@dataclass
class Row:
    """One line of a table."""

    what: str
    seconds: float
    figures: dict[str, str] = field(default_factory=dict)
    agrees: str = ""


@dataclass
class Report:
    """Everything that was measured."""

    machine: dict[str, Any]
    data: str
    sgemm_gflops: float
    tables: dict[str, list[Row]] = field(default_factory=dict)
    targets: list[tuple[str, str, bool]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def target(self, what: str, reached: str, met: bool) -> None:
        """Note a target and whether it was met."""
        self.targets.append((what, reached, met))

    def markdown(self) -> str:
        """Return the whole as text."""
        m = self.machine
        lines = [
            f"# farpoint against its peers, {m['date']}",
            "",
            f"{m['cpu']}, {m['cores']} cores, SIMD level {m['simd']}, {m['memory_gib']} GiB, {m['system']}, "
            f"Python {m['python']}, {m['compiler']}, commit {m['commit']}, "
            f"load {m['load_average']:.1f} at the start.",
            ", ".join(f"{name} {version}" for name, version in m["versions"].items()) + ".",
            f"Data: {self.data}. sgemm (numpy): {self.sgemm_gflops:.0f} GFLOP/s.",
            "",
            "x-peak = (2 n k d / seconds) / sgemm FLOP/s: above 1 is less time than computing all n x k "
            "products at the machine's best rate. Seconds of a peer that was not given time for all picks "
            "are its cost a pick times k.",
        ]
        for title, rows in self.tables.items():
            columns = list(dict.fromkeys(name for row in rows for name in row.figures))
            lines += ["", f"## {title}", ""]
            lines.append("| | seconds | " + " | ".join(columns) + " | same answer |")
            lines.append("|---|---:|" + "---:|" * len(columns) + "---|")
            for row in rows:
                cells = [row.figures.get(column, "") for column in columns]
                lines.append(
                    f"| {row.what} | {row.seconds:.3g} | " + " | ".join(cells) + f" | {row.agrees} |"
                )
        lines += ["", "## Targets", "", "| target | reached | |", "|---|---|---|"]
        lines += [
            f"| {what} | {reached} | {'met' if met else 'MISSED'} |" for what, reached, met in self.targets
        ]
        lines += ["", "Wrong answers: " + ("; ".join(self.wrong) or "none") + ".", ""]
        return "\n".join(lines)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what it returns, and the seconds it took."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def agreement(ours: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]) -> str:
    """Say how many of a peer's picks are ours, in order."""
    same = ours[: len(theirs)] == theirs
    if same.all():
        return f"all {len(theirs):,} picks"
    return f"first {int(np.argmin(same)):,} of {len(theirs):,} picks (float32 rounding)"


def check_selection(report: Report, X: Matrix, selection: farpoint.Selection, what: str) -> None:
    """Check against canonical distances: the radii of sampled picks, and that no row was farther."""
    generator = np.random.default_rng(0)
    for t in [1, *generator.integers(1, len(selection), 3).tolist()]:
        distances = farpoint.nearest(X, X[selection.indices[:t]], backend="numba").distances
        distances[selection.indices[:t]] = -1
        best = int(np.argmax(distances))
        if best != selection.indices[t] or distances[best] != selection.radii[t]:
            report.wrong.append(f"{what}: pick {t}")


def selections(report: Report, X: Matrix, counts: list[int], limit: float) -> None:
    """Time selection at every k."""
    n, d = X.shape
    largest = max(counts)
    given = {}
    for name, run in peers.SELECTORS.items():
        progress(name)
        given[name] = run(X, largest, limit)
    numpy_cost = given["numpy loop"].seconds_a_pick
    for k in counts:
        rows = []

        def figures(seconds: float, k: int = k) -> dict[str, str]:
            return {
                "ms a pick": f"{seconds / k * 1000:.3f}",
                "x numpy loop": f"{numpy_cost * k / seconds:.2f}",
                "x-peak": f"{2 * n * k * d / seconds / (report.sgemm_gflops * 1e9):.3f}",
            }

        reference: farpoint.Selection | None = None
        variants: list[tuple[str, dict[str, Any], str]] = [("farpoint", {}, "")]
        if k == largest:
            variants += [("farpoint, 1 thread", {"threads": 1}, "")]
            variants += [("farpoint, AVX2", {}, "avx2"), ("farpoint, baseline", {}, "baseline")]
        variants += [("farpoint, Numba", {"backend": "numba"}, "")] if k == min(counts) else []
        for name, options, simd in variants:
            progress(f"{name}, k = {k:,}")
            if simd and simd not in usable_simd():
                continue
            os.environ["FARPOINT_SIMD"] = simd
            if options.get("backend") == "numba":
                farpoint.select(X[:3000], 50, **options)  # compiled once, then cached
            selection, seconds = timed(partial(farpoint.select, X, k, **options))
            os.environ["FARPOINT_SIMD"] = ""
            if reference is None:
                reference = selection
                check_selection(report, X, selection, f"{name}, k = {k:,}")
                report_targets(report, k, largest, numpy_cost * k / seconds, given, seconds)
            same = np.array_equal(selection.indices, reference.indices) and np.array_equal(
                selection.radii, reference.radii
            )
            if not same:
                report.wrong.append(f"{name}, k = {k:,}: differs from farpoint")
            extra = {"picks given time for": f"{k:,}"}
            evaluated = selection.info["fraction_evaluated"]
            rows.append(
                Row(
                    name,
                    seconds,
                    {**figures(seconds), **extra, "pairs evaluated": f"{evaluated:.0%}"},
                    "bits",
                )
            )
        assert reference is not None
        for name, picks in given.items():
            seconds = picks.seconds_a_pick * k
            made = picks.indices[:k]
            row = Row(name, seconds, {**figures(seconds), "picks given time for": f"{len(made):,}"})
            row.agrees = agreement(reference.indices, made)
            row.figures["pairs evaluated"] = "100%"
            rows.append(row)
        report.tables[f"Selection: {n:,} x {d} float32, k = {k:,}"] = rows


def report_targets(
    report: Report, k: int, largest: int, ratio: float, given: dict[str, peers.Picks], seconds: float
) -> None:
    """Compare with the floors, which are for the largest k."""
    if k != largest:
        return
    torch_ratio = given["torch loop (anomalib)"].seconds_a_pick * k / seconds
    report.target(f"k = {k:,}: at least 15 x the numpy loop", f"{ratio:.1f} x", ratio >= 15)
    report.target(f"k = {k:,}: at least 80 x the torch loop", f"{torch_ratio:.1f} x", torch_ratio >= 80)


def usable_simd() -> list[str]:
    """Return the SIMD levels of this machine."""
    config = farpoint.show_config("dict")
    return list(config["backends"]["cpu"].get("simd_usable", []))


def extra_memory(report: Report, X: Matrix, k: int) -> None:
    """Measure what a call takes beyond its input."""
    progress("memory")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, X)
        beyond, size = memory.measure(path, k, 2)
    allowed = 0.3 * size + 64e6
    report.target(
        f"k = {k:,}: memory beyond the input at most 0.3 x the input + 64 MB = {allowed / 1e6:.0f} MB",
        f"{beyond / 1e6:.0f} MB",
        beyond <= allowed,
    )


def small_calls(report: Report) -> None:
    """Time a call that is small: n = 1,000, d = 64, k = 100."""
    progress("small calls")
    X = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    ours = sorted(timed(lambda: farpoint.select(X, 100))[1] for _ in range(400))[200]
    loop = sorted(timed(lambda: peers.numpy_loop(X, 100, 60))[1] for _ in range(100))[50]
    same = agreement(farpoint.select(X, 100).indices, peers.numpy_loop(X, 100, 60).indices)
    report.tables["A small call: 1,000 x 64, k = 100 (median)"] = [
        Row("farpoint", ours, {"ms": f"{ours * 1e3:.2f}"}, "bits"),
        Row("numpy loop", loop, {"ms": f"{loop * 1e3:.2f}"}, same),
    ]
    report.target("n = 1,000, d = 64, k = 100 under 2 ms", f"{ours * 1e3:.2f} ms", ours < 2e-3)


def nearest_rows(report: Report, X: Matrix, picks: int, queries: int) -> None:
    """Time nearest rows and the closest pair; peers get some of the queries."""
    n, d = X.shape
    Y = np.ascontiguousarray(X[:: max(1, n // picks)][:picks])
    progress("nearest")
    ours, seconds = timed(lambda: farpoint.nearest(X, Y))
    rows = [Row("farpoint.nearest", seconds, {"queries given time for": f"{n:,}"}, "bits")]
    sample = np.ascontiguousarray(X[:: max(1, n // queries)][:queries])
    where = np.arange(n)[:: max(1, n // queries)][:queries]
    searches = {
        "faiss-cpu IndexFlatL2": peers.faiss_nearest,
        "scikit-learn pairwise_distances_argmin_min": peers.sklearn_nearest,
    }
    for name, search in searches.items():
        progress(name)
        (distances, indices), took = timed(partial(search, sample, Y))
        same = float((indices == ours.indices[where]).mean())
        error = float(np.abs(distances - ours.distances[where]).max())
        rows.append(
            Row(
                name,
                took * n / len(sample),
                {"queries given time for": f"{len(sample):,}"},
                f"{same:.2%} of rows, distances within {error:.1g}",
            )
        )
    for row in rows:
        row.figures["x farpoint"] = f"{row.seconds / rows[0].seconds:.2f}"
    report.tables[f"Nearest of {len(Y):,} rows for {n:,} x {d}"] = rows

    progress("h_min")
    pair, seconds = timed(lambda: farpoint.h_min(X))
    pairs = [Row("farpoint.h_min", seconds, {"rows given time for": f"{n:,}"}, "bits")]
    progress("faiss, 2 nearest")
    (distances, _), took = timed(lambda: peers.faiss_nearest(sample, X, neighbours=2))
    agrees = "not below ours" if distances.min() >= pair.value - 1e-3 else "BELOW OURS"
    if agrees == "BELOW OURS":
        report.wrong.append("h_min is above a distance that faiss found")
    pairs.append(
        Row(
            "faiss-cpu, 2 nearest of each",
            took * n / len(sample),
            {"rows given time for": f"{len(sample):,}"},
            agrees,
        )
    )
    for row in pairs:
        row.figures["x farpoint"] = f"{row.seconds / pairs[0].seconds:.2f}"
    report.tables[f"Closest pair of {n:,} x {d}"] = pairs


def load(path: Path | None, quick: bool) -> tuple[Matrix, str]:
    """Return the rows and what they are."""
    path = path or REAL_DATA
    if path.exists():
        X = np.load(path, mmap_mode="r")
        name = f"real embeddings ({path.name})"
    else:
        generator = np.random.default_rng(0)
        centres = generator.standard_normal((500, 384), dtype=np.float32)
        X = centres[generator.integers(0, 500, 117_659)]
        X += 0.7 * generator.standard_normal(X.shape, dtype=np.float32)
        name = "seeded Gaussian clusters (the real embeddings are not there)"
    if quick:
        X = X[:: len(X) // 20_000][:20_000]
    return np.ascontiguousarray(X, dtype=np.float32), name


def progress(what: str) -> None:
    """Say what runs, on standard error."""
    print(f"... {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a .npy matrix (default: the real embeddings)")
    parser.add_argument("--quick", action="store_true", help="20,000 rows, k = 2,000")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds for each peer (default: 30)")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    X, name = load(options.data, options.quick)
    report = Report(
        machine.describe(), f"{name}, {X.shape[0]:,} x {X.shape[1]} float32", machine.sgemm_flops() / 1e9
    )

    counts = [500, 2000] if options.quick else [2000, 5000, 20_000]
    selections(report, X, counts, options.limit)
    extra_memory(report, X, max(counts))
    small_calls(report)
    nearest_rows(report, X, len(X) // 6, 1000 if options.quick else 10_000)

    text = report.markdown()
    print(text)
    slug = re.sub(r"[^a-z0-9]+", "-", report.machine["cpu"].lower()).strip("-")
    stem = f"{report.machine['date']}-{slug}{'-quick' if options.quick else ''}"
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{stem}.md").write_text(text)
    (options.output / f"{stem}.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
