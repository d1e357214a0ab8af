"""Boxes in images: functions of torchvision.ops, which PyTorch itself lacks.

They are open to torch's overrides as its own functions are, so that another one may stand in for them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda boxes, *others, **options: (boxes,))
def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) in another format: "xyxy", "xywh" (a corner, width, height) or "cxcywh" (the centre, width, height)."""
    if in_fmt == out_fmt:
        return boxes.clone()
    first, second = boxes.split(2, dim=-1)
    if in_fmt == "cxcywh":
        first, second = first - second / 2, first + second / 2
    elif in_fmt == "xywh":
        first, second = first, first + second
    if out_fmt == "cxcywh":
        first, second = (first + second) / 2, second - first
    elif out_fmt == "xywh":
        first, second = first, second - first
    return torch.cat((first, second), dim=-1)


@wrap_torch_function(lambda boxes: (boxes,))
def box_area(boxes: Tensor) -> Tensor:
    """Width times height of boxes (..., 4)."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(dim=-1)
    return width * height


@wrap_torch_function(lambda boxes1, boxes2: (boxes1, boxes2))
def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The area that two boxes share over the area that they cover, or 0 if that is 0: (N, 4) and (M, 4) to (N, M)."""
    iou, _ = _iou_and_union(boxes1[:, None], boxes2)
    return iou


@wrap_torch_function(lambda boxes1, boxes2: (boxes1, boxes2))
def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union, less the empty share of the smallest box that holds both: (N, 4) and (M, 4) to (N, M)."""
    return _giou(boxes1[:, None], boxes2)


@wrap_torch_function(lambda boxes1, boxes2, *others, **options: (boxes1, boxes2))
def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "mean") -> Tensor:
    """1 - generalized_box_iou of each box of boxes1 (..., 4) with the one in its place in boxes2."""
    return _reduced(1 - _giou(boxes1, boxes2), reduction)


@wrap_torch_function(lambda boxes, scores, iou_threshold: (boxes, scores))
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The numbers (K,) of the boxes (N, 4) that are no worse repetition of another, the highest of the scores (N,) first.

    Of equal scores, the first comes first.
    """
    order = scores.argsort(descending=True, stable=True)
    repeats = box_iou(boxes[order], boxes[order]) > iou_threshold
    kept = torch.ones_like(order, dtype=torch.bool)
    for i in range(len(order)):
        if kept[i]:
            kept[i + 1 :] &= ~repeats[i, i + 1 :]
    return order[kept]


@wrap_torch_function(lambda input, target, *others, **options: (input, target))
def sigmoid_focal_loss(
    input: Tensor, target: Tensor, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of logits, which counts the less the better the target is met already."""
    p = input.sigmoid()
    p_t = p * target + (1 - p) * (1 - target)
    loss = F.binary_cross_entropy_with_logits(input, target, reduction="none") * (1 - p_t) ** gamma
    if alpha is not None:
        loss = loss * (alpha * target + (1 - alpha) * (1 - target))
    return _reduced(loss, reduction)


def _iou_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    low, high = torch.maximum(boxes1[..., :2], boxes2[..., :2]), torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    sides = high - low
    shared = sides.masked_fill(sides < 0, 0).prod(dim=-1)  # a side of 0 has a gradient; clamp's rule depends on the version
    union = box_area(boxes1) + box_area(boxes2) - shared
    return shared / union.masked_fill(union == 0, 1), union


def _giou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    iou, union = _iou_and_union(boxes1, boxes2)
    low, high = torch.minimum(boxes1[..., :2], boxes2[..., :2]), torch.maximum(boxes1[..., 2:], boxes2[..., 2:])
    around = (high - low).prod(dim=-1)
    around = around.masked_fill(around == 0, 1)
    return iou - (around - union) / around


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()
