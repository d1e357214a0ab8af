"""Batch normalisation (Ioffe & Szegedy 2015)."""

from torch import Tensor
from torch.nn import functional as F


def batch_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Call F.batch_norm, but return the new running statistics instead of updating them in place."""
    mean, var = (None if statistic is None else statistic.detach().clone() for statistic in (running_mean, running_var))
    return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps), mean, var


def frozen_batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, eps: float = 1e-5
) -> Tensor:
    """Call F.batch_norm in eval mode, with constant parameters."""
    return F.batch_norm(x, running_mean, running_var, weight.detach(), bias.detach(), eps=eps)
