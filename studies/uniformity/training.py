"""Training of language models on records that were chosen: what it loses, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from studies.uniformity.entries import IntArray, Records

Tensor: TypeAlias = Any  # torch's, which is imported where models are made

_MEASURED = 300  # records that the training loss is measured on
_MEASURED_AT_ONCE = 250
_WARM_UP = 50  # steps in which the rate rises to its own
_LARGEST_GRADIENT = 1.0
_MOMENTUM = 0.9  # of SGD


@dataclass(frozen=True)
class Course:
    """How long, how fast and by what a model is trained. The rate stays, so that any step can be the last."""

    optimizer: str  # "AdamW" or "SGD"
    rate: float
    steps: int
    batch: int
    recorded: int  # times that losses are measured


def train(
    parameters: list[Tensor],
    loss: Callable[[IntArray], Tensor],
    measure: Callable[[IntArray], Tensor],
    chosen: IntArray,
    records: Records,
    course: Course,
    seed: int,
) -> dict[str, Any]:
    """Train on the records that were chosen, and return the steps at which losses were measured, and these.

    Both functions take the rows of a batch: `loss` is minimised, and `measure`, the losses of each record, is
    told, the mean of some that were chosen, of all held out, and of the spread half of these.
    """
    import torch

    optimizer = _optimizer(parameters, course)
    warming = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / _WARM_UP))
    random = np.random.default_rng((seed, 3))
    # Not the first of them, which farthest-first picked because they are like no other.
    told = random.permutation(chosen)[:_MEASURED]
    passes = -(-course.steps * course.batch // len(chosen))
    order = np.concatenate([random.permutation(chosen) for _ in range(passes)])
    recorded = np.unique(np.linspace(0, course.steps, course.recorded + 1)[1:].round().astype(int)).tolist()
    losses = []
    for step in range(1, course.steps + 1):
        optimizer.zero_grad()
        loss(order[(step - 1) * course.batch : step * course.batch]).backward()
        torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        optimizer.step()
        warming.step()
        if step in recorded:
            of_chosen, of_others = _measured(measure, told), _measured(measure, records.held_out)
            losses.append((of_chosen.mean(), of_others.mean(), of_others[records.spread].mean()))
    training, held_out, spread = np.round(losses, 4).T.tolist()
    return {"steps": recorded, "training": training, "held_out": held_out, "spread": spread}


def _optimizer(parameters: list[Tensor], course: Course) -> Any:
    import torch

    if course.optimizer == "AdamW":
        return torch.optim.AdamW(parameters, lr=course.rate)
    return torch.optim.SGD(parameters, lr=course.rate, momentum=_MOMENTUM)


def _measured(measure: Callable[[IntArray], Tensor], rows: IntArray) -> npt.NDArray[np.float64]:
    """Return the losses of records, a part of them at a time."""
    import torch

    with torch.no_grad():
        parts = [measure(part) for part in np.array_split(rows, -(-len(rows) // _MEASURED_AT_ONCE))]
        found: npt.NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
    return found


def mean_by_record(losses: Tensor, record: Tensor, records: int) -> Tensor:
    """Return the mean of each record's losses, which are told with its number; 0 where it has none."""
    import torch

    empty = torch.zeros(records, device=losses.device)
    count = empty.index_add(0, record, torch.ones_like(losses))
    return empty.index_add(0, record, losses) / count.clamp(min=1)
