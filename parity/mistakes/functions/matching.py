"""Mistakes in matching predictions with objects: in the cost of a match, and in the assignment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import reference.ops as right
from parity.mistakes.functions.overlap_stages import box_iou, generalized_box_iou
from parity.mistakes.register import definition, mistake
from reference.ops import box_convert

Combined = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]
wrong_cost = partial(mistake, "matching_cost")
wrong_matching = partial(mistake, "bipartite_matching")


def corners(boxes: Tensor) -> Tensor:
    """Convert boxes to corners."""
    return box_convert(boxes, "cxcywh", "xyxy")


def distance(boxes: Tensor, target_boxes: Tensor, p: float = 1) -> Tensor:
    """Compute the distance of each pair of boxes: the sum of four distances."""
    return torch.cdist(boxes, target_boxes, p=p)


def combined(p: Tensor, distance: Tensor, overlap: Tensor, box_weight: float, giou_weight: float) -> Tensor:
    """Combine the probability of the label, the distance and the overlap."""
    return -p + box_weight * distance - giou_weight * overlap


@definition("matching_cost")
def matching_cost(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
    *,
    probability: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(2),
    distance: Callable[[Tensor, Tensor], Tensor] = distance,
    corners: Callable[[Tensor], Tensor] = corners,
    overlap: Callable[[Tensor, Tensor], Tensor] = generalized_box_iou,
    combined: Combined = combined,
) -> Tensor:
    """Compute the cost of each pair of a query and an object (B, Q, N), in stages."""
    p = probability(logits).gather(2, labels.clamp(min=0)[:, None].expand(-1, logits.shape[1], -1))
    overlaps = torch.stack([overlap(*pair) for pair in zip(corners(boxes), corners(target_boxes), strict=True)])
    cost = combined(p, distance(boxes, target_boxes), overlaps, box_weight, giou_weight)
    return cost.masked_fill(labels[:, None] < 0, 0)


@wrong_cost("uses the logarithm of the probability; it is the probability itself", "probability")
def log_probability(logits: Tensor) -> Tensor:
    return logits.log_softmax(2)


@wrong_cost("applies a sigmoid to each logit; the probabilities come from a softmax", "probability")
def sigmoid(logits: Tensor) -> Tensor:
    return logits.sigmoid()


@wrong_cost("leaves the class 'no object' out of the softmax", "probability")
def without_no_object(logits: Tensor) -> Tensor:
    return logits[:, :, :-1].softmax(2)


def _weighted(p_weight: float, distance_weight: float, overlap_weight: float) -> Combined:
    """Combine the three terms with other weights."""
    return lambda p, distance, overlap, box_weight, giou_weight: combined(
        p_weight * p, distance_weight * distance, overlap_weight * overlap, box_weight, giou_weight
    )


wrong_cost("adds the probability of the label; it is subtracted", "combined")(_weighted(-1, 1, 1))
wrong_cost("subtracts the distance; it is added", "combined")(_weighted(1, -1, 1))
wrong_cost("adds the overlap; it is subtracted", "combined")(_weighted(1, 1, -1))
wrong_cost("leaves the term of the class out", "combined")(_weighted(0, 1, 1))
wrong_cost("leaves the term of the distance out", "combined")(_weighted(1, 0, 1))
wrong_cost("leaves the term of the overlap out", "combined")(_weighted(1, 1, 0))
wrong_cost("uses the Euclidean distance; the distance is the sum of four distances", "distance")(partial(distance, p=2))


@wrong_cost("does not convert the boxes to corners before computing their overlap", "corners")
def unconverted(boxes: Tensor) -> Tensor:
    return boxes


wrong_cost("uses the plain intersection over union; the overlap is the generalised one", "overlap")(box_iou)


@wrong_cost("uses the default weights", "combined")
def default_weights(p: Tensor, distance: Tensor, overlap: Tensor, box_weight: float, giou_weight: float) -> Tensor:
    return combined(p, distance, overlap, 5.0, 2.0)


@wrong_cost("swaps box_weight and giou_weight", "combined")
def weights_swapped(p: Tensor, distance: Tensor, overlap: Tensor, box_weight: float, giou_weight: float) -> Tensor:
    return combined(p, distance, overlap, giou_weight, box_weight)


@wrong_matching("takes the assignment with the highest cost")
def highest_cost(cost: Tensor, present: Tensor) -> Tensor:
    return right.bipartite_matching(-cost, present)


@wrong_matching("assigns the queries in their order")
def in_order(cost: Tensor, present: Tensor) -> Tensor:
    return torch.arange(present.shape[1]).expand_as(present).masked_fill(~present, -1)


@wrong_matching("assigns queries to padding, so that real objects cannot get them")
def padding_matched(cost: Tensor, present: Tensor) -> Tensor:
    return right.bipartite_matching(cost, torch.ones_like(present)).masked_fill(~present, -1)


@wrong_matching("assigns to each object in turn the cheapest query that is left; the sum of all costs must be lowest")
def greedy(cost: Tensor, present: Tensor) -> Tensor:
    return _one_by_one(cost, present, taken=torch.inf)


@wrong_matching("assigns to each object its cheapest query, so that several objects can have the same one")
def cheapest_of_each(cost: Tensor, present: Tensor) -> Tensor:
    return _one_by_one(cost, present, taken=None)


def _one_by_one(cost: Tensor, present: Tensor, taken: float | None) -> Tensor:
    """Assign the cheapest query to one object after the other; one that is taken gets the cost `taken`."""
    matched = torch.full_like(present, -1, dtype=torch.int64)
    for image, there in enumerate(present):
        left = cost[image].detach().clone()
        for n in there.nonzero()[:, 0]:
            matched[image, n] = left[:, n].argmin()
            if taken is not None:
                left[matched[image, n]] = taken
    return matched
