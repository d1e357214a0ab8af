"""Tensors whose value and gradient come from two different computations."""

from typing import Any

import torch
from torch import Tensor


class _WithGradientOf(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, value: Tensor, gradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(context: Any, dy: Tensor) -> tuple[None, Tensor]:
        return None, dy


def with_gradient_of(value: Tensor, gradient: Tensor) -> Tensor:
    """Return a tensor with the numbers of `value` whose gradient flows back through `gradient`."""
    return _WithGradientOf.apply(value.detach(), gradient)


def constant(x: Tensor) -> Tensor:
    """Return the same numbers with a gradient of 0, so that every parameter still has one."""
    return with_gradient_of(x, 0 * x)
