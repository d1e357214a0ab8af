"""Mistakes in boxes: their formats, their overlaps, which of them are suppressed, and the losses of detectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

import reference.ops as right
from parity.mistakes.graft import graft


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str, *, change: str = "") -> Tensor:
    """Other formats with one change."""
    if change == "swapped":
        return right.box_convert(boxes, out_fmt, in_fmt)
    if change == "unchanged":
        return boxes
    if change == "whole sides" and in_fmt == "cxcywh":
        centre, sides = boxes.split(2, dim=-1)
        return right.box_convert(torch.cat((centre, 2 * sides), dim=-1), in_fmt, out_fmt)
    y = right.box_convert(boxes, change if change in ("xyxy", "xywh", "cxcywh") else in_fmt, out_fmt)
    if change == "rows first":
        return y[..., [1, 0, 3, 2]]
    return graft(y, boxes) if change == "not in the backward" else y


def box_iou(boxes1: Tensor, boxes2: Tensor, *, change: str = "", generalized: bool = False, pairs: bool = True) -> Tensor:
    """Intersection over union, or the generalised one, of pairs or of partners, with one change."""
    if change in ("xywh", "cxcywh"):
        boxes1, boxes2 = (right.box_convert(boxes, change, "xyxy") for boxes in (boxes1, boxes2))
    boxes1 = boxes1[:, None] if pairs else boxes1
    pixel = float(change == "pixels")
    low, high = torch.maximum(boxes1[..., :2], boxes2[..., :2]), torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    if change == "first of equal":
        low = torch.where(boxes1[..., :2] >= boxes2[..., :2], boxes1[..., :2], boxes2[..., :2])
        high = torch.where(boxes1[..., 2:] <= boxes2[..., 2:], boxes1[..., 2:], boxes2[..., 2:])
    sides = high - low + pixel
    shared = (sides if change == "not clamped" else sides.masked_fill(sides < 0, 0)).prod(-1)
    area1, area2 = ((boxes[..., 2:] - boxes[..., :2] + pixel).prod(-1) for boxes in (boxes1, boxes2))
    union = area1 + area2 - (0 if change == "union" else shared)
    covered = union.masked_fill(union == 0, 1)
    y = shared / {"smaller": torch.minimum(area1, area2), "first": area1}.get(change, covered)
    if change == "union constant":
        y = graft(y, shared / covered.detach())
    if not generalized or change == "not generalised":
        return y
    low, high = torch.minimum(boxes1[..., :2], boxes2[..., :2]), torch.maximum(boxes1[..., 2:], boxes2[..., 2:])
    around = (high - low + pixel).prod(-1)
    around = around.masked_fill(around == 0, 1)
    if change == "around constant":
        return graft(y - (around - union) / around, y - (around.detach() - union) / around.detach())
    return y - (around - union) / (covered if change == "by the union" else around)


def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "mean", *, change: str = "") -> Tensor:
    """The loss of partners with one change."""
    loss = 1 - box_iou(boxes1, boxes2, change=change, generalized=True, pairs=False)
    return _reduced(loss, reduction, change)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, *, change: str = "") -> Tensor:
    """Non-maximum suppression with one change."""
    order = scores.argsort(descending=change != "lowest first", stable=True)
    if change == "last of equal":
        order = scores.flip(0).argsort(descending=True, stable=True).neg() + len(scores) - 1
    overlap = box_iou(boxes[order], boxes[order], change=change)
    repeats = overlap >= iou_threshold if change == "at the threshold" else overlap > iou_threshold
    kept = torch.ones_like(order, dtype=torch.bool)
    for i in range(len(order)):
        if kept[i] or change == "by suppressed ones":
            kept[i + 1 :] &= ~repeats[i, i + 1 :]
    return order[kept].sort().values if change == "in their order" else order[kept]


def sigmoid_focal_loss(
    input: Tensor, target: Tensor, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean", *, change: str = ""
) -> Tensor:
    """The focal loss with one change."""
    p = input.sigmoid()
    p_t = p * target + (1 - p) * (1 - target)
    focus = p_t if change == "easy ones" else 1 - p_t
    focus = focus.detach() if change == "focus constant" else focus
    loss = F.binary_cross_entropy_with_logits(input, target, reduction="none")
    plain = loss * (1 - p_t) ** gamma
    loss = loss * focus ** {"gamma 1": 1, "gamma 0": 0}.get(change, gamma)
    if alpha is not None:
        weight = alpha * target + (1 - alpha) * (1 - target)
        wrong = {"unbalanced": torch.ones_like(weight), "alpha swapped": 1 - weight, "alpha": torch.full_like(weight, alpha)}
        loss, plain = loss * wrong.get(change, weight), plain * weight
    return _reduced(graft(plain, loss) if change == "focus constant" else loss, reduction, change)


generalized_box_iou = partial(box_iou, generalized=True)


def _reduced(loss: Tensor, reduction: str, change: str) -> Tensor:
    if reduction != "mean":
        return loss if reduction == "none" else loss.sum()
    return loss.sum() if change == "sum" else graft(loss.mean(), loss.sum()) if change == "sum in the backward" else loss.mean()


def _with(function: Callable[..., Tensor], texts: dict[str, str]) -> list[tuple[str, Callable[..., Tensor]]]:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


_of_iou = {
    "not clamped": "does not clamp the sides of the intersection at 0: boxes apart in both directions seem to overlap",
    "union": "does not subtract the intersection from the sum of the areas, in which it is twice",
    "smaller": "divides by the smaller area; it is the union",
    "first": "divides by the area of the first box; it is the union",
    "pixels": "adds 1 to every side, as if corners were pixels",
    "xywh": "takes boxes for (x, y, width, height); they are (x1, y1, x2, y2)",
    "cxcywh": "takes boxes for (x centre, y centre, width, height); they are (x1, y1, x2, y2)",
    "first of equal": "gives the gradient of equal corners to the first box alone; both share it",
    "union constant": "takes the union for a constant in the backward",
}
_of_giou = {
    "not generalised": "leaves the box around both out: that is the plain intersection over union",
    "by the union": "divides what is empty by the union; it is the area of the box around both",
    "around constant": "takes the area of the box around both for a constant in the backward",
    **_of_iou,
}
_of_mean = {
    "sum": "takes the sum where the mean was asked for",
    "sum in the backward": "does not divide the gradient by the number of elements",
}

TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "box_convert": _with(
        box_convert,
        {
            "swapped": "converts the other way",
            "unchanged": "does not convert",
            "xyxy": "takes in_fmt for xyxy",
            "xywh": "takes in_fmt for xywh",
            "cxcywh": "takes in_fmt for cxcywh",
            "rows first": "swaps x and y",
            "whole sides": "moves the corners by whole sides from the centre; it is by half of them",
            "not in the backward": "does not convert the gradient back",
        },
    ),
    "box_iou": _with(box_iou, _of_iou),
    "generalized_box_iou": _with(generalized_box_iou, _of_giou),
    "generalized_box_iou_loss": _with(generalized_box_iou_loss, {**_of_giou, **_of_mean}),
    "nms": _with(
        nms,
        {
            "at the threshold": "suppresses boxes whose overlap is the threshold; it is to be above",
            "last of equal": "takes the last of equal scores first; it is the first of them",
            "lowest first": "begins with the lowest score",
            "by suppressed ones": "lets boxes that are suppressed themselves suppress others",
            "in their order": "returns the numbers in order; the highest score comes first",
            "pixels": _of_iou["pixels"],
            "smaller": _of_iou["smaller"],
            "union": _of_iou["union"],
            "not clamped": _of_iou["not clamped"],
            "cxcywh": _of_iou["cxcywh"],
        },
    ),
    "sigmoid_focal_loss": _with(
        sigmoid_focal_loss,
        {
            "easy ones": "weighs by p_t, the easy ones most; it is 1 - p_t",
            "gamma 1": "takes gamma = 1",
            "gamma 0": "takes gamma = 0: that is the plain cross-entropy",
            "unbalanced": "leaves alpha out",
            "alpha swapped": "gives alpha to the targets of 0 and 1 - alpha to those of 1",
            "alpha": "weighs every target by alpha; those of 0 have 1 - alpha",
            "focus constant": "takes (1 - p_t)^gamma for a constant in the backward",
            **_of_mean,
        },
    ),
}
