"""Mistakes in products with a number."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake


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
