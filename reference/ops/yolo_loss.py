"""The loss of a grid detector (Redmon & Farhadi 2018, section 2)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function

from reference.ops.anchor_matching import anchor_matching
from reference.ops.boxes import box_convert, box_iou
from reference.ops.loss import generalized_box_iou_loss
from reference.ops.yolo_boxes import Grid, yolo_boxes


@wrap_torch_function(lambda predictions, labels, boxes, *others, **options: (predictions, labels, boxes))
def yolo_loss(
    predictions: Tensor,
    labels: Tensor,
    boxes: Tensor,
    grids: Sequence[Grid],
    ignore_above: float = 0.5,
    no_object: float = 0.5,
    box_weight: float = 5.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three terms whose sum is YOLO's loss: of the classes, of the objectness, and of the boxes.

    The matching is computed in float64.
    """
    B = len(predictions)
    matched = anchor_matching(labels, boxes, grids)
    image, target = (matched >= 0).nonzero(as_tuple=True)
    chosen = predictions[image, matched[image, target]]

    classes = F.one_hot(labels[image, target].long(), predictions.shape[2] - 5).to(predictions.dtype)
    class_loss = F.binary_cross_entropy_with_logits(chosen[:, 5:], classes, reduction="sum")

    there = torch.zeros_like(predictions[..., 4])
    there[image, matched[image, target]] = 1
    ignored = _overlapping(predictions, labels, boxes, grids, ignore_above) & (there == 0)
    weight = torch.where(there == 1, 1, no_object).masked_fill(ignored, 0).to(there.dtype)
    objectness = F.binary_cross_entropy_with_logits(predictions[..., 4], there, weight, reduction="sum")

    found = yolo_boxes(predictions, grids)[image, matched[image, target]]
    corners, sought = (box_convert(each, "cxcywh", "xyxy") for each in (found, boxes[image, target]))
    overlap = generalized_box_iou_loss(corners, sought, reduction="sum")
    return class_loss / B, objectness / B, box_weight * overlap / B


@torch.no_grad()
def _overlapping(predictions: Tensor, labels: Tensor, boxes: Tensor, grids: Sequence[Grid], above: float) -> Tensor:
    """Return a mask (B, P), true where the box of a prediction has an IoU above a threshold with some object."""
    found, sought = (box_convert(each.double(), "cxcywh", "xyxy") for each in (yolo_boxes(predictions.double(), grids), boxes))
    return torch.stack(
        [(box_iou(mine, theirs[there]) > above).any(dim=1) for mine, theirs, there in zip(found, sought, labels >= 0, strict=True)]
    )
