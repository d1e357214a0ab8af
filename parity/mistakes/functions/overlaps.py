"""Mistakes in the overlaps of boxes, and in the loss that is made of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.functions.overlap_stages import MEASURES, generalized_overlap, overlap
from parity.mistakes.functions.reduction import sum_for_mean, sum_in_the_backward
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake
from reference import ops as right


def in_overlaps(
    message: str, stage: str, generalized_only: bool = False
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register a stage of an overlap, for all functions that compute overlaps or only for the generalised ones."""

    def register(wrong: Callable[..., Tensor]) -> Callable[..., Tensor]:
        for function, measure in MEASURES.items():
            if measure is generalized_overlap or not generalized_only:
                mistake(function, message, "measure")(partial(measure, **{stage: wrong}))
        return wrong

    return register


for name in ("generalized_box_iou", "generalized_box_iou_loss"):
    mistake(name, "leaves the enclosing box out: this is the plain intersection over union", "measure")(overlap)


@in_overlaps("divides the empty area by the union; it is divided by the area of the enclosing box", "empty", True)
def empty_by_union(around: Tensor, union: Tensor, covered: Tensor) -> Tensor:
    return (around - union) / covered


@in_overlaps("treats the area of the enclosing box as a constant in the backward pass", "empty", True)
def enclosing_constant(around: Tensor, union: Tensor, covered: Tensor) -> Tensor:
    return (around.detach() - union) / around.detach()


@in_overlaps(
    "does not clamp the sides of the intersection at 0: boxes that are apart in both directions seem to overlap", "clamped"
)
def unclamped(sides: Tensor) -> Tensor:
    return sides


@in_overlaps("does not subtract the intersection from the sum of the areas, which counts it twice", "union")
def sum_of_areas(area1: Tensor, area2: Tensor, shared: Tensor) -> Tensor:
    return area1 + area2


@in_overlaps("divides by the smaller area; the divisor is the union", "divisor")
def smaller_area(area1: Tensor, area2: Tensor, union: Tensor) -> Tensor:
    return torch.minimum(area1, area2)


@in_overlaps("divides by the area of the first box; the divisor is the union", "divisor")
def first_area(area1: Tensor, area2: Tensor, union: Tensor) -> Tensor:
    return area1


@in_overlaps("adds 1 to every side, as if corners were whole pixels", "side")
def one_more_pixel(side: Tensor) -> Tensor:
    return side + 1


for other in ("xywh", "cxcywh"):
    fields = {"xywh": "(x, y, width, height)", "cxcywh": "(x centre, y centre, width, height)"}[other]
    in_overlaps(f"reads boxes as {fields}; they are (x1, y1, x2, y2)", "corners")(
        lambda boxes, other=other: right.box_convert(boxes, other, "xyxy")
    )


def _first_of_equal(boxes1: Tensor, boxes2: Tensor, *, first: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return torch.where(first(boxes1, boxes2), boxes1, boxes2)


for name, measure in MEASURES.items():
    mistake(name, "gives the gradient of equal corners to the first box only; both boxes share it", "measure")(
        partial(measure, larger=partial(_first_of_equal, first=torch.ge), smaller=partial(_first_of_equal, first=torch.le))
    )


@in_overlaps("treats the union as a constant in the backward pass", "divided")
def union_constant(shared: Tensor, divisor: Tensor) -> Tensor:
    return with_gradient_of(shared / divisor, shared / divisor.detach())


mistake("generalized_box_iou_loss", "takes the sum; the reduction is the mean", "averaged")(sum_for_mean)
mistake("generalized_box_iou_loss", "does not divide the gradient by the number of elements", "averaged")(sum_in_the_backward)
