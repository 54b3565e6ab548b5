"""Claim 2: a small h_min slows gradient descent.

Networks learn N points of the sphere by full-batch gradient descent, those of a kind with one rate. The
points are chosen in ways with different h_min; what is learned is a teacher network's answer, which hardly
differs between points that are near each other, or a random sign for each point, which does. Told of each:
the training loss against steps, and the steps until it is a fiftieth of the variance of the answers, less
than what one pair of opposite signs leaves. The ways are of two families:

spread      farthest-first of a pool, at random, and the nearest neighbours of a few points
pairs       farthest-first, with one point, or several, moved next to another
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

import farpoint
from studies.uniformity.comparison import median_steps
from studies.uniformity.grouping import grouped
from studies.uniformity.networks import NETWORKS
from studies.uniformity.processes import each

Array = npt.NDArray[np.float64]

TARGETS = ("teacher", "random signs")
_THRESHOLD = 0.02
_CLUSTERS = 4
# One pair at falling distances, then several at the smallest.
_PAIRS = ((1, 0.3), (1, 0.1), (1, 0.03), (4, 0.03), (8, 0.03))
_RECORDED = 60


@dataclass(frozen=True)
class Settings:
    """How many points, steps and seeds; which networks."""

    points: int = 32
    dimensions: int = 6
    pool: int = 1000
    steps: int = 2500
    seeds: int = 10
    networks: tuple[str, ...] = tuple(NETWORKS)
    processes: int = 2
    device: str = "cpu"


SMALL = Settings(steps=400, seeds=6, networks=("residual",))
LARGE = Settings(points=64, steps=20_000, seeds=20)


def run(settings: Settings) -> dict[str, Any]:
    """Choose, train and measure, several kinds of training at a time."""
    jobs = [(settings, target, network) for target in TARGETS for network in settings.networks]
    # The last networks take longest, so they begin.
    found = each(_learned, jobs[::-1], settings.processes)[::-1]
    rows = [row for rows in found for row in rows]
    return {
        "settings": asdict(settings),
        "recorded": _recorded(settings).tolist(),
        "rows": rows,
        "correlations": _correlations(rows),
    }


def _learned(job: tuple[Settings, str, str]) -> list[dict[str, Any]]:
    """Return what becomes of all sets of points, each with a network of its own, trained at once."""
    settings, target, network = job
    sets = [
        (seed, family, way, points)
        for seed in range(settings.seeds)
        for family, way, points in _ways(settings, np.random.default_rng(seed))
    ]
    x = np.stack([points for *_, points in sets])
    y = np.stack([_answers(target, points, seed) for seed, *_, points in sets])
    losses = _train(network, x, y, [seed for seed, *_ in sets], settings)
    needed = _steps_until(_THRESHOLD * y.var(axis=1), _recorded(settings), losses)
    return [
        {
            "target": target,
            "network": network,
            "seed": seed,
            "family": family,
            "way": way,
            "h_min": farpoint.h_min(points).value,
            "steps": needed[i],
            "losses": [float(f"{loss:.3g}") for loss in losses[i] / y[i].var()],
        }
        for i, (seed, family, way, points) in enumerate(sets)
    ]


def _recorded(settings: Settings) -> npt.NDArray[np.int64]:
    """Return the steps at which losses are kept."""
    return np.unique(np.geomspace(1, settings.steps, _RECORDED).round().astype(np.int64))


def _ways(settings: Settings, random: np.random.Generator) -> list[tuple[str, str, Array]]:
    n = settings.points
    pool = _normalised(random.standard_normal((settings.pool, settings.dimensions)))
    spread = pool[farpoint.select(pool, n, start="random", seed=random).indices]
    centers = pool[random.choice(len(pool), _CLUSTERS, replace=False)]
    nearest = np.argsort(farpoint.pairwise_distances(centers, pool), axis=1)[:, : n // _CLUSTERS]
    ways = [
        ("spread", "farthest first", spread),
        ("spread", "random", pool[random.choice(len(pool), n, replace=False)]),
        ("spread", "clustered", pool[nearest.ravel()]),
        ("pairs", "none", spread),
    ]
    moved, beside = np.array_split(random.permutation(n)[: 2 * (n // 2)], 2)
    direction = _normalised(random.standard_normal((n, settings.dimensions)))
    for pairs, distance in _PAIRS:
        points = spread.copy()
        rows, originals = moved[:pairs], beside[:pairs]
        points[rows] = _at_distance(points[originals], direction[rows], distance)
        ways.append(("pairs", f"{pairs} at {distance:g}", points))
    return ways


def _normalised(points: Array) -> Array:
    found: Array = points / np.linalg.norm(points, axis=-1, keepdims=True)
    return found


def _at_distance(points: Array, direction: Array, distance: float) -> Array:
    """Return points of the sphere at a straight distance from others, each in a direction of its own."""
    along = _normalised(direction - (direction * points).sum(axis=1, keepdims=True) * points)
    angle = 2 * np.arcsin(distance / 2)
    found: Array = np.cos(angle) * points + np.sin(angle) * along
    return found


def _answers(target: str, points: Array, seed: int) -> Array:
    random = np.random.default_rng((seed, 1))
    if target == "random signs":
        return random.permutation(np.resize([1.0, -1.0], len(points)))
    weights, heights = random.standard_normal((points.shape[1], 16)), random.standard_normal(16)
    found = np.tanh(2 * points @ weights) @ heights
    answers: Array = (found - found.mean()) / found.std()
    return answers


def _train(network: str, x: Array, y: Array, seeds: list[int], settings: Settings) -> Array:
    """Return the losses of every set at the recorded steps."""
    import torch

    torch.set_num_threads(1)  # the others are processes'
    kind = NETWORKS[network]
    parameters = [parameter.to(settings.device) for parameter in kind.make(seeds, x.shape[2])]
    for parameter in parameters:
        parameter.requires_grad_()
    inputs, answers = (torch.from_numpy(part).float().to(settings.device) for part in (x, y))
    losses = []
    recorded = set(_recorded(settings).tolist())
    for step in range(1, settings.steps + 1):
        loss = ((kind.answer(parameters, inputs) - answers) ** 2).mean(dim=1)
        # The networks share nothing: the gradient of the sum is each one's own.
        gradients = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= kind.rate * gradient
        if step in recorded:
            losses.append(loss.detach().double().cpu().numpy().copy())
    return np.stack(losses, axis=1)


def _steps_until(threshold: Array, steps: npt.NDArray[np.int64], losses: Array) -> list[int | None]:
    """Return the first recorded step at which the loss is below the threshold; None where it never is."""
    below = losses < threshold[:, None]
    return [int(steps[row.argmax()]) if row.any() else None for row in below]


def _correlations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spearman's correlation of the steps with h_min, of each seed's ways; its mean and a 95 % interval."""
    return [
        {
            "target": target,
            "network": network,
            "family": family,
            **_interval([_spearman(ways) for ways in grouped(group, "seed").values()]),
        }
        for (target, network, family), group in grouped(rows, "target", "network", "family").items()
    ]


