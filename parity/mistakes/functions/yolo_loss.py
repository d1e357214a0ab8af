"""Mistakes in YOLO's loss: its classes, its boxes and its matching."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.anchor_matching import SHARED_WITH_BOXES, anchor_matching
from parity.mistakes.functions.matching import corners
from parity.mistakes.functions.overlap_stages import box_iou, generalized_overlap, overlap
from parity.mistakes.functions.yolo_boxes import WITHIN_LOSS, Boxes, Grids, yolo_boxes
from parity.mistakes.register import definition, mistake, registered

Place = tuple[Tensor, Tensor]  # the image and the number of each matched prediction
wrong_loss = partial(mistake, "yolo_loss")
bce = partial(F.binary_cross_entropy_with_logits, reduction="sum")


def class_loss(predictions: Tensor, place: Place, wanted: Tensor) -> Tensor:
    """Compute the loss of the classes of matched predictions."""
    return bce(predictions[place][:, 5:], wanted)


def overlap_loss(found: Tensor, sought: Tensor) -> Tensor:
    """Compute the loss of each pair of boxes."""
    return 1 - generalized_overlap(found, sought)


def weights(chosen: Tensor, ignored: Tensor, no_object: float) -> Tensor:
    """Return the weight of each prediction in the loss of objectness."""
    return full(chosen, no_object).masked_fill(ignored, 0).masked_fill(chosen, 1)


def full(chosen: Tensor, weight: float) -> Tensor:
    """Return one weight for all predictions, in their shape."""
    return torch.full(chosen.shape, weight, dtype=torch.float64)


def divided(part: Tensor, images: int, objects: int, predictions: int) -> Tensor:
    """Divide a part of the loss by the batch size."""
    return part / images


@definition("yolo_loss")
def yolo_loss(
    predictions: Tensor,
    labels: Tensor,
    boxes: Tensor,
    grids: Grids,
    ignore_above: float = 0.5,
    no_object: float = 0.5,
    box_weight: float = 5.0,
    *,
    decoded: Boxes = yolo_boxes,
    matching: Callable[[Tensor, Tensor, Grids], Tensor] = anchor_matching,
    class_loss: Callable[[Tensor, Place, Tensor], Tensor] = class_loss,
    compared: Callable[[Tensor], Tensor] = corners,
    overlap_loss: Callable[[Tensor, Tensor], Tensor] = overlap_loss,
    objectness: Callable[[Tensor, Tensor], Tensor] = lambda found, sought: torch.ones(len(found), dtype=found.dtype),
    limit: Callable[[float], float] = lambda ignore_above: ignore_above,
    asked: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda there, chosen, ignored: (there, chosen),
    weights: Callable[[Tensor, Tensor, float], Tensor] = weights,
    weighted: Callable[[Tensor, float], Tensor] = torch.mul,
    divided: Callable[[Tensor, int, int, int], Tensor] = divided,
) -> tuple[Tensor, ...]:
    """Compute the losses of classes, objectness and boxes, in stages."""
    B, P, numbers = predictions.shape
    matched = matching(labels, boxes, grids)
    image, target = (matched >= 0).nonzero(as_tuple=True)
    place = image, matched[image, target]
    wanted = F.one_hot(labels[image, target], numbers - 5).to(predictions.dtype)
    found, sought = compared(decoded(predictions, grids))[place], compared(boxes)[image, target]

    exact = corners(decoded(predictions.detach().double(), grids))
    ignored = _best_overlaps(exact, corners(boxes), labels >= 0) > limit(ignore_above)
    there, chosen = torch.zeros_like(predictions[..., 4]), torch.zeros(B, P, dtype=torch.bool)
    chosen[place] = True
    there[place] = objectness(found, sought)
    there, chosen = asked(there, chosen, ignored)
    of_objects = bce(predictions[..., 4], there, weights(chosen, ignored, no_object).to(there.dtype))
    parts = class_loss(predictions, place, wanted), of_objects, weighted(overlap_loss(found, sought).sum(), box_weight)
    return tuple(divided(part, B, len(image), B * P) for part in parts)


def _best_overlaps(exact: Tensor, objects: Tensor, there: Tensor) -> Tensor:
    """Return the largest overlap of each prediction with an object of its image."""
    best = [
        box_iou(mine, theirs[own]).amax(1) if own.any() else torch.zeros(len(mine))
        for mine, theirs, own in zip(exact, objects, there, strict=True)
    ]
    return torch.stack(best)


@wrong_loss("computes the loss of classes for every prediction; it is computed for matched predictions", "class_loss")
def classes_everywhere(predictions: Tensor, place: Place, wanted: Tensor) -> Tensor:
    everywhere = torch.zeros_like(predictions[..., 5:])
    everywhere[place] = wanted
    return bce(predictions[..., 5:], everywhere)


@wrong_loss("uses the cross-entropy of a softmax; each class has a sigmoid of its own", "class_loss")
def softmax(predictions: Tensor, place: Place, wanted: Tensor) -> Tensor:
    return F.cross_entropy(predictions[place][:, 5:], wanted, reduction="sum")


@wrong_loss("does not convert the boxes to corners before computing their overlap", "compared")
def unconverted(boxes: Tensor) -> Tensor:
    return boxes


@wrong_loss("uses the plain intersection over union; the overlap is the generalised one", "overlap_loss")
def plain(found: Tensor, sought: Tensor) -> Tensor:
    return 1 - overlap(found, sought)


@wrong_loss("leaves box_weight out", "weighted")
def unweighted(loss: Tensor, box_weight: float) -> Tensor:
    return loss


@wrong_loss("uses the default ignore_above, no_object and box_weight")
def default_options(predictions: Tensor, labels: Tensor, boxes: Tensor, grids: Grids, *options: float, **rest: float) -> object:
    return yolo_loss(predictions, labels, boxes, grids)


for message, wrong in WITHIN_LOSS:
    wrong_loss(f"in the boxes, {message}", "decoded")(wrong)
for message, wrong in registered("anchor_matching"):
    if message not in SHARED_WITH_BOXES:
        wrong_loss(f"in the matching, {message}", "matching")(wrong)
