"""Mistakes in layer normalisation; the other norms of rows share some of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from parity.mistakes.functions.norm import eps_outside, eps_squared, no_eps, no_root, not_divided, root, root_of_unbiased
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

Statistics = tuple[Tensor, Tensor]  # mean and variance of the rows
Normalised = Callable[[Tensor, Tensor], Tensor]  # y of a mean and a variance


def last_axes(dims: int, normalized: int) -> tuple[int, ...]:
    """Return the axes that are normalised together."""
    return tuple(range(dims - normalized, dims))


def statistics(x: Tensor, axes: tuple[int, ...]) -> Statistics:
    """Compute the mean and the biased variance."""
    return x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)


def scale(y: Tensor, weight: Tensor) -> Tensor:
    """Multiply by weight."""
    return y * weight


def scale_and_shift(y: Tensor, weight: Tensor | None, bias: Tensor | None, scaled: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Multiply by weight and add bias."""
    y = y if weight is None else scaled(y, weight)
    return y if bias is None else y + bias


def right_gradient(normalised: Normalised, mean: Tensor, var: Tensor) -> Tensor:
    """Return the tensor through which the gradient flows."""
    return normalised(mean, var)


@definition("layer_norm")
def layer_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    axes: Callable[[int, int], tuple[int, ...]] = last_axes,
    statistics: Callable[[Tensor, tuple[int, ...]], Statistics] = statistics,
    centred: Callable[[Tensor, Tensor], Tensor] = torch.sub,
    divisor: Callable[[Tensor, int, float], Tensor] = root,
    scaled: Callable[[Tensor, Tensor], Tensor] = scale,
    affine: Callable[..., Tensor] = scale_and_shift,
    gradient: Callable[[Normalised, Tensor, Tensor], Tensor] = right_gradient,
    prepared: Callable[[Tensor, Tensor], Tensor] = lambda x, root: x,
) -> Tensor:
    """Compute layer normalisation in stages."""
    over = axes(input.dim(), len(normalized_shape))
    x = prepared(input, (input.var(over, correction=0, keepdim=True) + eps).sqrt())
    mean, var = statistics(x, over)

    def normalised(mean: Tensor, var: Tensor) -> Tensor:
        return affine(centred(x, mean) / divisor(var, math.prod(normalized_shape), eps), weight, bias, scaled)

    return with_gradient_of(normalised(mean, var), gradient(normalised, mean, var))


DIVISORS = {
    "adds eps to the root; it belongs under the root": eps_outside,
    "leaves eps out": no_eps,
    "adds eps² under the root instead of eps": eps_squared,
    "does not take the root of the divisor": no_root,
    "does not divide by the root": not_divided,
}
for message, divisor in DIVISORS.items():
    mistake("layer_norm", message, "divisor")(divisor)
mistake("layer_norm", "uses the unbiased variance, / (n - 1); torch uses the biased one, / n", "divisor")(root_of_unbiased)


def mean_square(x: Tensor, axes: tuple[int, ...]) -> Statistics:
    """Compute the mean, and the mean of x² as the variance."""
    return x.mean(axes, keepdim=True), (x * x).mean(axes, keepdim=True)


@mistake("layer_norm", "does not subtract the mean: this is RMSNorm", "statistics")
def rms(x: Tensor, axes: tuple[int, ...]) -> Statistics:
    mean, square = mean_square(x, axes)
    return 0 * mean, square


@mistake("layer_norm", "subtracts the mean in the variance but not from x", "centred")
def not_centred(x: Tensor, mean: Tensor) -> Tensor:
    return x


mistake("layer_norm", "uses the mean of x² instead of the variance", "statistics")(mean_square)


@mistake("layer_norm", "adds bias before it multiplies by weight", "affine")
def bias_first(y: Tensor, weight: Tensor | None, bias: Tensor | None, scaled: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    if weight is None or bias is None:
        return scale_and_shift(y, weight, bias, scaled)
    return (y + bias) * weight


@mistake("layer_norm", "treats the mean of a row as a constant in the backward pass", "gradient")
def mean_constant(normalised: Normalised, mean: Tensor, var: Tensor) -> Tensor:
    return normalised(mean.detach(), var)


@mistake("layer_norm", "treats the variance of a row as a constant in the backward pass", "gradient")
def variance_constant(normalised: Normalised, mean: Tensor, var: Tensor) -> Tensor:
    return normalised(mean, var.detach())


@mistake("layer_norm", "treats the mean and the variance of a row as constants in the backward pass", "gradient")
def both_constant(normalised: Normalised, mean: Tensor, var: Tensor) -> Tensor:
    return normalised(mean.detach(), var.detach())


@mistake("layer_norm", "normalises over all axes but the last, as batch normalisation does", "axes")
def leading_axes(dims: int, normalized: int) -> tuple[int, ...]:
    return tuple(range(dims - normalized))


@mistake("layer_norm", "normalises over the last axis only; the axes of normalized_shape are normalised together", "axes")
def last_axis(dims: int, normalized: int) -> tuple[int, ...]:
    return (-1,)


@mistake("layer_norm", "multiplies by 1 + weight; torch multiplies by weight", "scaled")
def one_plus_weight(y: Tensor, weight: Tensor) -> Tensor:
    return y * (1 + weight)


@mistake("layer_norm", "leaves weight out of the gradient of x", "scaled")
def gradient_without_weight(y: Tensor, weight: Tensor) -> Tensor:
    return with_gradient_of(y * weight, y + y.detach() * weight)


@mistake("layer_norm", "does not divide by the root in the backward pass", "prepared")
def gradient_undivided(x: Tensor, root: Tensor) -> Tensor:
    return with_gradient_of(x, x * root.detach())


@mistake("layer_norm", "adds the term of the gradient that goes through the root; it is subtracted", "gradient")
def term_added(normalised: Normalised, mean: Tensor, var: Tensor) -> Tensor:
    return 2 * normalised(mean, var.detach()) - normalised(mean, var)
