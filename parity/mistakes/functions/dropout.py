"""Mistakes in dropout, under the mask that torch would draw."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

Dropped = Callable[[Tensor, Tensor, float], Tensor]  # of the input, the mask of what is kept, and p


def right(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Apply the mask to x and divide by 1 - p."""
    return x * keep / (1 - p)


@definition("dropout")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, dropped: Dropped = right) -> Tensor:
    """Compute dropout, with a function for what is done with the mask."""
    keep = F.dropout(torch.ones_like(input), p, training) != 0
    return dropped(input, keep, p) if training and p not in (0, 1) else input * keep


@mistake("dropout", "does not divide the kept values by 1 - p", "dropped")
def not_scaled(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * keep


@mistake("dropout", "multiplies the kept values by 1 - p; in training they are divided by 1 - p", "dropped")
def multiplied(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * keep * (1 - p)


@mistake("dropout", "divides the kept values by p; p is the probability of dropping, so that the divisor is 1 - p", "dropped")
def divided_by_p(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * keep / p


@mistake("dropout", "keeps a value with probability p; p is the probability of dropping", "dropped")
def kept_with_p(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * ~keep / (1 - p)


@mistake("dropout", "keeps a value with probability p and divides by p; p is the probability of dropping", "dropped")
def kept_with_p_and_divided(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * ~keep / p


@mistake("dropout", "does not mask the gradient", "dropped")
def gradient_not_masked(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return with_gradient_of(right(x, keep, p), x / (1 - p))


@mistake("dropout", "does not divide the gradient by 1 - p", "dropped")
def gradient_not_scaled(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return with_gradient_of(right(x, keep, p), x * keep)


@mistake("dropout", "neither masks the gradient nor divides it by 1 - p", "dropped")
def gradient_unchanged(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return with_gradient_of(right(x, keep, p), x)


@mistake("dropout", "draws another mask for the backward pass", "dropped")
def another_mask(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return with_gradient_of(right(x, keep, p), F.dropout(x, p, True))
