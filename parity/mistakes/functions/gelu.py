"""Mistakes in GELU."""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

SHORT_CUBES = (0.0447, 0.04472, 0.044)
SHORT_ROOTS = (0.79788, 0.797885, 0.798, 0.8)


@mistake("gelu", "computes the other form of GELU: see the option approximate")
def other_form(input: Tensor, approximate: str = "none") -> Tensor:
    return F.gelu(input, approximate="none" if approximate == "tanh" else "tanh")


@mistake("gelu", "computes x sigmoid(1.702 x), a third form of GELU")
def sigmoid_form(input: Tensor, approximate: str = "none") -> Tensor:
    return input * torch.sigmoid(1.702 * input)


@mistake("gelu", "computes erf(x); GELU has erf(x / √2)")
def no_root_of_two(input: Tensor, approximate: str = "none") -> Tensor:
    return input * 0.5 * (1 + torch.erf(input))


def _with_constants(
    input: Tensor, approximate: str = "none", *, root: float = math.sqrt(2 / math.pi), cube: float = 0.044715
) -> Tensor:
    """Compute the tanh form of GELU with constants of few digits."""
    if approximate != "tanh":
        return F.gelu(input)
    return 0.5 * input * (1 + torch.tanh(root * (input + cube * input**3)))


for cube in SHORT_CUBES:
    mistake("gelu", f"uses the constant {cube}; it is 0.044715")(partial(_with_constants, cube=cube))
for root in SHORT_ROOTS:
    mistake("gelu", f"uses the constant {root}; it is √(2/π)")(partial(_with_constants, root=root))


@mistake("gelu", "leaves the term x density(x) out of the backward pass")
def no_density(input: Tensor, approximate: str = "none") -> Tensor:
    return with_gradient_of(F.gelu(input, approximate=approximate), input * _cdf(input, approximate))


@mistake("gelu", "leaves the term cdf(x) out of the backward pass")
def no_cdf(input: Tensor, approximate: str = "none") -> Tensor:
    value = F.gelu(input, approximate=approximate)
    return with_gradient_of(value, value - input * _cdf(input, approximate))


def _cdf(x: Tensor, approximate: str) -> Tensor:
    """Compute gelu(x) / x as a constant."""
    return torch.where(x == 0, 0.5, F.gelu(x, approximate=approximate) / torch.where(x == 0, 1, x)).detach()


@mistake("gelu", "has the slope of the other form of GELU in the backward pass")
def other_slope(input: Tensor, approximate: str = "none") -> Tensor:
    return with_gradient_of(F.gelu(input, approximate=approximate), other_form(input, approximate))
