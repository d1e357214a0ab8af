"""Mistakes in losses that compare two arrays of one shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

Loss = Callable[..., Tensor]
LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits")


def in_losses(message: str) -> Callable[[Loss], Loss]:
    """Register a mistake for all losses; it takes the right loss first, and then its arguments."""

    def register(wrong: Loss) -> Loss:
        for name in LOSSES:
            mistake(name, message)(partial(wrong, getattr(F, name)))
        return wrong

    return register


def total(loss: Loss, *arrays: Tensor, **options: Any) -> Tensor:
    """Compute the sum where the mean is asked for."""
    if options.get("reduction", "mean") != "mean":
        raise ValueError("the loss takes no mean")
    return loss(*arrays, **options | {"reduction": "sum"})


in_losses("takes the sum; the reduction is the mean")(total)


@in_losses("divides by the batch size; torch's mean divides by the number of elements")
def by_the_batch_size(loss: Loss, input: Tensor, *arrays: Tensor, **options: Any) -> Tensor:
    return total(loss, input, *arrays, **options) / input.shape[0]


@in_losses("does not divide the gradient by the number of elements")
def gradient_of_the_sum(loss: Loss, *arrays: Tensor, **options: Any) -> Tensor:
    return with_gradient_of(loss(*arrays, **options), total(loss, *arrays, **options))


@in_losses("divides the gradient by the batch size; torch's mean divides by the number of elements")
def gradient_by_the_batch_size(loss: Loss, *arrays: Tensor, **options: Any) -> Tensor:
    return with_gradient_of(loss(*arrays, **options), by_the_batch_size(loss, *arrays, **options))


@in_losses("the gradient of target has the wrong sign")
def sign_of_target(loss: Loss, input: Tensor, target: Tensor, *arrays: Tensor, **options: Any) -> Tensor:
    through_input = loss(input, target.detach(), *arrays, **options)
    through_target = loss(input.detach(), 2 * target.detach() - target, *arrays, **options)
    return with_gradient_of(loss(input, target, *arrays, **options), through_input + through_target)


@mistake("l1_loss", "has slope 1 where input and target are equal; torch's slope there is 0")
def slope_1_where_equal(input: Tensor, target: Tensor, *options: Any, **rest: Any) -> Tensor:
    difference = input - target
    shifted = torch.where(input == target, difference - difference.detach() + 1, difference)
    return with_gradient_of(
        F.l1_loss(input, target, *options, **rest), F.l1_loss(shifted, torch.zeros_like(shifted), *options, **rest)
    )
