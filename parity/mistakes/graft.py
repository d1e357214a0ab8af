"""One function's value with another one's gradient."""

from typing import Any

import torch
from torch import Tensor


class _Graft(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, value: Tensor, gradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(context: Any, dy: Tensor) -> tuple[None, Tensor]:
        return None, dy


def graft(value: Tensor, gradient: Tensor) -> Tensor:
    """A tensor with the numbers of `value` whose gradient flows back through `gradient`."""
    return _Graft.apply(value.detach(), gradient)
