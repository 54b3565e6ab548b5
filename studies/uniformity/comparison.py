"""What models make of the ways in which their records were chosen, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from studies.uniformity.grouping import grouped


def summary(found: dict[str, Any]) -> str:
    """Return the tables of README.md: the first kind of training, and what differs in all kinds."""
    kinds = {trained: rows for (trained,), rows in grouped(found["rows"], "trained").items()}
    first = next(iter(kinds))
    ways = [way for (way,) in grouped(kinds[first], "way") if way != "random"]
    lines = [
        *_losses(first, kinds[first]),
        "",
        f"| less those of random halves: held-out, of the spread half | {' | '.join(ways)} |",
        "|---|" + "---:|" * len(ways),
    ]
    for trained, models in kinds.items():
        of_ways = {way: rows for (way,), rows in grouped(models, "way").items()}
        shown = [_apart(of_ways[way], of_ways["random"]) if way in of_ways else "" for way in ways]
        lines.append(f"| {trained} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _losses(trained: str, models: list[dict[str, Any]]) -> list[str]:
    """Return a table: means over the models, with the standard error where it matters."""
    lines = [
        f"| {trained} | models | h_min | training loss | held-out loss | of the spread half | "
        "after half of the steps | steps to what random halves reach |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ways = {way: rows for (way,), rows in grouped(models, "way").items()}
    aim = float(np.mean([row["held_out"][-1] for row in ways["random"]]))
    for way, rows in ways.items():
        half = len(rows[0]["steps"]) // 2 - 1
        reached = [steps_until(aim, row["steps"], row["held_out"]) for row in rows]
        lines.append(
            f"| {way} | {len(rows)} | {rows[0]['h_min']:.2f} | {_mean(rows, 'training')} | "
            f"{_mean(rows, 'held_out')} | {_mean(rows, 'spread')} | {_mean(rows, 'held_out', half)} | "
            f"{median_steps(reached)} |"
        )
    return lines


def _apart(rows: list[dict[str, Any]], random: list[dict[str, Any]]) -> str:
    """Return the last losses, of all held out and of the spread half, less those of random halves."""
    return ", ".join(
        f"{np.mean([row[name][-1] for row in rows]) - np.mean([row[name][-1] for row in random]):+.3f}"
        for name in ("held_out", "spread")
    )


def _mean(rows: list[dict[str, Any]], name: str, at: int = -1) -> str:
    losses = [row[name][at] for row in rows]
    return f"{np.mean(losses):.3f} ± {np.std(losses, ddof=1) / np.sqrt(len(losses)):.3f}"


def steps_until(loss: float, steps: list[int], losses: list[float]) -> float:
    """Return the steps until a loss is reached, on straight lines between those that were measured."""
    reached = [i for i, measured in enumerate(losses) if measured <= loss]
    if not reached:
        return float("inf")
    i = reached[0]
    if i == 0:
        return steps[0]
    share = (losses[i - 1] - loss) / (losses[i - 1] - losses[i])
    return steps[i - 1] + share * (steps[i] - steps[i - 1])


def median_steps(steps: list[float]) -> str:
    """Return the median as it is shown; infinity is what was not reached."""
    median = float(np.median(steps))
    return f"{median:,.0f}" if np.isfinite(median) else "not reached"
