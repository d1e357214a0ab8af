"""Mistakes in batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.graft import graft

# What the wrong ones store in running_var and divide by, from the biased variance, the count of values and eps.
STORED: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "biased": lambda var, n, eps: var,
    "corrected twice": lambda var, n, eps: var * (n / (n - 1)) ** 2,
    "corrected upside down": lambda var, n, eps: var * ((n - 1) / n),
    "deviation": lambda var, n, eps: (var * (n / (n - 1))).sqrt(),
    "with eps": lambda var, n, eps: var * (n / (n - 1)) + eps,
}
DIVISOR: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "unbiased": lambda var, n, eps: (var * (n / (n - 1)) + eps).sqrt(),
    "eps outside": lambda var, n, eps: var.sqrt() + eps,
    "no eps": lambda var, n, eps: var.sqrt(),
    "eps squared": lambda var, n, eps: (var + eps * eps).sqrt(),
    "no root": lambda var, n, eps: var + eps,
    "no variance": lambda var, n, eps: torch.ones_like(var),
}


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
    change: str = "",
    stored: str = "",
    divisor: str = "",
) -> Tensor:
    """Batch normalisation spelt out, with one change."""
    axes = [0, *range(2, input.dim())]
    count = input.numel() // input.shape[1]
    along = [1, -1, *[1] * (input.dim() - 2)]
    mean, var = input.mean(axes), input.var(axes, correction=0)
    if change == "variance about 0":
        var = (input * input).mean(axes)
    if running_mean is not None and running_var is not None:
        before = running_mean.clone(), running_var.clone()
        if (training and change != "statistics kept") or change == "statistics moved":
            old, new = (momentum, 1 - momentum) if change == "momentum" else (1 - momentum, momentum)
            old = 1.0 if change == "no decay" else old
            spread = STORED.get(stored, lambda var, n, eps: var * (n / (n - 1)))(var.detach(), count, eps)
            running_mean.mul_(old).add_(mean.detach() * new)
            running_var.mul_(old).add_(spread * new)
        if (not training) != (change == "other statistics"):
            mean, var = before if change == "statistics moved" else (running_mean.clone(), running_var.clone())
    mean_of_backward = mean.detach() if change in ("mean constant", "both constant") else mean
    var_of_backward = var.detach() if change in ("variance constant", "both constant") else var

    def normalised(mean: Tensor, var: Tensor) -> Tensor:
        deviation = DIVISOR.get(divisor, lambda var, n, eps: (var + eps).sqrt())(var, count, eps)
        y = (input if change == "not centred" else input - mean.view(along)) / deviation.view(along)
        y = y if weight is None else y * weight.view(along)
        return y if bias is None else y + bias.view(along)

    return graft(normalised(mean, var), normalised(mean_of_backward, var_of_backward))


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "batch_norm": [
        (
            "normalises with the unbiased variance, / (n - 1); torch normalises with the biased one, / n",
            partial(batch_norm, divisor="unbiased"),
        ),
        ("adds eps to the standard deviation; it belongs under the root", partial(batch_norm, divisor="eps outside")),
        ("leaves eps out", partial(batch_norm, divisor="no eps")),
        ("adds eps² under the root, not eps", partial(batch_norm, divisor="eps squared")),
        ("divides by the variance rather than its root", partial(batch_norm, divisor="no root")),
        ("only centres: does not divide by the deviation", partial(batch_norm, divisor="no variance")),
        ("does not subtract the mean", partial(batch_norm, change="not centred")),
        ("takes the mean of x² for the variance", partial(batch_norm, change="variance about 0")),
        (
            "running_var holds the biased variance; torch stores the unbiased one, x n / (n - 1)",
            partial(batch_norm, stored="biased"),
        ),
        ("running_var is corrected by n / (n - 1) twice", partial(batch_norm, stored="corrected twice")),
        ("running_var is corrected by (n - 1) / n, which is upside down", partial(batch_norm, stored="corrected upside down")),
        ("running_var holds the standard deviation", partial(batch_norm, stored="deviation")),
        ("running_var holds the variance plus eps", partial(batch_norm, stored="with eps")),
        (
            "takes momentum for the share of the old statistics; torch's is the share of the new ones",
            partial(batch_norm, change="momentum"),
        ),
        ("adds to the running statistics without decaying them by 1 - momentum", partial(batch_norm, change="no decay")),
        ("does not update the running statistics", partial(batch_norm, change="statistics kept")),
        ("updates the running statistics in eval mode too", partial(batch_norm, change="statistics moved")),
        (
            "normalises with the running statistics in training or with the batch's in eval mode",
            partial(batch_norm, change="other statistics"),
        ),
        ("takes the batch's mean for a constant in the backward", partial(batch_norm, change="mean constant")),
        ("takes the batch's variance for a constant in the backward", partial(batch_norm, change="variance constant")),
        ("takes the batch's mean and variance for constants in the backward", partial(batch_norm, change="both constant")),
    ],
}
