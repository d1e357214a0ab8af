"""The reduction of a loss, and mistakes in its mean."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from parity.mistakes.passes import with_gradient_of


def mean(loss: Tensor) -> Tensor:
    """Compute the mean of a loss."""
    return loss.mean()


def sum_for_mean(loss: Tensor) -> Tensor:
    """Compute the sum of a loss instead of its mean."""
    return loss.sum()


def sum_in_the_backward(loss: Tensor) -> Tensor:
    """Compute the mean of a loss with the gradient of its sum."""
    return with_gradient_of(loss.mean(), loss.sum())


def reduced(loss: Tensor, reduction: str, averaged: Callable[[Tensor], Tensor]) -> Tensor:
    """Reduce a loss, with a function for the mean."""
    return averaged(loss) if reduction == "mean" else loss.sum() if reduction == "sum" else loss
