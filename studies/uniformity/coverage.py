"""Claim 5: what h_min is for a whole data set, beside random and selected subsets of it.

Of each number of rows k: h_min, the covering radius, their ratio, and for the selection the upper bound that
no k rows exceed. A selection has all its prefixes, so one of the largest k has them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
from studies.uniformity import entries


@dataclass(frozen=True)
class Settings:
    """Which rows, and how many random subsets of each size."""

    data: str = (
        "all"  # the 117,659 WordNet entries where they are beside the checkout; "demo": the package's 3,600
    )
    draws: int = 3
    sizes: int = 10  # numbers of rows, from 10 to a half of all, evenly spaced on a logarithmic axis


SMALL = Settings("demo", 3, 5)
LARGE = Settings("all", 10, 20)


def run(settings: Settings) -> dict[str, Any]:
    """Select, draw and measure."""
    X = entries.embeddings(settings.data)
    sizes = np.unique(np.geomspace(10, len(X) // 2, settings.sizes).round().astype(int)).tolist()
    selection = farpoint.select(X, sizes[-1])
    selected = [_of_selection(selection.prefix(k)) for k in sizes]
    random = [
        {
            "k": k,
            "draw": draw,
            **_of_subset(X, np.random.default_rng((draw, k)).choice(len(X), k, replace=False)),
        }
        for k in sizes
        for draw in range(settings.draws)
    ]
    return {
        "settings": vars(settings),
        "n": len(X),
        "d": int(X.shape[1]),
        "full_h_min": farpoint.h_min(X).value,
        "selected": selected,
        "random": random,
    }


def _of_selection(selection: farpoint.Selection) -> dict[str, Any]:
    return {
        "k": len(selection),
        "h_min": selection.h_min,
        "covering_radius": selection.covering_radius,
        "upper_bound": selection.upper_bound,
    }


def _of_subset(X: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    subset = X[rows]
    return {"h_min": farpoint.h_min(subset).value, "covering_radius": farpoint.covering_radius(X, subset)}


def summary(found: dict[str, Any]) -> str:
    """Return what was found, as the table of README.md."""
    lines = [
        f"{found['n']:,} rows x {found['d']}; h_min of all rows {found['full_h_min']:.4f}",
        "",
        "| k | h_min, selected | random | upper bound | covering radius, selected | random |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["selected"]:
        draws = [draw for draw in found["random"] if draw["k"] == row["k"]]
        lines.append(
            f"| {row['k']:,} | {row['h_min']:.3f} | {_mean(draws, 'h_min'):.3f} | {row['upper_bound']:.3f} | "
            f"{row['covering_radius']:.3f} | {_mean(draws, 'covering_radius'):.3f} |"
        )
    return "\n".join(lines)


def _mean(draws: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([draw[name] for draw in draws]))
