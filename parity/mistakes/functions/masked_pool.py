"""Mistakes in masks and maxima over sequences of unequal length, in the functions that they consist of."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake


@mistake("masked_fill", "masks nothing")
def no_mask(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    return input


@mistake("masked_fill", "inverts the mask")
def inverted_mask(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    return input.masked_fill(~mask, value)


@mistake("masked_fill", "fills in 0 where the mask is true")
def filled_with_0(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    return input.masked_fill(mask, 0)


@mistake("masked_fill", "lets the gradient through where the mask is true")
def gradient_unmasked(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    return with_gradient_of(input.masked_fill(mask, value), input)


@mistake("lt", "treats padding as valid steps")
def padding_as_steps(input: Tensor, other: Tensor) -> Tensor:
    return torch.ones_like(input < other)


@mistake("lt", "treats one step after the end as valid")
def one_step_more(input: Tensor, other: Tensor) -> Tensor:
    return input <= other


@mistake("lt", "treats the last step as padding")
def one_step_less(input: Tensor, other: Tensor) -> Tensor:
    return input < other - 1


@definition("max")
def maximum(input: Tensor, dim: int, *, taken: Callable[[Tensor, int], Tensor] | None = None) -> Any:
    """Compute torch.max along an axis, with a function for its values."""
    if taken is None:
        return torch.max(input, dim)
    return SimpleNamespace(values=taken(input, dim))


def _winners(input: Tensor, dim: int) -> Tensor:
    return input == input.amax(dim, keepdim=True)


@mistake("max", "shares the gradient among equal maxima; torch gives it to the first", "taken")
def shared_among_equal(input: Tensor, dim: int) -> Tensor:
    return input.amax(dim)


@mistake("max", "gives the whole gradient to each of several equal maxima; torch gives it to the first", "taken")
def whole_to_each_of_equal(input: Tensor, dim: int) -> Tensor:
    return with_gradient_of(input.amax(dim), torch.where(_winners(input, dim), input, 0).sum(dim))


@mistake("max", "gives the gradient to the last of equal maxima; torch gives it to the first", "taken")
def last_of_equal(input: Tensor, dim: int) -> Tensor:
    last = input.shape[dim] - 1 - _winners(input, dim).flip(dim).int().argmax(dim, keepdim=True)
    return input.gather(dim, last).squeeze(dim)


@mistake("max", "gives the gradient to every step; it belongs to the maximum", "taken")
def every_step(input: Tensor, dim: int) -> Tensor:
    return with_gradient_of(input.amax(dim), torch.where(input.isfinite(), input, 0).sum(dim))
