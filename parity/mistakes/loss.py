"""Mistakes in losses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    change: str,
) -> Tensor:
    """Cross-entropy with one change."""
    options: dict[str, Any] = dict(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
    axis, labels = 0 if input.dim() == 1 else 1, not target.is_floating_point()
    C = input.shape[axis]
    if change == "smoothing to others":
        return F.cross_entropy(input, target, **options | {"label_smoothing": label_smoothing * C / (C - 1)})
    if change == "smoothing unweighted" and labels:
        options |= {"reduction": "none"}
        on_label = F.cross_entropy(input, target, **options | {"label_smoothing": 0.0})
        elsewhere = -F.log_softmax(input, axis).mean(axis) * (target != ignore_index)
        return _reduced((1 - label_smoothing) * on_label + label_smoothing * elsewhere, target, weight, ignore_index, reduction)
    if change == "smoothing added":
        plain = F.cross_entropy(input, target, **options | {"label_smoothing": 0.0})
        return F.cross_entropy(input, target, **options) + label_smoothing * plain
    if change == "smoothing of ignored" and labels:
        counted = F.cross_entropy(input, target, **options | {"reduction": "none"})
        elsewhere = -F.log_softmax(input, axis) * (1 if weight is None else weight.view(-1, *[1] * (input.dim() - axis - 1)))
        loss = counted + label_smoothing * elsewhere.mean(axis) * (target == ignore_index)
        return _reduced(loss, target, weight, ignore_index, reduction)
    if change == "softmax first":
        return F.cross_entropy(F.softmax(input, axis), target, **options)
    if change == "last axis":
        return F.cross_entropy(input.movedim(-1, 1), target, **options)
    y = F.cross_entropy(input, target, **options)
    if change == "softmax in the backward":  # the gradient lacks the labels' own term
        on_label = -F.nll_loss(input, target, weight, ignore_index=ignore_index, reduction="none")
        return graft(y, y + (1 - label_smoothing) * _reduced(on_label, target, weight, ignore_index, reduction))
    if reduction != "mean":
        return y
    total = F.cross_entropy(input, target, **options | {"reduction": "sum"})
    return _divided(total, y, input, target, ignore_index, change)


def _reduced(loss: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    counted = target != ignore_index
    weights = counted if weight is None else weight[torch.where(counted, target, 0)] * counted
    return loss.sum() / weights.sum() if reduction == "mean" else loss.sum()


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    *,
    change: str,
) -> Tensor:
    """Negative log-likelihood with one change."""
    options: dict[str, Any] = dict(weight=weight, ignore_index=ignore_index)
    y = F.nll_loss(input, target, **options, reduction=reduction)
    if reduction != "mean":
        return y
    return _divided(F.nll_loss(input, target, **options, reduction="sum"), y, input, target, ignore_index, change)


def _divided(total: Tensor, y: Tensor, input: Tensor, target: Tensor, ignore_index: int, change: str) -> Tensor:
    """A summed loss divided by this or that, in both passes or the backward alone."""
    samples = target.numel() if target.dtype == torch.int64 else target.numel() // input.shape[0 if input.dim() == 1 else 1]
    divisors: dict[str, Any] = {
        "all": samples,
        "batch": input.shape[0],
        "counted": samples if target.is_floating_point() else (target != ignore_index).sum(),
        "elements": input.numel(),
        "one": 1,
    }
    divisor = change.split()[0]
    if divisor not in divisors:
        return y
    wrong = total / divisors[divisor]
    return graft(y, wrong) if change.endswith("backward") else wrong


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    change: str,
) -> Tensor:
    """Binary cross-entropy with one change."""
    options: dict[str, Any] = dict(weight=weight, reduction=reduction, pos_weight=pos_weight)
    y = F.binary_cross_entropy_with_logits(input, target, **options)
    if change == "pos_weight on both" and pos_weight is not None:
        weight = pos_weight if weight is None else weight * pos_weight
        return F.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction)
    if change == "pos_weight on the negatives" and pos_weight is not None:
        return F.binary_cross_entropy_with_logits(-input, 1 - target, **options)
    if change == "divided by weight" and weight is not None and reduction == "mean":
        total = F.binary_cross_entropy_with_logits(input, target, **options | {"reduction": "sum"})
        return total / weight.expand(input.shape).sum()
    if change == "swapped":
        return F.binary_cross_entropy_with_logits(input, target, pos_weight, reduction=reduction, pos_weight=weight)
    if change in ("weight", "pos_weight"):  # in the forward alone
        return graft(y, F.binary_cross_entropy_with_logits(input, target, **options | {change: None}))
    return y


def pairwise(function: Callable[..., Tensor], input: Tensor, target: Tensor, *options: Any, change: str, **rest: Any) -> Tensor:
    """A loss between arrays of one shape, with one change."""
    y = function(input, target, *options, **rest)
    if change == "target constant":
        return graft(y, function(input, target.detach(), *options, **rest))
    if change == "target's sign":
        negated = function(input.detach(), 2 * target.detach() - target, *options, **rest)
        return graft(y, function(input, target.detach(), *options, **rest) + negated)
    if rest.get("reduction", "mean") != "mean":
        return y
    wrong = function(input, target, *options, **rest | {"reduction": "sum"}) / (1 if change.startswith("sum") else input.shape[0])
    return graft(y, wrong) if change.endswith("backward") else wrong


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
    *,
    change: str,
) -> Tensor:
    """Smooth L1 with one change."""
    if change == "huber":
        return F.huber_loss(input, target, reduction=reduction, delta=beta)
    difference = input - target
    distance = difference.abs()
    parabola, line = 0.5 * difference**2 / beta, distance - 0.5 * beta
    if change == "whole parabola":
        parabola = 2 * parabola
    elif change == "line through 0":
        line = distance
    elif change == "halved":
        line = distance - 0.5
    loss = torch.where(distance < beta, parabola, line)
    if change == "unclipped":
        loss = graft(loss, parabola)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def sum_of_each(input: Tensor, axes: Any) -> Tensor:
    """A sum over the batch and more that leaves out the batch."""
    if not isinstance(axes, tuple) or axes[0] != 0:
        raise ValueError("no sum over the batch")
    return input.sum(axes[1:])


def _sign_at_zero(input: Tensor, target: Tensor, *options: Any, **rest: Any) -> Tensor:
    shifted = torch.where(input == target, (input - target) - (input - target).detach() + 1, input - target)
    y = F.l1_loss(input, target, *options, **rest)
    return graft(y, F.l1_loss(shifted, torch.zeros_like(shifted), *options, **rest))


_pairwise_changes = [
    ("takes the sum where the mean was asked for", "sum"),
    ("divides by the batch size only; torch's mean is over all elements", "batch"),
    ("does not divide the gradient by the number of elements", "sum in the backward"),
    ("divides the gradient by the batch size only; torch's mean is over all elements", "batch in the backward"),
    ("the gradient of target has the wrong sign", "target's sign"),
]


def _pairwise(name: str) -> list[tuple[str, Callable[..., Tensor]]]:
    return [(text, partial(pairwise, getattr(F, name), change=change)) for text, change in _pairwise_changes]


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "cross_entropy": [
        (
            "divides by the number of all labels; torch divides by the weight of those that count",
            partial(cross_entropy, change="all"),
        ),
        ("divides by the batch size; torch divides by the weight of the labels that count", partial(cross_entropy, change="batch")),
        ("divides by the number of labels that count; torch divides by their weight", partial(cross_entropy, change="counted")),
        ("divides by the number of elements, classes included", partial(cross_entropy, change="elements")),
        ("takes the sum where the mean was asked for", partial(cross_entropy, change="one")),
        (
            "divides the gradient by the number of all labels; torch divides by the weight of those that count",
            partial(cross_entropy, change="all in the backward"),
        ),
        ("divides the gradient by the batch size", partial(cross_entropy, change="batch in the backward")),
        (
            "divides the gradient by the number of labels that count; torch divides by their weight",
            partial(cross_entropy, change="counted in the backward"),
        ),
        ("does not divide the gradient: that is the sum's", partial(cross_entropy, change="one in the backward")),
        (
            "shares label_smoothing among the other classes only, / (C - 1); torch shares it among all, / C",
            partial(cross_entropy, change="smoothing to others"),
        ),
        (
            "applies class weights to the label's part alone, not to the smoothed part",
            partial(cross_entropy, change="smoothing unweighted"),
        ),
        (
            "adds the smoothed part to the whole loss; the label's own weight is to be 1 - label_smoothing",
            partial(cross_entropy, change="smoothing added"),
        ),
        ("smooths ignored labels too", partial(cross_entropy, change="smoothing of ignored")),
        (
            "applies softmax before: it expects logits and has a log-softmax of its own",
            partial(cross_entropy, change="softmax first"),
        ),
        ("takes the classes from the last axis; they lie along the second", partial(cross_entropy, change="last axis")),
        (
            "lacks the label's own term in the gradient: softmax is there, the one-hot label is not subtracted",
            partial(cross_entropy, change="softmax in the backward"),
        ),
    ],
    "nll_loss": [
        ("divides by the number of all labels; torch divides by the weight of those that count", partial(nll_loss, change="all")),
        ("divides by the number of labels that count; torch divides by their weight", partial(nll_loss, change="counted")),
        ("takes the sum where the mean was asked for", partial(nll_loss, change="one")),
        ("does not divide the gradient: that is the sum's", partial(nll_loss, change="one in the backward")),
        (
            "divides the gradient by the number of labels that count; torch divides by their weight",
            partial(nll_loss, change="counted in the backward"),
        ),
    ],
    "mse_loss": _pairwise("mse_loss"),
    "l1_loss": [
        *_pairwise("l1_loss"),
        ("has slope 1 where input and target are equal; torch's is 0 there", _sign_at_zero),
    ],
    "smooth_l1_loss": [
        *_pairwise("smooth_l1_loss"),
        ("does not divide by beta: that is the Huber loss", partial(smooth_l1_loss, change="huber")),
        ("lacks the 1/2 of the parabola", partial(smooth_l1_loss, change="whole parabola")),
        ("lacks the - beta/2 of the line beyond beta", partial(smooth_l1_loss, change="line through 0")),
        ("subtracts 1/2 rather than beta/2 beyond beta", partial(smooth_l1_loss, change="halved")),
        ("does not clip the slope to -1 and 1 beyond beta", partial(smooth_l1_loss, change="unclipped")),
    ],
    "binary_cross_entropy_with_logits": [
        *_pairwise("binary_cross_entropy_with_logits"),
        ("applies pos_weight to the negative term too", partial(binary_cross_entropy_with_logits, change="pos_weight on both")),
        (
            "applies pos_weight to the negative term, not to the positive one",
            partial(binary_cross_entropy_with_logits, change="pos_weight on the negatives"),
        ),
        ("takes weight for pos_weight and pos_weight for weight", partial(binary_cross_entropy_with_logits, change="swapped")),
        ("leaves weight out of the gradient", partial(binary_cross_entropy_with_logits, change="weight")),
        ("leaves pos_weight out of the gradient", partial(binary_cross_entropy_with_logits, change="pos_weight")),
        (
            "divides by the sum of weight; torch divides by the number of elements",
            partial(binary_cross_entropy_with_logits, change="divided by weight"),
        ),
    ],
    "mean": [("takes the sum rather than the mean", lambda input: input.sum())],
    "__rsub__": [("lacks the 1 -", lambda input, other: input)],
    "square": [("does not square", lambda input: input)],
    "sum": [("sums over each sample rather than over the batch", sum_of_each)],
}
