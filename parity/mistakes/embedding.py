"""Mistakes in looking rows up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, *options: Any, change: str, **rest: Any) -> Tensor:
    """Looking rows up with one change."""
    y = F.embedding(input, weight, padding_idx, *options, **rest)
    if change in ("row before", "row after"):
        return F.embedding((input + (1 if change == "row after" else -1)) % len(weight), weight, padding_idx)
    if change == "one column":
        return y[..., :1].expand_as(y)
    if change == "padding is 0":
        return y if padding_idx is None else y * (input != padding_idx)[..., None]
    flat, counted = input.flatten(), torch.zeros(input.numel(), dtype=torch.bool)
    order = range(len(flat)) if change == "last" else range(len(flat) - 1, -1, -1)
    at = {int(flat[i]): i for i in order}  # the last to come, or the first
    counted[list(at.values())] = True
    return graft(y, y * counted.view(*input.shape, 1))


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "embedding": [
        (text, partial(embedding, change=change))
        for change, text in {
            "last": "keeps the last gradient of a number that comes several times: `+=` with numbers as indices does not add up",
            "first": "keeps the first gradient of a number that comes several times; they add up",
            "row before": "looks up the row before: its numbers are taken to begin at 1",
            "row after": "looks up the row after",
            "one column": "takes the first column of the table for all of them",
            "padding is 0": "gives 0 for padding_idx; torch looks its row up and only gives it no gradient",
        }.items()
    ],
}
