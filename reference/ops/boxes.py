"""Formats, areas and overlaps of boxes: the functions of torchvision.ops.

A box is (x1, y1, x2, y2), two opposite corners with x1 <= x2 and y1 <= y2, unless box_convert is given another format.
"""

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda boxes, *others, **options: (boxes,))
def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Convert boxes (..., 4) between the formats "xyxy", "xywh" (corner, width, height) and "cxcywh" (centre, width, height)."""
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
    """Return width x height of boxes (..., 4)."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(dim=-1)
    return width * height


@wrap_torch_function(lambda boxes1, boxes2: (boxes1, boxes2))
def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the intersection over union of each pair of boxes, (N, 4) and (M, 4) to (N, M); 0 where the union is empty."""
    iou, _ = iou_and_union(boxes1[:, None], boxes2)
    return iou


@wrap_torch_function(lambda boxes1, boxes2: (boxes1, boxes2))
def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the generalised IoU of each pair of boxes, (N, 4) and (M, 4) to (N, M).

    It is the IoU minus the share of the smallest enclosing box that neither of the two covers.
    """
    return giou(boxes1[:, None], boxes2)


def iou_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the IoU and the area of the union of boxes whose shapes broadcast."""
    low, high = torch.maximum(boxes1[..., :2], boxes2[..., :2]), torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    sides = high - low
    shared = sides.masked_fill(sides < 0, 0).prod(dim=-1)  # at 0 the gradient flows; that of clamp depends on the version of torch
    union = box_area(boxes1) + box_area(boxes2) - shared
    return shared / union.masked_fill(union == 0, 1), union


def giou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the generalised IoU of boxes whose shapes broadcast."""
    iou, union = iou_and_union(boxes1, boxes2)
    low, high = torch.minimum(boxes1[..., :2], boxes2[..., :2]), torch.maximum(boxes1[..., 2:], boxes2[..., 2:])
    around = (high - low).prod(dim=-1)
    around = around.masked_fill(around == 0, 1)
    return iou - (around - union) / around
