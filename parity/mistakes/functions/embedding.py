"""Mistakes in looking up rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

wrong_embedding = partial(mistake, "embedding")


@wrong_embedding(
    "keeps only the last gradient of an index that occurs several times: `+=` with an array of indices does not add up"
)
def last_gradient(input: Tensor, weight: Tensor, *options: Any, **rest: Any) -> Tensor:
    return _with_gradient_of(range(input.numel()), input, F.embedding(input, weight, *options, **rest))


@wrong_embedding("keeps only the first gradient of an index that occurs several times; the gradients add up")
def first_gradient(input: Tensor, weight: Tensor, *options: Any, **rest: Any) -> Tensor:
    return _with_gradient_of(range(input.numel() - 1, -1, -1), input, F.embedding(input, weight, *options, **rest))


def _with_gradient_of(order: Iterable[int], input: Tensor, y: Tensor) -> Tensor:
    """Return y with the gradient of only the last place of each index, in an order of places."""
    flat, counted = input.flatten(), torch.zeros(input.numel(), dtype=torch.bool)
    counted[list({int(flat[i]): i for i in order}.values())] = True
    return with_gradient_of(y, y * counted.view(*input.shape, 1))


@wrong_embedding("looks up the row before: indices are assumed to begin at 1")
def row_before(input: Tensor, weight: Tensor, padding_idx: int | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.embedding((input - 1) % len(weight), weight, padding_idx)


@wrong_embedding("looks up the row after")
def row_after(input: Tensor, weight: Tensor, padding_idx: int | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.embedding((input + 1) % len(weight), weight, padding_idx)


@wrong_embedding("uses the first column of the table in place of all columns")
def one_column(input: Tensor, weight: Tensor, *options: Any, **rest: Any) -> Tensor:
    y = F.embedding(input, weight, *options, **rest)
    return y[..., :1].expand_as(y)


@wrong_embedding("returns 0 for padding_idx; torch returns its row, which only gets no gradient")
def padding_0(input: Tensor, weight: Tensor, padding_idx: int | None = None, *options: Any, **rest: Any) -> Tensor:
    y = F.embedding(input, weight, padding_idx, *options, **rest)
    return y if padding_idx is None else y * (input != padding_idx)[..., None]
