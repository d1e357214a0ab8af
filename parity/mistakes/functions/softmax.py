"""Mistakes in softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

# takes x, y and y with a constant normaliser; dx goes back through what it returns
Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]


def _with_gradient(
    log: bool,
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: Any = None,
    *,
    gradient: Gradient = lambda x, y, first: y,
) -> Tensor:
    """Compute softmax or its logarithm, with the gradient of another tensor."""
    dim = -1 if dim is None else dim
    shifted = input - input.amax(dim, keepdim=True).detach()
    total = shifted.exp().sum(dim, keepdim=True).detach()
    y = F.log_softmax(input, dim) if log else F.softmax(input, dim)
    first = shifted - total.log() if log else shifted.exp() / total
    return with_gradient_of(
        y, gradient(input.transpose(dim, -1), y.transpose(dim, -1), first.transpose(dim, -1)).transpose(dim, -1)
    )


def in_both(message: str) -> Callable[[Gradient], Gradient]:
    """Register a wrong gradient for softmax and for log_softmax."""

    def register(wrong: Gradient) -> Gradient:
        for function in ("softmax", "log_softmax"):
            mistake(function, message, "gradient")(wrong)
        return wrong

    return register


definition("softmax")(partial(_with_gradient, False))
definition("log_softmax")(partial(_with_gradient, True))


@in_both("treats the normaliser as a constant in the backward pass: the second term of the Jacobian is missing")
def normaliser_constant(x: Tensor, y: Tensor, first: Tensor) -> Tensor:
    return first


@in_both("uses only the diagonal of the Jacobian in the backward pass")
def diagonal(x: Tensor, y: Tensor, first: Tensor) -> Tensor:
    return (y * (1 - y)).detach() * x


@in_both("takes the mean in the second term of the Jacobian, which is a sum")
def second_term_averaged(x: Tensor, y: Tensor, first: Tensor) -> Tensor:
    return first + (y - first) / x.shape[-1]


@in_both("adds the second term of the Jacobian, which is subtracted")
def second_term_added(x: Tensor, y: Tensor, first: Tensor) -> Tensor:
    return first - (y - first)
