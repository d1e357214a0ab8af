"""Mistakes in cross-entropy and negative log-likelihood."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

Loss = Callable[..., Tensor]
Divisor = Callable[[Tensor, Tensor, int], Any]  # of input, target and ignore_index
wrong_cross_entropy = partial(mistake, "cross_entropy")


def with_divisor(loss: Loss, divisor: Divisor, in_the_backward: bool, input: Tensor, target: Tensor, **options: Any) -> Tensor:
    """Divide the sum of a loss by another number, in both passes or only in the backward pass."""
    if options.get("reduction", "mean") != "mean":
        raise ValueError("the loss takes no mean")
    y, total = loss(input, target, **options), loss(input, target, **options | {"reduction": "sum"})
    wrong = total / divisor(input, target, options.get("ignore_index", -100))
    return with_gradient_of(y, wrong) if in_the_backward else wrong


def of_labels(input: Tensor, target: Tensor, ignore_index: int) -> int:
    """Return the number of all labels, ignored or not."""
    return target.numel() // (input.shape[_class_axis(input)] if target.is_floating_point() else 1)


def of_batch(input: Tensor, target: Tensor, ignore_index: int) -> int:
    """Return the batch size."""
    return input.shape[0]


def of_counted_labels(input: Tensor, target: Tensor, ignore_index: int) -> Any:
    """Return the number of labels that are not ignored."""
    return of_labels(input, target, ignore_index) if target.is_floating_point() else (target != ignore_index).sum()


def of_elements(input: Tensor, target: Tensor, ignore_index: int) -> int:
    """Return the number of all elements."""
    return input.numel()


def no_divisor(input: Tensor, target: Tensor, ignore_index: int) -> int:
    """Return 1."""
    return 1


def _class_axis(input: Tensor) -> int:
    return 0 if input.dim() == 1 else 1


DIVISORS: list[tuple[str, str, Divisor, bool]] = [
    ("both", "divides by the number of all labels; torch divides by the weight of the labels that count", of_labels, False),
    ("", "divides by the batch size; torch divides by the weight of the labels that count", of_batch, False),
    ("both", "divides by the number of labels that count; torch divides by their weight", of_counted_labels, False),
    ("", "divides by the number of elements, classes included", of_elements, False),
    ("both", "takes the sum; the reduction is the mean", no_divisor, False),
    ("", "divides the gradient by the number of all labels; torch divides by the weight of the labels that count", of_labels, True),
    ("", "divides the gradient by the batch size", of_batch, True),
    ("both", "divides the gradient by the number of labels that count; torch divides by their weight", of_counted_labels, True),
    ("both", "does not divide the gradient: this is the gradient of the sum", no_divisor, True),
]
for where, message, divisor, in_the_backward in DIVISORS:
    mistake("cross_entropy", message)(partial(with_divisor, F.cross_entropy, divisor, in_the_backward))
    if where == "both":
        mistake("nll_loss", message)(partial(with_divisor, F.nll_loss, divisor, in_the_backward))


def reduced(
    loss: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Reduce the losses of labels as torch does."""
    if reduction != "mean":
        return loss if reduction == "none" else loss.sum()
    counted = target != ignore_index
    weights = counted if weight is None else weight[torch.where(counted, target, 0)] * counted
    return loss.sum() / weights.sum()


def _split(
    label_smoothing: float = 0.0, size_average: Any = None, reduce: Any = None, **options: Any
) -> tuple[float, dict[str, Any]]:
    """Split the options into label_smoothing and those that `reduced` takes; torch passes two more that are deprecated."""
    return label_smoothing, options


@wrong_cross_entropy("shares label_smoothing among the other classes only, / (C - 1); torch shares it among all classes, / C")
def smoothing_to_other_classes(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    C, (label_smoothing, others) = input.shape[_class_axis(input)], _split(**options)
    return F.cross_entropy(input, target, **others, label_smoothing=label_smoothing * C / (C - 1))


def _needs_labels(target: Tensor) -> None:
    if target.is_floating_point():
        raise ValueError("targets are probabilities")


@wrong_cross_entropy("applies class weights only to the term of the label, not to the smoothed term")
def smoothing_unweighted(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    _needs_labels(target)
    label_smoothing, others = _split(**options)
    on_label = F.cross_entropy(input, target, **others | {"reduction": "none"})
    counted = target != others.get("ignore_index", -100)
    elsewhere = -F.log_softmax(input, _class_axis(input)).mean(_class_axis(input)) * counted
    return reduced((1 - label_smoothing) * on_label + label_smoothing * elsewhere, target, **others)


@wrong_cross_entropy("adds the smoothed term to the whole loss; the label's own weight is 1 - label_smoothing")
def smoothing_added(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    label_smoothing, others = _split(**options)
    return F.cross_entropy(input, target, **options) + label_smoothing * F.cross_entropy(input, target, **others)


@wrong_cross_entropy("smooths ignored labels too")
def smoothing_of_ignored(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    _needs_labels(target)
    (label_smoothing, others), axis = _split(**options), _class_axis(input)
    losses = F.cross_entropy(input, target, **options | {"reduction": "none"})
    weight = others.get("weight")
    elsewhere = -F.log_softmax(input, axis) * (1 if weight is None else weight.view(-1, *[1] * (input.dim() - axis - 1)))
    ignored = target == others.get("ignore_index", -100)
    return reduced(losses + label_smoothing * elsewhere.mean(axis) * ignored, target, **others)


@wrong_cross_entropy("applies softmax first; the loss expects logits and contains a log-softmax")
def softmax_first(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    return F.cross_entropy(F.softmax(input, _class_axis(input)), target, **options)


@wrong_cross_entropy("takes the last axis for the classes; they are on the second axis")
def classes_last(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    return F.cross_entropy(input.movedim(-1, 1), target, **options)


@wrong_cross_entropy("does not subtract the one-hot label in the gradient, softmax - one-hot")
def gradient_without_label(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    label_smoothing, others = _split(**options)
    on_label = -F.nll_loss(input, target, **others | {"reduction": "none"})
    y = F.cross_entropy(input, target, **options)
    return with_gradient_of(y, y + (1 - label_smoothing) * reduced(on_label, target, **others))
