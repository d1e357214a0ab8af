"""The overlaps of boxes and the loss that is made of them, in stages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.functions.reduction import mean, reduced
from parity.mistakes.register import definition

Pick = Callable[[Tensor, Tensor], Tensor]


def overlap(
    boxes1: Tensor,
    boxes2: Tensor,
    *,
    corners: Callable[[Tensor], Tensor] = lambda boxes: boxes,
    larger: Pick = torch.maximum,
    smaller: Pick = torch.minimum,
    side: Callable[[Tensor], Tensor] = lambda side: side,
    clamped: Callable[[Tensor], Tensor] = lambda sides: sides.masked_fill(sides < 0, 0),
    union: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda area1, area2, shared: area1 + area2 - shared,
    divisor: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda area1, area2, union: union,
    divided: Callable[[Tensor, Tensor], Tensor] = lambda shared, divisor: shared / divisor,
    empty: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Compute the intersection over union of boxes that broadcast, in stages; `empty` makes it the generalised one."""
    boxes1, boxes2 = corners(boxes1), corners(boxes2)
    shared = clamped(side(_sides(boxes1, boxes2, larger, smaller))).prod(-1)
    area1, area2 = (side(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (boxes1, boxes2))
    covered = union(area1, area2, shared)
    y = divided(shared, divisor(area1, area2, _not_zero(covered)))
    if empty is None:
        return y
    around = side(_sides(boxes1, boxes2, torch.minimum, torch.maximum)).prod(-1)
    return y - empty(_not_zero(around), covered, _not_zero(covered))


def _sides(boxes1: Tensor, boxes2: Tensor, low: Pick, high: Pick) -> Tensor:
    return high(boxes1[..., 2:], boxes2[..., 2:]) - low(boxes1[..., :2], boxes2[..., :2])


def _not_zero(area: Tensor) -> Tensor:
    return area.masked_fill(area == 0, 1)


def empty_share(around: Tensor, union: Tensor, covered: Tensor) -> Tensor:
    """Compute the share of the enclosing box that neither box covers."""
    return (around - union) / around


generalized_overlap = partial(overlap, empty=empty_share)
MEASURES: dict[str, Callable[..., Tensor]] = {
    "box_iou": overlap,
    "generalized_box_iou": generalized_overlap,
    "generalized_box_iou_loss": generalized_overlap,
}


@definition("box_iou")
def box_iou(boxes1: Tensor, boxes2: Tensor, *, measure: Callable[[Tensor, Tensor], Tensor] = overlap) -> Tensor:
    """Compute the intersection over union of all pairs."""
    return measure(boxes1[:, None], boxes2)


@definition("generalized_box_iou")
def generalized_box_iou(
    boxes1: Tensor, boxes2: Tensor, *, measure: Callable[[Tensor, Tensor], Tensor] = generalized_overlap
) -> Tensor:
    """Compute the generalised intersection over union of all pairs."""
    return measure(boxes1[:, None], boxes2)


@definition("generalized_box_iou_loss")
def generalized_box_iou_loss(
    boxes1: Tensor,
    boxes2: Tensor,
    reduction: str = "mean",
    *,
    measure: Callable[[Tensor, Tensor], Tensor] = generalized_overlap,
    averaged: Callable[[Tensor], Tensor] = mean,
) -> Tensor:
    """Compute the loss of pairs of boxes: 1 - their generalised intersection over union."""
    return reduced(1 - measure(boxes1, boxes2), reduction, averaged)
