"""The demo: what a selection of real embeddings looks like, against random subsets of the same size.

The data (embeddings.npy, texts.txt.gz) are every so-many-th entry of WordNet 3.0 with its all-MiniLM-L6-v2
embedding; see DATA.md beside this file.
"""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import textwrap
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint._atomic import atomic_write
from farpoint.selection import Selection

RANDOM_SUBSETS = 20
_SHOWN_PICKS = 8


def load() -> tuple[npt.NDArray[np.float16], list[str]]:
    """Return the embeddings, (3600, 384) float16 of unit length, and their texts."""
    folder = resources.files(__name__)
    with (folder / "embeddings.npy").open("rb") as file:
        embeddings = np.load(file, allow_pickle=False)
    with (folder / "texts.txt.gz").open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as file:
        return embeddings, file.read().splitlines()


@dataclass(frozen=True)
class DemoResult:
    """What the demo found."""

    selection: Selection
    texts: list[str]
    random_h_min: npt.NDArray[np.float64]  # of random subsets of the selection's size
    full_h_min: float
    written: list[Path]
    plot_missing: str | None

    def record(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            **self.selection.to_dict(),
            "random_h_min": self.random_h_min.tolist(),
            "full_h_min": self.full_h_min,
            "texts": [self.texts[row] for row in self.selection.indices.tolist()],
            "written": [str(path) for path in self.written],
        }

    def lines(self) -> list[str]:
        """Return it for people, within the terminal's width."""
        s = self.selection
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        best, middle = float(self.random_h_min.max()), float(np.median(self.random_h_min))
        lines = [
            f"{len(s)} of {s.info['n']:,} dictionary entries ({s.info['d']}-d sentence embeddings), "
            f"selected in {s.info['seconds'] * 1000:.0f} ms",
            "",
            "h_min, the smallest distance between two chosen entries (larger is more evenly spread):",
            *_bars(
                [
                    ("farpoint", s.h_min),
                    (f"random, best of {len(self.random_h_min)}", best),
                    ("random, median", middle),
                    ("all entries", self.full_h_min),
                ],
                width,
            ),
            f"certificate: no {len(s)} entries can have h_min above {s.upper_bound:.3f}; "
            f"every entry is within {s.covering_radius:.3f} of a pick",
            "",
            "first picks:",
        ]
        for order, (row, radius) in enumerate(zip(s.indices, s.radii, strict=True)):
            if order == _SHOWN_PICKS:
                break
            text = textwrap.shorten(self.texts[row], width - 16, placeholder=" ...")
            lines.append(f"  {order + 1:>2}  {'  -  ' if np.isinf(radius) else f'{radius:.3f}'}  {text}")
        lines += ["", "written: " + ", ".join(str(path) for path in self.written)]
        if self.plot_missing:
            lines.append(self.plot_missing)
        return lines


def _bars(rows: list[tuple[str, float]], width: int) -> list[str]:
    label_width = max(len(label) for label, _ in rows)
    room = max(10, width - label_width - 12)
    largest = max(value for _, value in rows)
    return [
        f"  {label:<{label_width}}  {value:.3f}  {'█' * max(1, round(room * value / largest))}"
        for label, value in rows
    ]


def run(k: int, folder: Path) -> DemoResult:
    """Select `k` entries, compare with random subsets, write the results to `folder`.

    Raises
    ------
    ValueError
        `k` is not between 2 and the number of entries, or `folder` is a file.
    """
    embeddings, texts = load()
    if not 2 <= k <= len(texts):
        raise ValueError(f"k must be from 2 to {len(texts)}, not {k}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder to write to")
    selection = farpoint.select(embeddings, k)
    random_h_min = random_subsets(embeddings, k)
    full_h_min = farpoint.h_min(embeddings).value

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "selection.npz", folder / "picks.txt"]
    selection.save(written[0])
    with atomic_write(written[1]) as partial:
        picks = zip(selection.indices.tolist(), selection.radii.tolist(), strict=True)
        partial.write_text(
            "".join(f"{t + 1}\t{row}\t{radius:.6f}\t{texts[row]}\n" for t, (row, radius) in enumerate(picks)),
            encoding="utf-8",
        )
    plot_missing = None
    if importlib.util.find_spec("matplotlib") is None:
        plot_missing = 'no plot and no report: they need matplotlib (pip install "farpoint[report]")'
    else:
        from farpoint.demo import _plot

        written.append(folder / "radii.png")
        _plot.radii(embeddings, selection, written[-1])
        if importlib.util.find_spec("jinja2") is not None:
            written.append(folder / "report.html")
            title = f"{k} of {len(texts):,} dictionary entries"
            farpoint.report(selection, embeddings, texts=texts, title=title).save(written[-1])
    return DemoResult(selection, texts, random_h_min, full_h_min, written, plot_missing)


def random_subsets(
    embeddings: npt.NDArray[Any], size: int, subsets: int = RANDOM_SUBSETS
) -> npt.NDArray[np.float64]:
    """Return h_min of `subsets` random subsets of `size` rows."""
    generator = np.random.default_rng(0)
    return np.array(
        [
            farpoint.h_min(embeddings[generator.choice(len(embeddings), size, replace=False)]).value
            for _ in range(subsets)
        ]
    )
