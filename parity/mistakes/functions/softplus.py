"""Mistakes in softplus."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake


@mistake("softplus", "does not divide by beta")
def not_divided(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    right = F.softplus(input, beta, threshold)
    return with_gradient_of(torch.where(beta * input > threshold, input, beta * right), right)


@mistake("softplus", "compares x with threshold; torch compares beta x")
def threshold_on_x(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    return torch.where(input > threshold, input, F.softplus(input, beta, float("inf")))


@mistake("softplus", "multiplies the slope by beta; the division of the value by beta removes that factor")
def slope_times_beta(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    right = F.softplus(input, beta, threshold)
    return with_gradient_of(right, torch.where(beta * input > threshold, right, beta * right))
