"""Claim 1: points from a more uniform density have a larger h_min.

For each density, dimension, number of points and bias, sets of points are drawn, with the same seeds for
every bias. Told of them: quantiles of h_min, the union bound (farpoint.theory.h_min_bound, with the density's
largest value), the share of the sets that keep it, and the slope of log h_min against log n, which theory
says is -2/d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

import farpoint
from farpoint import theory
from studies.uniformity.densities import DENSITIES
from studies.uniformity.grouping import grouped

DELTAS = (0.05, 0.2, 0.5)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Settings:
    """How much to draw."""

    sizes: tuple[int, ...] = (250, 500, 1000, 2000, 4000)
    seeds: int = 100


SMALL = Settings((100, 400), 60)
LARGE = Settings((250, 1000, 4000, 16_000), 200)


def run(settings: Settings) -> dict[str, Any]:
    """Draw and measure."""
    rows = [
        {"density": name, "d": d, "bias": bias, "n": n, **_measure(name, d, bias, n, settings)}
        for name, density in DENSITIES.items()
        for d in density.dimensions
        for bias in density.biases
        for n in settings.sizes
    ]
    return {
        "settings": vars(settings),
        "rows": rows,
        "slopes": _slopes(rows),
        "directions": _directions(rows),
    }


def _measure(name: str, d: int, bias: float, n: int, settings: Settings) -> dict[str, Any]:
    density = DENSITIES[name]
    found = np.array(
        [
            farpoint.h_min(density.draw(bias, n, d, np.random.default_rng((seed, n, d)))).value
            for seed in range(settings.seeds)
        ]
    )
    m, maximum = density.local(d), density.maximum(bias, d)
    bounds = {delta: theory.h_min_bound(n, m, delta=delta, max_density=maximum) for delta in DELTAS}
    return {
        "max_density": maximum,
        "quantiles": np.quantile(found, QUANTILES).tolist(),
        "bounds": {str(delta): bound for delta, bound in bounds.items()},
        "kept": {str(delta): float(np.mean(found >= bound)) for delta, bound in bounds.items()},
    }


def _slopes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fit log of the median h_min against log n, beside -2 / (dimension of the support)."""
    median = QUANTILES.index(0.5)
    found = []
    for (name, d, bias), group in grouped(rows, "density", "d", "bias").items():
        n, h = [row["n"] for row in group], [row["quantiles"][median] for row in group]
        slope = float(np.polyfit(np.log(n), np.log(h), 1)[0])
        found.append(
            {"density": name, "d": d, "bias": bias, "slope": slope, "theory": -2 / DENSITIES[name].local(d)}
        )
    return found


def _directions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spearman's correlation of the median h_min with the bias: -1 where each bias has a smaller one."""
    median = QUANTILES.index(0.5)
    return [
        {
            "density": name,
            "d": d,
            "n": n,
            "spearman": float(
                scipy.stats.spearmanr(
                    [row["bias"] for row in group], [row["quantiles"][median] for row in group]
                ).statistic
            ),
            "ratio": group[-1]["quantiles"][median] / group[0]["quantiles"][median],
        }
        for (name, d, n), group in grouped(rows, "density", "d", "n").items()
    ]


def summary(found: dict[str, Any]) -> str:
    """Return what was found, as the tables of README.md."""
    lines = [
        "| density | d | h_min, most biased / uniform | Spearman | slope, uniform | most biased | theory |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (name, d), directions in grouped(found["directions"], "density", "d").items():
        slopes = [row for row in found["slopes"] if (row["density"], row["d"]) == (name, d)]
        ratios = [row["ratio"] for row in directions]
        correlation = max(row["spearman"] for row in directions)
        lines.append(
            f"| {name} | {d} | {min(ratios):.2f} to {max(ratios):.2f} | {correlation:.2f} | "
            f"{slopes[0]['slope']:.3f} | {slopes[-1]['slope']:.3f} | {slopes[0]['theory']:.3f} |"
        )
    lines += [
        "",
        "| delta | promised | kept, all sets | in the worst setting | by chance |",
        "|---:|---:|---:|---:|---:|",
    ]
    for delta in DELTAS:
        kept = np.array([row["kept"][str(delta)] for row in found["rows"]])
        worst = f"{kept.min():.2f} | {chance(found, delta):.2f}"
        lines.append(f"| {delta} | {1 - delta:.2f} | {kept.mean():.3f} | {worst} |")
    return "\n".join(lines)


def chance(found: dict[str, Any], delta: float) -> float:
    """Return how likely the worst setting is, if each set keeps the bound with probability 1 - delta.

    At most so likely: Bonferroni's correction for looking at all settings.
    """
    seeds = found["settings"]["seeds"]
    kept = [round(row["kept"][str(delta)] * seeds) for row in found["rows"]]
    return min(1.0, len(kept) * float(scipy.stats.binom.cdf(min(kept), seeds, 1 - delta)))
