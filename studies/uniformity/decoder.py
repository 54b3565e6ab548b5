"""A small causal transformer over words, and its losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from studies.uniformity.entries import IntArray
from studies.uniformity.training import mean_by_record

LENGTH, VOCABULARY = 16, 1500  # words of a record that are kept, and words that are known
_PAD, _UNKNOWN = 0, 1
_HEADS, _LAYERS = 4, 2


def tokens_of(texts: Sequence[str], known: Sequence[str]) -> IntArray:
    """Return the numbers of the first words of each text, (texts, LENGTH): the most frequent of `known`."""
    counts = Counter(word for text in known for word in _words(text))
    numbers = {word: i + 2 for i, (word, _) in enumerate(counts.most_common(VOCABULARY - 2))}
    tokens = np.full((len(texts), LENGTH), _PAD, dtype=np.int64)
    for row, text in enumerate(texts):
        words = _words(text)
        tokens[row, : len(words)] = [numbers.get(word, _UNKNOWN) for word in words]
    return tokens


def _words(text: str) -> list[str]:
    return text.lower().split()[:LENGTH]


class Decoder(nn.Module):  # type: ignore[misc]
    """Predicts the next word from those before it; input and output share their embedding.

    Parameters
    ----------
    width : int
        Numbers that stand for each word.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(LENGTH, width)
        nn.init.normal_(self.words.weight, std=0.05)
        nn.init.normal_(self.places.weight, std=0.05)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Any) -> Any:
        """Return what stands for each word and those before it, (records, words, width)."""
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def embed(self, tokens: Any) -> Any:
        """Return the mean of what stands for the words of each record."""
        there = (tokens != _PAD).float()[..., None]
        return (self(tokens) * there).sum(dim=1) / there.sum(dim=1)


class _Block(nn.Module):  # type: ignore[misc]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Any) -> Any:
        records, length, width = x.shape
        heads = self.attention(self.first(x)).view(records, length, 3, _HEADS, width // _HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(records, length, width))
        return x + self.layers(self.second(x))


def losses_of(model: Decoder, tokens: Any, kind: str) -> Any:
    """Return each record's mean over its known words: of the cross-entropy, or of the squared error."""
    wanted = tokens[:, 1:]
    records, places = (wanted > _UNKNOWN).nonzero(as_tuple=True)
    wanted = wanted[records, places]
    scores = model(tokens[:, :-1])[records, places] @ model.words.weight.T
    if kind == "cross-entropy":
        losses = nn.functional.cross_entropy(scores, wanted, reduction="none")
    else:
        probabilities = scores.softmax(dim=1)
        right = probabilities.gather(1, wanted[:, None])[:, 0]
        # The sum over all words of (probability - 1 or 0)^2.
        losses = (probabilities**2).sum(dim=1) - 2 * right + 1
    return mean_by_record(losses, records, len(tokens))
