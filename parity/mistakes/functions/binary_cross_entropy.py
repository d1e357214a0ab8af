"""Mistakes in binary cross-entropy with logits; those of every loss come first."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.loss import total
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

wrong_bce = partial(mistake, "binary_cross_entropy_with_logits")


def bce(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Compute F.binary_cross_entropy_with_logits with the options that are in use."""
    return F.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction, pos_weight=pos_weight)


def _weights(weight: Tensor | None = None, pos_weight: Tensor | None = None, **rest: Any) -> tuple[Tensor | None, Tensor | None]:
    return weight, pos_weight


@wrong_bce("applies pos_weight to the negative term too")
def pos_weight_on_both(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    weight, pos_weight = _weights(**options)
    if pos_weight is not None:
        options |= {"weight": pos_weight if weight is None else weight * pos_weight, "pos_weight": None}
    return bce(input, target, **options)


@wrong_bce("applies pos_weight to the negative term instead of the positive one")
def pos_weight_on_negatives(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    if _weights(**options)[1] is None:
        return bce(input, target, **options)
    return bce(-input, 1 - target, **options)


@wrong_bce("swaps weight and pos_weight")
def weights_swapped(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    weight, pos_weight = _weights(**options)
    return bce(input, target, **options | {"weight": pos_weight, "pos_weight": weight})


@wrong_bce("leaves weight out of the gradient")
def gradient_without_weight(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    return with_gradient_of(bce(input, target, **options), bce(input, target, **options | {"weight": None}))


@wrong_bce("leaves pos_weight out of the gradient")
def gradient_without_pos_weight(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    return with_gradient_of(bce(input, target, **options), bce(input, target, **options | {"pos_weight": None}))


@wrong_bce("divides by the sum of weight; torch divides by the number of elements")
def divided_by_weight(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    weight, _ = _weights(**options)
    if weight is None:
        raise ValueError("there is no weight to divide by")
    return total(bce, input, target, **options) / weight.expand(input.shape).sum()
