"""Mistakes in the Dice loss, as mistakes in the functions that it consists of."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from parity.mistakes.register import mistake


@mistake("mean", "takes the sum instead of the mean")
def sum_for_mean(input: Tensor) -> Tensor:
    return input.sum()


@mistake("__rsub__", "leaves out the 1 - in front of the term")
def not_subtracted(input: Tensor, other: Any) -> Tensor:
    return input


@mistake("square", "does not square")
def not_squared(input: Tensor) -> Tensor:
    return input


@mistake("sum", "sums over each sample; the sum goes over the batch as well")
def sum_of_each(input: Tensor, axes: Any) -> Tensor:
    if not isinstance(axes, tuple) or axes[0] != 0:
        raise ValueError("this sum does not go over the batch")
    return input.sum(axes[1:])
