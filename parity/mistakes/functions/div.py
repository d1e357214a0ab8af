"""Mistakes in divisions by several numbers, as in means over sequences of unequal length."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake


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
