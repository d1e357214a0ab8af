"""Mistakes in losses that compare two arrays of one shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.boxes import mean, reduced, sum_for_mean, sum_in_the_backward
from parity.mistakes.graft import graft
from parity.mistakes.register import definition, mistake

Loss = Callable[..., Tensor]
LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits")
wrong_smooth_l1 = partial(mistake, "smooth_l1_loss")
wrong_bce = partial(mistake, "binary_cross_entropy_with_logits")
wrong_focal_loss = partial(mistake, "sigmoid_focal_loss")


def in_losses(message: str) -> Callable[[Loss], Loss]:
    """Register a mistake for all losses; it takes the right loss first, and then its arguments."""

    def register(wrong: Loss) -> Loss:
        for name in LOSSES:
            mistake(name, message)(partial(wrong, getattr(F, name)))
        return wrong

    return register


def _total(loss: Loss, *arrays: Tensor, **options: Any) -> Tensor:
    """Compute the sum where the mean is asked for."""
    if options.get("reduction", "mean") != "mean":
        raise ValueError("the loss takes no mean")
    return loss(*arrays, **options | {"reduction": "sum"})


in_losses("takes the sum; the reduction is the mean")(_total)


@in_losses("divides by the batch size; torch's mean divides by the number of elements")
def by_the_batch_size(loss: Loss, input: Tensor, *arrays: Tensor, **options: Any) -> Tensor:
    return _total(loss, input, *arrays, **options) / input.shape[0]


@in_losses("does not divide the gradient by the number of elements")
def gradient_of_the_sum(loss: Loss, *arrays: Tensor, **options: Any) -> Tensor:
    return graft(loss(*arrays, **options), _total(loss, *arrays, **options))


@in_losses("divides the gradient by the batch size; torch's mean divides by the number of elements")
def gradient_by_the_batch_size(loss: Loss, *arrays: Tensor, **options: Any) -> Tensor:
    return graft(loss(*arrays, **options), by_the_batch_size(loss, *arrays, **options))


@in_losses("the gradient of target has the wrong sign")
def sign_of_target(loss: Loss, input: Tensor, target: Tensor, *arrays: Tensor, **options: Any) -> Tensor:
    through_input = loss(input, target.detach(), *arrays, **options)
    through_target = loss(input.detach(), 2 * target.detach() - target, *arrays, **options)
    return graft(loss(input, target, *arrays, **options), through_input + through_target)


@mistake("l1_loss", "has slope 1 where input and target are equal; torch's slope there is 0")
def slope_1_where_equal(input: Tensor, target: Tensor, *options: Any, **rest: Any) -> Tensor:
    difference = input - target
    shifted = torch.where(input == target, difference - difference.detach() + 1, difference)
    return graft(F.l1_loss(input, target, *options, **rest), F.l1_loss(shifted, torch.zeros_like(shifted), *options, **rest))


@wrong_smooth_l1("does not divide by beta: this is the Huber loss")
def huber(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    return F.huber_loss(input, target, reduction=reduction, delta=beta)


def parabola(difference: Tensor, beta: float) -> Tensor:
    """Compute the loss of a difference below beta."""
    return 0.5 * difference**2 / beta


def line(distance: Tensor, beta: float) -> Tensor:
    """Compute the loss of a distance from beta on."""
    return distance - 0.5 * beta


def joined(distance: Tensor, below: Tensor, above: Tensor, beta: float) -> Tensor:
    """Join the parabola and the line at beta."""
    return torch.where(distance < beta, below, above)


@definition("smooth_l1_loss")
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
    *,
    parabola: Callable[[Tensor, float], Tensor] = parabola,
    line: Callable[[Tensor, float], Tensor] = line,
    joined: Callable[[Tensor, Tensor, Tensor, float], Tensor] = joined,
) -> Tensor:
    """Compute smooth L1 in stages."""
    difference = input - target
    distance = difference.abs()
    return reduced(joined(distance, parabola(difference, beta), line(distance, beta), beta), reduction, mean)


@wrong_smooth_l1("leaves the factor 1/2 of the parabola out", "parabola")
def whole_parabola(difference: Tensor, beta: float) -> Tensor:
    return 2 * parabola(difference, beta)


@wrong_smooth_l1("does not subtract beta/2 where the distance is larger than beta", "line")
def line_through_0(distance: Tensor, beta: float) -> Tensor:
    return distance


@wrong_smooth_l1("subtracts 1/2 where the distance is larger than beta; it is beta/2", "line")
def line_of_beta_1(distance: Tensor, beta: float) -> Tensor:
    return distance - 0.5


@wrong_smooth_l1("does not clip the slope to -1 and 1 where the distance is larger than beta", "joined")
def unclipped(distance: Tensor, below: Tensor, above: Tensor, beta: float) -> Tensor:
    return graft(joined(distance, below, above, beta), below)


def bce(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Compute F.binary_cross_entropy_with_logits with the options that are in use."""
    return F.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction, pos_weight=pos_weight)


def _weights(weight: Tensor | None = None, pos_weight: Tensor | None = None, **rest: Any) -> tuple[Tensor | None, Tensor | None]:
    return weight, pos_weight


@wrong_bce("applies pos_weight to the negative term too")
def pos_weight_on_both(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    weight, pos_weight = _weights(**options)
    if pos_weight is not None:
        options |= {"weight": pos_weight if weight is None else weight * pos_weight, "pos_weight": None}
    return bce(input, target, **options)


@wrong_bce("applies pos_weight to the negative term instead of the positive one")
def pos_weight_on_negatives(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    if _weights(**options)[1] is None:
        return bce(input, target, **options)
    return bce(-input, 1 - target, **options)


@wrong_bce("swaps weight and pos_weight")
def weights_swapped(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    weight, pos_weight = _weights(**options)
    return bce(input, target, **options | {"weight": pos_weight, "pos_weight": weight})


@wrong_bce("leaves weight out of the gradient")
def gradient_without_weight(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    return graft(bce(input, target, **options), bce(input, target, **options | {"weight": None}))


@wrong_bce("leaves pos_weight out of the gradient")
def gradient_without_pos_weight(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    return graft(bce(input, target, **options), bce(input, target, **options | {"pos_weight": None}))


@wrong_bce("divides by the sum of weight; torch divides by the number of elements")
def divided_by_weight(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    weight, _ = _weights(**options)
    if weight is None:
        raise ValueError("there is no weight to divide by")
    return _total(bce, input, target, **options) / weight.expand(input.shape).sum()


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
