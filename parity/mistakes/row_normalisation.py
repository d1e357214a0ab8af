"""Mistakes in layer normalisation and in normalisation by the root mean square."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.graft import graft
from parity.mistakes.normalisation import DIVISOR

DIVISORS = {
    "eps outside": "adds eps to the root; it belongs under it",
    "no eps": "leaves eps out",
    "eps squared": "adds eps² under the root, not eps",
    "no root": "does not take the root of what it divides by",
    "no variance": "does not divide by the root at all",
}


def layer_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    change: str = "",
    divisor: str = "",
) -> Tensor:
    """Layer normalisation spelt out, with one change."""
    axes = _axes(input, normalized_shape, change)
    if change == "undivided":
        input = _undivided(input, input.var(axes, correction=0, keepdim=True) + eps)
    mean, var = input.mean(axes, keepdim=True), input.var(axes, correction=0, keepdim=True)
    var = (input * input).mean(axes, keepdim=True) if change in ("RMS", "variance about 0") else var

    def normalised(mean: Tensor, var: Tensor) -> Tensor:
        centred = input if change in ("RMS", "not centred") else input - mean
        y = centred / DIVISOR.get(divisor, lambda var, n, eps: (var + eps).sqrt())(var, math.prod(normalized_shape), eps)
        if change == "bias first" and weight is not None and bias is not None:
            return (y + bias) * weight
        return _scaled(y, weight, change) + (0 if bias is None else bias)

    y, without_var = normalised(mean, var), normalised(mean, var.detach())
    gradient = {
        "mean constant": normalised(mean.detach(), var),
        "variance constant": without_var,
        "both constant": normalised(mean.detach(), var.detach()),
        "term added": 2 * without_var - y,
    }.get(change, y)
    return graft(y, gradient)


def rms_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    eps: float | None = None,
    *,
    change: str = "",
    divisor: str = "",
) -> Tensor:
    """Normalisation by the root mean square spelt out, with one change."""
    axes, count = _axes(input, normalized_shape, change), math.prod(normalized_shape)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    x = input - input.mean(axes, keepdim=True) if change == "centred" else input
    x = _undivided(x, (x * x).mean(axes, keepdim=True) + eps) if change == "undivided" else x
    square = (x * x).mean(axes, keepdim=True) * (count if change == "sum" else 1)
    square = input.var(axes, correction=0, keepdim=True) if change == "variance" else square

    def normalised(square: Tensor) -> Tensor:
        y = x / DIVISOR.get(divisor, lambda var, n, eps: (var + eps).sqrt())(square, count, eps)
        return _scaled(y, weight, change)

    y, without_root = normalised(square), normalised(square.detach())
    return graft(y, {"root constant": without_root, "term added": 2 * without_root - y}.get(change, y))


def _axes(input: Tensor, normalized_shape: tuple[int, ...], change: str) -> tuple[int, ...]:
    """What is averaged over: the last axes, or with a change the last alone, or all others, as in batch normalisation."""
    leading = input.dim() - len(normalized_shape)
    if change == "other axes":
        return tuple(range(leading))
    return (-1,) if change == "last axis" else tuple(range(leading, input.dim()))


def _undivided(x: Tensor, square: Tensor) -> Tensor:
    """x with a gradient that is not divided by the root."""
    return graft(x, x * square.sqrt().detach())


def _scaled(y: Tensor, weight: Tensor | None, change: str) -> Tensor:
    if weight is None:
        return y
    if change == "weight lost in the backward":
        return graft(y * weight, y + y.detach() * weight)
    return y * (1 + weight if change == "1 added to weight" else weight)


_of_both = {
    "other axes": "normalises over all axes but the last, as batch normalisation does",
    "last axis": "normalises over the last axis alone; all of normalized_shape belong together",
    "1 added to weight": "scales by 1 + weight; torch's weight begins at 1",
    "weight lost in the backward": "leaves weight out of the gradient of x",
    "undivided": "does not divide by the root in the backward",
    "term added": "adds the term that goes through the root in the backward, which is to be subtracted",
}

TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "layer_norm": [
        *((text, partial(layer_norm, divisor=divisor)) for divisor, text in DIVISORS.items()),
        ("takes the unbiased variance, / (n - 1); torch takes the biased one, / n", partial(layer_norm, divisor="unbiased")),
        *(
            (text, partial(layer_norm, change=change))
            for change, text in {
                "RMS": "does not subtract the mean: that is RMSNorm",
                "not centred": "subtracts the mean for the variance only",
                "variance about 0": "takes the mean of x² for the variance",
                "bias first": "adds bias before it multiplies by weight",
                "mean constant": "takes the mean of a row for a constant in the backward",
                "variance constant": "takes the variance of a row for a constant in the backward",
                "both constant": "takes the mean and the variance of a row for constants in the backward",
                **_of_both,
            }.items()
        ),
    ],
    "rms_norm": [
        *((text, partial(rms_norm, divisor=divisor)) for divisor, text in DIVISORS.items()),
        ("divides by n - 1, as for an unbiased variance; the mean of x² divides by n", partial(rms_norm, divisor="unbiased")),
        *(
            (text, partial(rms_norm, change=change))
            for change, text in {
                "centred": "subtracts the mean: that is LayerNorm",
                "variance": "takes the variance for the mean of x²",
                "sum": "takes the sum of x² rather than its mean",
                "root constant": "takes the root mean square of a row for a constant in the backward",
                **_of_both,
            }.items()
        ),
    ],
}
