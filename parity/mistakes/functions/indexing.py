"""Mistakes in taking the first entry along an axis."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake


def _first(index: Any) -> tuple[int, tuple[Any, ...]]:
    """Return the only axis whose index is 0, and the index with the last in place of the first."""
    parts = index if isinstance(index, tuple) else (index,)
    firsts = [axis for axis, part in enumerate(parts) if isinstance(part, int) and part == 0]
    if len(firsts) != 1 or not all(isinstance(part, int | slice) for part in parts):
        raise ValueError("the index does not take the first along one axis")
    return firsts[0], tuple(-1 if axis in firsts else part for axis, part in enumerate(parts))


@mistake("__getitem__", "takes the last entry along an axis instead of the first")
def last_for_first(input: Tensor, index: Any) -> Tensor:
    return input[_first(index)[1]]


@mistake("__getitem__", "takes the mean along an axis instead of the first entry")
def mean_for_first(input: Tensor, index: Any) -> Tensor:
    axis, last = _first(index)
    return input.mean(axis, keepdim=True)[last]


@mistake("__getitem__", "gives the gradient of the first entry along an axis to all entries")
def gradient_to_all(input: Tensor, index: Any) -> Tensor:
    axis, last = _first(index)
    return with_gradient_of(input[index], input.sum(axis, keepdim=True)[last])
