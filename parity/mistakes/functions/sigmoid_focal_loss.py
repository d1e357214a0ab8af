"""Mistakes in the focal loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.reduction import mean, reduced, sum_for_mean, sum_in_the_backward
from parity.mistakes.register import definition, mistake

wrong_focal_loss = partial(mistake, "sigmoid_focal_loss")


def balance(target: Tensor, alpha: float) -> Tensor:
    """Return alpha for targets of 1 and 1 - alpha for targets of 0."""
    return alpha * target + (1 - alpha) * (1 - target)


@definition("sigmoid_focal_loss")
def sigmoid_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "mean",
    *,
    focus: Callable[[Tensor, float], Tensor] = lambda p_t, gamma: (1 - p_t) ** gamma,
    balance: Callable[[Tensor, float], Tensor] = balance,
    averaged: Callable[[Tensor], Tensor] = mean,
) -> Tensor:
    """Compute the focal loss in stages."""
    p = input.sigmoid()
    p_t = p * target + (1 - p) * (1 - target)
    loss = F.binary_cross_entropy_with_logits(input, target, reduction="none") * focus(p_t, gamma)
    return reduced(loss if alpha is None else loss * balance(target, alpha), reduction, averaged)


@wrong_focal_loss("weights by p_t, which favours easy examples; the weight is (1 - p_t)^gamma", "focus")
def on_easy_examples(p_t: Tensor, gamma: float) -> Tensor:
    return p_t**gamma


@wrong_focal_loss("uses gamma = 1", "focus")
def gamma_1(p_t: Tensor, gamma: float) -> Tensor:
    return 1 - p_t


@wrong_focal_loss("uses gamma = 0: this is the plain cross-entropy", "focus")
def gamma_0(p_t: Tensor, gamma: float) -> Tensor:
    return torch.ones_like(p_t)


@wrong_focal_loss("leaves alpha out", "balance")
def unbalanced(target: Tensor, alpha: float) -> Tensor:
    return torch.ones_like(target)


@wrong_focal_loss("gives alpha to the targets of 0 and 1 - alpha to those of 1; it is the other way round", "balance")
def alpha_swapped(target: Tensor, alpha: float) -> Tensor:
    return 1 - balance(target, alpha)


@wrong_focal_loss("multiplies the loss of every target by alpha; targets of 0 have the factor 1 - alpha", "balance")
def alpha_everywhere(target: Tensor, alpha: float) -> Tensor:
    return torch.full_like(target, alpha)


@wrong_focal_loss("treats (1 - p_t)^gamma as a constant in the backward pass", "focus")
def focus_constant(p_t: Tensor, gamma: float) -> Tensor:
    return ((1 - p_t) ** gamma).detach()


wrong_focal_loss("takes the sum; the reduction is the mean", "averaged")(sum_for_mean)
wrong_focal_loss("does not divide the gradient by the number of elements", "averaged")(sum_in_the_backward)
