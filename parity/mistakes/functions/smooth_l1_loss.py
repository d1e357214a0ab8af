"""Mistakes in smooth L1; those of every loss come first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions import loss  # noqa: F401  its mistakes come first
from parity.mistakes.functions.reduction import mean, reduced
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

wrong_smooth_l1 = partial(mistake, "smooth_l1_loss")


@wrong_smooth_l1("does not divide by beta: this is the Huber loss")
def huber(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    return F.huber_loss(input, target, reduction=reduction, delta=beta)


def parabola(difference: Tensor, beta: float) -> Tensor:
    """Compute the loss of a difference below beta; no difference is below 0."""
    return 0.5 * difference**2 / (beta or 1)


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
    return with_gradient_of(joined(distance, below, above, beta), below)
