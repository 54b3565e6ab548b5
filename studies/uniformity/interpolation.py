"""Claim 3: the error of approximation falls as h_min rises.

N points of a cube are chosen from a pool, in ways with different h_min; a smooth random function is known
there, and approximated from there, by the nearest point, by a cubic radial basis function and by a small
network. Told of each: the root-mean-square error elsewhere, h_min, and the covering radius (the fill distance
of approximation theory). The ways are of two families:

spread      farthest-first, at random, and from ever smaller parts of the cube (the share of its edge)
pairs       farthest-first, with some points replaced by near copies of others: h_min is the same for any
            number of them, so that what it alone does can be told from what the loss of points does
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.interpolate
import scipy.stats

import farpoint
from studies.uniformity.grouping import grouped

Array = npt.NDArray[np.float64]

_PARTS = (0.9, 0.75, 0.5)  # of the cube's edge
_COPIES = (0.02, 0.1, 0.25, 0.5)  # share of the points
_BESIDE = 1e-4  # how far a copy is from its original
_WAVES = 12  # of the function
_HIDDEN, _STEPS, _RATE = 64, 600, 0.01


@dataclass(frozen=True)
class Settings:
    """How many points, functions and dimensions."""

    points: int = 200
    pool: int = 4000
    held_out: int = 2000
    dimensions: tuple[int, ...] = (2, 5)
    approximators: tuple[str, ...] = ("nearest point", "cubic radial", "network")
    seeds: int = 10
    device: str = "cpu"


SMALL = Settings(
    points=100, pool=1000, held_out=500, approximators=("nearest point", "cubic radial"), seeds=4
)
LARGE = Settings(points=500, pool=20_000, dimensions=(2, 5, 10), seeds=20)


def run(settings: Settings) -> dict[str, Any]:
    """Choose, approximate and measure."""
    rows = [
        row
        for d in settings.dimensions
        for seed in range(settings.seeds)
        for row in _measure(d, seed, settings)
    ]
    return {"settings": vars(settings), "rows": rows, "correlations": _correlations(rows)}


def _measure(d: int, seed: int, settings: Settings) -> list[dict[str, Any]]:
    random = np.random.default_rng((seed, d))
    pool, held_out = random.random((settings.pool, d)), random.random((settings.held_out, d))
    function = _function(d, random)
    values = function(held_out)
    found = []
    for family, way, points in _ways(pool, settings.points, random):
        at_points = function(points)
        for approximator in settings.approximators:
            error = APPROXIMATORS[approximator](points, at_points, held_out, seed, settings.device) - values
            found.append(
                {
                    "d": d,
                    "seed": seed,
                    "family": family,
                    "way": way,
                    "approximator": approximator,
                    "h_min": farpoint.h_min(points).value,
                    "covering_radius": farpoint.covering_radius(held_out, points),
                    "error": float(np.sqrt(np.mean(error**2)) / values.std()),
                }
            )
    return found


def _function(d: int, random: np.random.Generator) -> Callable[[Array], Array]:
    """Return a sum of waves, about one across the cube."""
    frequencies = random.standard_normal((d, _WAVES)) * 4 / np.sqrt(d)
    phases, heights = random.uniform(0, 2 * np.pi, _WAVES), random.standard_normal(_WAVES)
    return lambda points: np.sin(points @ frequencies + phases) @ heights


def _ways(pool: Array, n: int, random: np.random.Generator) -> list[tuple[str, str, Array]]:
    spread = pool[farpoint.select(pool, n, start="center").indices]
    ways = [
        ("spread", "farthest first", spread),
        ("spread", "random", pool[random.choice(len(pool), n, False)]),
    ]
    for part in _PARTS:
        points = (1 - part) / 2 + part * pool[random.choice(len(pool), n, False)]
        ways.append(("spread", f"in {part:g} of the edge", points))
    ways.append(("pairs", "no copies", spread))
    for share in _COPIES:
        points = spread.copy()
        chosen = random.permutation(n)
        replaced, originals = np.array_split(chosen[: 2 * round(share * n)], 2)
        beside = random.standard_normal((len(replaced), pool.shape[1]))
        points[replaced] = points[originals] + _BESIDE * beside / np.linalg.norm(
            beside, axis=1, keepdims=True
        )
        ways.append(("pairs", f"{share:.0%} copies", points))
    return ways


def _nearest(points: Array, values: Array, wanted: Array, _seed: int, _device: str) -> Array:
    found: Array = values[farpoint.nearest(wanted, points).indices]
    return found


def _radial(points: Array, values: Array, wanted: Array, _seed: int, _device: str) -> Array:
    found: Array = scipy.interpolate.RBFInterpolator(points, values, kernel="cubic")(wanted)
    return found


def _network(points: Array, values: Array, wanted: Array, seed: int, device: str) -> Array:
    """Two hidden layers, trained by Adam on all points at once."""
    import torch

    torch.set_num_threads(1)  # more than one wait for each other longer than these layers take
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(points.shape[1], _HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Linear(_HIDDEN, _HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Linear(_HIDDEN, 1),
    ).to(device, torch.float64)
    scale = values.std()
    x, y, z = (torch.from_numpy(part).to(device) for part in (2 * points - 1, values / scale, 2 * wanted - 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
    for step in range(_STEPS):
        optimizer.param_groups[0]["lr"] = _RATE * (1 - step / _STEPS)
        optimizer.zero_grad()
        loss = torch.mean((model(x)[:, 0] - y) ** 2)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found: Array = model(z)[:, 0].cpu().numpy() * scale
    return found


APPROXIMATORS: dict[str, Callable[[Array, Array, Array, int, str], Array]] = {
    "nearest point": _nearest,
    "cubic radial": _radial,
    "network": _network,
}


def _correlations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spearman's correlation of the error with h_min and with the covering radius, mean over the seeds."""
    return [
        {"d": d, "family": family, "approximator": approximator, **_mean_correlations(group)}
        for (d, family, approximator), group in grouped(rows, "d", "family", "approximator").items()
    ]


def _mean_correlations(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {
        name: float(
            np.mean(
                [
                    scipy.stats.spearmanr(
                        [row[name] for row in ways], [row["error"] for row in ways]
                    ).statistic
                    for ways in grouped(rows, "seed").values()
                ]
            )
        )
        for name in ("h_min", "covering_radius")
    }


def summary(found: dict[str, Any]) -> str:
    """Return what was found, as the tables of README.md."""
    rows = found["rows"]
    lines = []
    for family in ("spread", "pairs"):
        ways = list(dict.fromkeys(row["way"] for row in rows if row["family"] == family))
        lines += [f"| d | approximation | {' | '.join(ways)} | Spearman, h_min | covering radius |"]
        lines += ["|---:|---|" + "---:|" * (len(ways) + 2)]
        for entry in found["correlations"]:
            if entry["family"] != family:
                continue
            errors = [
                np.median(
                    [
                        row["error"]
                        for row in rows
                        if (row["d"], row["family"], row["approximator"], row["way"])
                        == (entry["d"], family, entry["approximator"], way)
                    ]
                )
                for way in ways
            ]
            shown = " | ".join(f"{error:.3f}" for error in errors)
            correlations = f"{entry['h_min']:+.2f} | {entry['covering_radius']:+.2f}"
            lines.append(f"| {entry['d']} | {entry['approximator']} | {shown} | {correlations} |")
        lines.append("")
    return "\n".join(lines)
