"""Mistakes in batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

wrong_batch_norm = partial(mistake, "batch_norm")


def variance(x: Tensor, axes: list[int]) -> Tensor:
    """Compute the biased variance."""
    return x.var(axes, correction=0)


def unbiased(var: Tensor, n: int, eps: float) -> Tensor:
    """Compute the unbiased variance, which running_var stores, from the biased one of n values."""
    return var * (n / (n - 1))


def root(var: Tensor, n: int, eps: float) -> Tensor:
    """Compute the divisor from the biased variance of n values."""
    return (var + eps).sqrt()


def moved(running: Tensor, new: Tensor, momentum: float) -> None:
    """Move running statistics towards those of the batch."""
    running.mul_(1 - momentum).add_(new * momentum)


@definition("batch_norm")
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    variance: Callable[[Tensor, list[int]], Tensor] = variance,
    stored: Callable[[Tensor, int, float], Tensor] = unbiased,
    divisor: Callable[[Tensor, int, float], Tensor] = root,
    moved: Callable[[Tensor, Tensor, float], None] = moved,
    updating: Callable[[bool], bool] = lambda training: training,
    by_batch: Callable[[bool], bool] = lambda training: training,
    centred: Callable[[Tensor, Tensor], Tensor] = torch.sub,
    constant: tuple[str, ...] = (),
) -> Tensor:
    """Compute batch normalisation in stages; `constant` names the statistics that the backward treats as constants."""
    axes = [0, *range(2, input.dim())]
    n = input.numel() // input.shape[1]
    along = [1, -1, *[1] * (input.dim() - 2)]
    mean, var = input.mean(axes), variance(input, axes)
    if running_mean is not None and running_var is not None:
        before = running_mean.clone(), running_var.clone()
        if updating(training):
            moved(running_mean, mean.detach(), momentum)
            moved(running_var, stored(var.detach(), n, eps), momentum)
        running = (running_mean.clone(), running_var.clone()) if training else before
        mean, var = (mean, var) if by_batch(training) else running

    def normalised(mean: Tensor, var: Tensor) -> Tensor:
        y = centred(input, mean.view(along)) / divisor(var, n, eps).view(along)
        y = y if weight is None else y * weight.view(along)
        return y if bias is None else y + bias.view(along)

    in_backward = mean.detach() if "mean" in constant else mean, var.detach() if "variance" in constant else var
    return with_gradient_of(normalised(mean, var), normalised(*in_backward))


@wrong_batch_norm("normalises with the unbiased variance, / (n - 1); torch normalises with the biased one, / n", "divisor")
def root_of_unbiased(var: Tensor, n: int, eps: float) -> Tensor:
    return (var * (n / (n - 1)) + eps).sqrt()


@wrong_batch_norm("adds eps to the standard deviation; it belongs under the root", "divisor")
def eps_outside(var: Tensor, n: int, eps: float) -> Tensor:
    return var.sqrt() + eps


@wrong_batch_norm("leaves eps out", "divisor")
def no_eps(var: Tensor, n: int, eps: float) -> Tensor:
    return var.sqrt()


@wrong_batch_norm("adds eps² under the root instead of eps", "divisor")
def eps_squared(var: Tensor, n: int, eps: float) -> Tensor:
    return (var + eps * eps).sqrt()


@wrong_batch_norm("divides by the variance instead of its root", "divisor")
def no_root(var: Tensor, n: int, eps: float) -> Tensor:
    return var + eps


@wrong_batch_norm("subtracts the mean but does not divide by the standard deviation", "divisor")
def not_divided(var: Tensor, n: int, eps: float) -> Tensor:
    return torch.ones_like(var)


@wrong_batch_norm("does not subtract the mean", "centred")
def not_centred(x: Tensor, mean: Tensor) -> Tensor:
    return x


@wrong_batch_norm("uses the mean of x² instead of the variance", "variance")
def mean_square(x: Tensor, axes: list[int]) -> Tensor:
    return (x * x).mean(axes)


wrong_batch_norm("treats the batch's mean as a constant in the backward pass", "constant")(("mean",))
wrong_batch_norm("treats the batch's variance as a constant in the backward pass", "constant")(("variance",))
wrong_batch_norm("treats the batch's mean and variance as constants in the backward pass", "constant")(("mean", "variance"))
