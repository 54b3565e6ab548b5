"""Claim 4: selecting by distance speeds the training of language models, at equal or better quality.

Small transformers learn dictionary entries, "define: lemma -> gloss", from scratch: all records of a pool, or
a half of them, chosen by the distances of embeddings in the ways of halves.py, those of all-MiniLM-L6-v2 or
the model's own. Every model makes as many steps with batches of one size. So after all steps all of them have
cost the same, and halves have seen each of their records twice as often; after half of the steps, as often as
"all" after all of them. Told of each: the loss of the records that were trained on, that of records that were
not in the pool, and the steps until the latter is what random halves reach in the end.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from studies.uniformity import entries
from studies.uniformity.comparison import summary as summary
from studies.uniformity.entries import FloatArray, IntArray
from studies.uniformity.halves import Chosen, choose
from studies.uniformity.processes import each
from studies.uniformity.training import Course, train

_BATCH = 32
_RATES = {"AdamW": 2e-3, "SGD": 0.3}


@dataclass(frozen=True)
class Trained:
    """A model, and what it is trained by."""

    optimizer: str = "AdamW"  # or "SGD"
    loss: str = "cross-entropy"  # or "squared error", of the probabilities
    width: int = 64

    def __str__(self) -> str:
        return f"{self.optimizer}, {self.loss}, width {self.width}"


BASE = Trained()
VARIANTS = (
    replace(BASE, optimizer="SGD"),
    replace(BASE, loss="squared error"),
    replace(BASE, width=32),
    replace(BASE, width=128),
)


@dataclass(frozen=True)
class Settings:
    """How many records, steps, models and draws."""

    data: str = "all"  # WordNet's entries where they are beside the checkout; "demo": the package's 3,600
    pool: int = 8000
    held_out: int = 1000
    steps: int = 600
    models: int = 5  # of each way
    draws: int = 10  # of random halves, a model each
    models_of_variants: int = 3
    draws_of_variants: int = 3
    variants: tuple[Trained, ...] = VARIANTS
    recorded: int = 12  # times that losses are measured
    processes: int = 2
    device: str = "cpu"


SMALL = Settings("demo", 2400, steps=120, models=2, draws=3, variants=(), recorded=2)
LARGE = Settings(pool=80_000, held_out=5000, steps=10_000)


def run(settings: Settings) -> dict[str, Any]:
    """Choose, train and measure, several models at a time."""
    X = _records(settings).embeddings[: settings.pool]
    jobs = [
        (settings, BASE, chosen)
        for chosen in choose(X, settings.models, settings.draws, own=_own_embeddings(settings))
    ]
    of_variants = choose(X, settings.models_of_variants, settings.draws_of_variants)
    jobs += [
        (settings, variant, chosen) for variant, chosen in itertools.product(settings.variants, of_variants)
    ]
    return {"settings": asdict(settings), "rows": each(_row, jobs, settings.processes)}


def _records(settings: Settings) -> entries.Records:
    return entries.draw(settings.data, settings.pool, settings.held_out)


def _row(job: tuple[Settings, Trained, Chosen]) -> dict[str, Any]:
    settings, trained, chosen = job
    return {
        "trained": str(trained),
        **chosen.record(),
        **_train(settings, trained, chosen.rows, chosen.seed)[1],
    }


def _own_embeddings(settings: Settings) -> FloatArray:
    """Return what a model that has learned all of the pool makes of its records."""
    import torch

    (model, tokens), _ = _train(settings, BASE, np.arange(settings.pool), seed=0)
    with torch.no_grad():
        found: FloatArray = model.embed(tokens[: settings.pool]).cpu().numpy()
    return found


def _train(settings: Settings, trained: Trained, rows: IntArray, seed: int) -> tuple[Any, dict[str, Any]]:
    """Return the model with the tokens it knows, and its losses: always cross-entropies, to be compared."""
    import torch

    from studies.uniformity.decoder import Decoder, losses_of, tokens_of

    torch.set_num_threads(1)  # the others are processes'
    torch.manual_seed(seed)
    records = _records(settings)
    tokens = torch.from_numpy(tokens_of(records.texts, records.texts[: records.pool])).to(settings.device)
    model = Decoder(trained.width).to(settings.device)
    course = Course(trained.optimizer, _RATES[trained.optimizer], settings.steps, _BATCH, settings.recorded)
    losses = train(
        list(model.parameters()),
        lambda batch: losses_of(model, tokens[batch], trained.loss).mean(),
        lambda batch: losses_of(model, tokens[batch], "cross-entropy"),
        rows,
        records,
        course,
        seed,
    )
    return (model, tokens), losses
