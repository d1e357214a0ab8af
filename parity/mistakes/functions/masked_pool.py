"""Mistakes in means and maxima over sequences of unequal length, in the functions that they consist of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def _several(other: Any) -> None:
    """Refuse a division by one number."""
    if not isinstance(other, Tensor) or other.numel() < 2:
        raise ValueError("there is one divisor for all numbers")


@mistake("div", "does not divide")
def not_divided(input: Tensor, other: Tensor) -> Tensor:
    _several(other)
    return input


@mistake("div", "divides every row by the largest divisor")
def largest_divisor(input: Tensor, other: Tensor) -> Tensor:
    _several(other)
    return input / other.max()


@mistake("div", "does not divide the gradient")
def gradient_not_divided(input: Tensor, other: Tensor) -> Tensor:
    _several(other)
    return with_gradient_of(input / other, input)


@mistake("div", "treats the divisors as constants in the backward pass")
def divisors_constant(input: Tensor, other: Tensor) -> Tensor:
    _several(other)
    return with_gradient_of(input / other, input / other.detach())


def _a_number(other: Any) -> None:
    """Refuse a product of two tensors."""
    if isinstance(other, Tensor):
        raise ValueError("the product is one of tensors")


@mistake("mul", "does not multiply by the factor")
def not_multiplied(input: Tensor, other: Any) -> Tensor:
    _a_number(other)
    return input


@mistake("mul", "does not multiply the gradient by the factor")
def gradient_not_multiplied(input: Tensor, other: Any) -> Tensor:
    _a_number(other)
    return with_gradient_of(input * other, input)


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


@mistake("cat", "joins the tensors in reverse order")
def reversed_order(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(list(tensors)[::-1], dim)
