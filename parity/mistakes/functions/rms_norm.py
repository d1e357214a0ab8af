"""Mistakes in normalisation by the root mean square."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from parity.mistakes.functions.layer_norm import (
    DIVISORS,
    gradient_undivided,
    gradient_without_weight,
    last_axes,
    last_axis,
    leading_axes,
    one_plus_weight,
    scale,
)
from parity.mistakes.functions.norm import root, root_of_unbiased
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

Normalised = Callable[[Tensor], Tensor]  # y of a mean square


def mean_square(x: Tensor, axes: tuple[int, ...], n: int) -> Tensor:
    """Compute the mean of x²; a row has n numbers."""
    return (x * x).mean(axes, keepdim=True)


@definition("rms_norm")
def rms_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    eps: float | None = None,
    *,
    axes: Callable[[int, int], tuple[int, ...]] = last_axes,
    centred: Callable[[Tensor, tuple[int, ...]], Tensor] = lambda x, axes: x,
    square: Callable[[Tensor, tuple[int, ...], int], Tensor] = mean_square,
    divisor: Callable[[Tensor, int, float], Tensor] = root,
    scaled: Callable[[Tensor, Tensor], Tensor] = scale,
    gradient: Callable[[Normalised, Tensor], Tensor] = lambda normalised, square: normalised(square),
    prepared: Callable[[Tensor, Tensor], Tensor] = lambda x, root: x,
) -> Tensor:
    """Compute the normalisation in stages."""
    over, n = axes(input.dim(), len(normalized_shape)), math.prod(normalized_shape)
    epsilon = torch.finfo(input.dtype).eps if eps is None else eps
    x = centred(input, over)
    x = prepared(x, ((x * x).mean(over, keepdim=True) + epsilon).sqrt())

    def normalised(square: Tensor) -> Tensor:
        y = x / divisor(square, n, epsilon)
        return y if weight is None else scaled(y, weight)

    found = square(x, over, n)
    return with_gradient_of(normalised(found), gradient(normalised, found))


for message, divisor in DIVISORS.items():
    mistake("rms_norm", message, "divisor")(divisor)
mistake("rms_norm", "divides by n - 1, as in an unbiased variance; the mean of x² divides by n", "divisor")(root_of_unbiased)


@mistake("rms_norm", "subtracts the mean: this is LayerNorm", "centred")
def centred(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x - x.mean(axes, keepdim=True)


@mistake("rms_norm", "uses the variance instead of the mean of x²", "square")
def variance(x: Tensor, axes: tuple[int, ...], n: int) -> Tensor:
    return x.var(axes, correction=0, keepdim=True)


@mistake("rms_norm", "uses the sum of x² instead of its mean", "square")
def sum_of_squares(x: Tensor, axes: tuple[int, ...], n: int) -> Tensor:
    return mean_square(x, axes, n) * n


@mistake("rms_norm", "treats the root mean square of a row as a constant in the backward pass", "gradient")
def root_constant(normalised: Normalised, square: Tensor) -> Tensor:
    return normalised(square.detach())


mistake("rms_norm", "normalises over all axes but the last, as batch normalisation does", "axes")(leading_axes)
mistake("rms_norm", "normalises over the last axis only; the axes of normalized_shape are normalised together", "axes")(last_axis)
mistake("rms_norm", "multiplies by 1 + weight; torch multiplies by weight", "scaled")(one_plus_weight)
mistake("rms_norm", "leaves weight out of the gradient of x", "scaled")(gradient_without_weight)
mistake("rms_norm", "does not divide by the root in the backward pass", "prepared")(gradient_undivided)


@mistake("rms_norm", "adds the term of the gradient that goes through the root; it is subtracted", "gradient")
def term_added(normalised: Normalised, square: Tensor) -> Tensor:
    return 2 * normalised(square.detach()) - normalised(square)
