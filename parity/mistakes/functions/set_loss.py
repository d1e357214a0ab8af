"""Mistakes in the loss of a set of predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.matching import corners, matching_cost, padding_matched, unconverted
from parity.mistakes.functions.overlap_stages import overlap
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake, registered
from reference.ops import bipartite_matching, generalized_box_iou_loss

Losses = tuple[Tensor, Tensor, Tensor]  # of the classes, the distances and the overlaps
wrong_loss = partial(mistake, "set_loss")


def generalized(found: Tensor, sought: Tensor) -> Tensor:
    """Compute the loss of overlaps."""
    return generalized_box_iou_loss(found, sought, reduction="sum")


def sum_of_distances(found: Tensor, sought: Tensor) -> Tensor:
    """Compute the loss of distances: the sum over four numbers for each pair."""
    return F.l1_loss(found, sought, reduction="sum")


def plain(found: Tensor, sought: Tensor) -> Tensor:
    """Compute the loss of overlaps from the plain intersection over union."""
    return (1 - overlap(found, sought)).sum()


def divided(loss: Tensor, objects: int, images: int, queries: int) -> Tensor:
    """Divide a loss of boxes by the number of objects."""
    return loss / max(objects, 1)


@definition("set_loss")
def set_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    no_object: float = 0.1,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
    *,
    cost: Callable[..., Tensor] = matching_cost,
    matching: Callable[[Tensor, Tensor], Tensor] = bipartite_matching,
    empty_class: Callable[[int], int] = lambda classes: classes - 1,
    empty_weight: Callable[[float], float] = lambda no_object: no_object,
    class_loss: Callable[[Tensor, Tensor, Tensor], Tensor] = F.cross_entropy,
    distance: Callable[[Tensor, Tensor], Tensor] = sum_of_distances,
    corners: Callable[[Tensor], Tensor] = corners,
    overlap_loss: Callable[[Tensor, Tensor], Tensor] = generalized,
    divided: Callable[[Tensor, int, int, int], Tensor] = divided,
    weighted: Callable[[Tensor, float], Tensor] = torch.mul,
) -> Losses:
    """Compute the loss of classes and both losses of boxes, in stages."""
    exact = logits.detach().double(), boxes.detach().double(), labels, target_boxes.double()
    matched = matching(cost(*exact, box_weight=box_weight, giou_weight=giou_weight), labels >= 0)
    image, target = (matched >= 0).nonzero(as_tuple=True)
    query = matched[image, target]
    B, Q, classes = logits.shape
    wanted = torch.full((B, Q), empty_class(classes))
    wanted[image, query] = labels[image, target]
    weight = logits.new_ones(classes)
    weight[-1] = empty_weight(no_object)
    found, sought = boxes[image, query], target_boxes[image, target]
    losses = distance(found, sought), overlap_loss(corners(found), corners(sought))
    first, second = (divided(loss, len(query), B, B * Q) for loss in losses)
    return class_loss(logits.transpose(1, 2), wanted, weight), weighted(first, box_weight), weighted(second, giou_weight)


@wrong_loss("leaves the queries without an object out of the loss; they must predict 'no object'", "empty_weight")
def unmatched_ignored(no_object: float) -> float:
    return 0.0


@wrong_loss("gives queries without an object the same weight as the others: ignores no_object", "empty_weight")
def no_object_ignored(no_object: float) -> float:
    return 1.0


@wrong_loss("uses the first class for 'no object'; it is the last class", "empty_class")
def first_class(classes: int) -> int:
    return 0


@wrong_loss("divides the loss of classes by the number of queries; torch divides by the sum of their weights", "class_loss")
def divided_by_queries(logits: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    return F.cross_entropy(logits, wanted, weight, reduction="sum") / wanted.numel()


@wrong_loss("divides the losses of boxes by the batch size; the divisor is the number of objects", "divided")
def divided_by_batch_size(loss: Tensor, objects: int, images: int, queries: int) -> Tensor:
    return loss / images


@wrong_loss("divides the losses of boxes by the number of queries; the divisor is the number of objects", "divided")
def boxes_divided_by_queries(loss: Tensor, objects: int, images: int, queries: int) -> Tensor:
    return loss / queries


@wrong_loss("does not divide the losses of boxes by the number of objects", "divided")
def not_divided(loss: Tensor, objects: int, images: int, queries: int) -> Tensor:
    return loss


@wrong_loss("does not divide the gradients of boxes by the number of objects", "divided")
def gradient_not_divided(loss: Tensor, objects: int, images: int, queries: int) -> Tensor:
    return with_gradient_of(divided(loss, objects, images, queries), loss)


@wrong_loss("takes the mean of the four distances; the loss is their sum", "distance")
def mean_of_four(found: Tensor, sought: Tensor) -> Tensor:
    return sum_of_distances(found, sought) / 4


wrong_loss("does not convert the boxes to corners before computing their overlap", "corners")(unconverted)
wrong_loss("uses the plain intersection over union; the overlap is the generalised one", "overlap_loss")(plain)


@wrong_loss("leaves box_weight and giou_weight out of the loss", "weighted")
def unweighted(loss: Tensor, weight: float) -> Tensor:
    return loss


for message, wrong in registered("matching_cost"):
    wrong_loss(f"in the matching, {message}", "cost")(wrong)
for message, wrong in registered("bipartite_matching"):
    if wrong is not padding_matched:  # padding costs 0 here, and takes a query that no object wants
        wrong_loss(f"in the matching, {message}", "matching")(wrong)
