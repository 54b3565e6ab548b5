"""Small networks, as many at once as there are sets of points: every parameter has an axis of networks first.

A kind of network is two functions: its parameters, drawn for the seed of each network, and its answers for
(networks, points, dimensions) inputs. So one pass trains all of them, each on its own points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # torch's, which is imported when networks are made
Parameters: TypeAlias = list[Tensor]

WIDTH, DEPTH = 64, 6  # of the plain and the residual network
TOKENS_WIDTH, TOKENS_DEPTH = 24, 3  # of the transformer


def _drawn(seeds: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> Parameters:
    """Draw weights of variance 1 / inputs, the same for networks of the same seed; of one axis: zeros."""
    import torch

    def of_seed(seed: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.zeros(shape)
            if len(shape) == 1
            else torch.randn(shape, generator=generator) / math.sqrt(shape[0])
            for shape in shapes
        ]

    return [torch.stack(list(of_all)) for of_all in zip(*map(of_seed, seeds), strict=True)]


def _make_layers(seeds: Sequence[int], dimensions: int) -> Parameters:
    hidden = [shape for _ in range(DEPTH) for shape in ((WIDTH, WIDTH), (WIDTH,))]
    return _drawn(seeds, [(dimensions, WIDTH), (WIDTH,), *hidden, (WIDTH, 1)])


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x @ weight + bias[:, None, :]


def _plain(parameters: Parameters, x: Tensor) -> Tensor:
    first, first_bias, *hidden, last = parameters
    x = _linear(x * math.sqrt(x.shape[-1]), first, first_bias).tanh()
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = _linear(x, weight, bias).tanh()
    return (x @ last)[..., 0]


def _residual(parameters: Parameters, x: Tensor) -> Tensor:
    first, first_bias, *hidden, last = parameters
    x = _linear(x * math.sqrt(x.shape[-1]), first, first_bias).tanh()
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = x + _linear(x, weight, bias).tanh() / math.sqrt(DEPTH)
    return (x @ last)[..., 0]


def _make_transformer(seeds: Sequence[int], dimensions: int) -> Parameters:
    m = TOKENS_WIDTH
    block = [(m, 3 * m), (m, m), (m, 2 * m), (2 * m,), (2 * m, m)]
    return _drawn(
        seeds, [(1, m), (dimensions, m), *(shape for _ in range(TOKENS_DEPTH) for shape in block), (m, 1)]
    )


def _transformer(parameters: Parameters, x: Tensor) -> Tensor:
    """A token a coordinate; blocks of attention and two layers, all residual; the mean of the tokens."""
    embedding, place, *blocks, last = parameters
    scale = math.sqrt(x.shape[-1])
    tokens = scale * (x[..., None] * embedding[:, None] + place[:, None])
    for i in range(TOKENS_DEPTH):
        attention, out, up, up_bias, down = blocks[5 * i : 5 * i + 5]
        query, key, value = (_normed(tokens) @ attention[:, None]).chunk(3, dim=-1)
        weights = (query @ key.transpose(-1, -2) / math.sqrt(TOKENS_WIDTH)).softmax(dim=-1)
        tokens = tokens + weights @ value @ out[:, None]
        hidden = (_normed(tokens) @ up[:, None] + up_bias[:, None, None]).relu()
        tokens = tokens + hidden @ down[:, None]
    return (_normed(tokens).mean(dim=2) @ last)[..., 0]


def _normed(tokens: Tensor) -> Tensor:
    import torch

    return torch.nn.functional.layer_norm(tokens, tokens.shape[-1:])


@dataclass(frozen=True)
class Network:
    """A kind of network, and the rate of gradient descent at which it learns all sets of points."""

    make: Callable[[Sequence[int], int], Parameters]
    answer: Callable[[Parameters, Tensor], Tensor]
    rate: float


# With rates four times as large some of them diverge.
NETWORKS = {
    "plain": Network(_make_layers, _plain, 0.05),
    "residual": Network(_make_layers, _residual, 0.02),
    "transformer": Network(_make_transformer, _transformer, 0.02),
}