def _spearman(rows: list[dict[str, Any]]) -> float:
    h_min = [row["h_min"] for row in rows]
    steps = [_number(row["steps"]) for row in rows]
    if len(set(steps)) == 1:
        return 0.0
    return float(scipy.stats.spearmanr(h_min, steps).statistic)


def _number(steps: int | None) -> float:
    return np.inf if steps is None else steps


def _interval(values: list[float]) -> dict[str, float]:
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    reach = float(scipy.stats.t.ppf(0.975, len(values) - 1)) * error
    return {"spearman": mean, "low": mean - reach, "high": mean + reach}


def summary(found: dict[str, Any]) -> str:
    """Return what was found, as the tables of README.md."""
    rows = found["rows"]
    lines = []
    for family in ("spread", "pairs"):
        ways = list(dict.fromkeys(row["way"] for row in rows if row["family"] == family))
        lines += [f"| learned | network | {' | '.join(ways)} | Spearman, h_min and steps |"]
        lines += ["|---|---|" + "---:|" * (len(ways) + 1)]
        for entry in found["correlations"]:
            if entry["family"] == family:
                here = [
                    row
                    for row in rows
                    if all(row[key] == entry[key] for key in ("target", "network", "family"))
                ]
                shown = " | ".join(
                    median_steps([_number(row["steps"]) for row in here if row["way"] == way]) for way in ways
                )
                interval = f"{entry['spearman']:+.2f} ({entry['low']:+.2f} to {entry['high']:+.2f})"
                lines.append(f"| {entry['target']} | {entry['network']} | {shown} | {interval} |")
        lines.append("")
    return "\n".join(lines)
