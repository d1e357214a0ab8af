"""Boxes in images: their formats, their areas, and their overlap.

A box is (x1, y1, x2, y2), two opposite corners with x1 <= x2 and y1 <= y2; only box_convert takes other formats. Functions and
arguments have the names of torchvision.ops.
"""

from collections.abc import Callable

import numpy as np

from scratch.checks import one_float_dtype, one_of
from scratch.contract import op
from scratch.fast.reduce import sum_to_shape
from scratch.fast.select import weighted
from scratch.module import Array, Backward

FORMATS = {  # corners = FORMATS[format] @ box
    "xyxy": np.eye(4),
    "xywh": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]),
    "cxcywh": np.array([[1, 0, -0.5, 0], [0, 1, 0, -0.5], [1, 0, 0.5, 0], [0, 1, 0, 0.5]]),
}


@op
def box_convert(boxes: Array, in_fmt: str, out_fmt: str) -> tuple[Array, Backward]:
    """Convert boxes (..., 4) between "xyxy", "xywh" (a corner, width, height) and "cxcywh" (the centre, width, height).

    The conversion is linear: y = M box for a 4x4 matrix M, dbox = Mᵀ dy.
    """
    one_of("box_convert", "in_fmt", in_fmt, tuple(FORMATS))
    one_of("box_convert", "out_fmt", out_fmt, tuple(FORMATS))
    are_boxes("box_convert", in_fmt, boxes=boxes)
    change = (np.linalg.inv(FORMATS[out_fmt]) @ FORMATS[in_fmt]).astype(boxes.dtype)
    y = boxes @ change.T
    return y if np.isfinite(y).all() else weighted(boxes, change), lambda dy: dy @ change


@op
def box_area(boxes: Array) -> tuple[Array, Backward]:
    """Compute the area w h of boxes (..., 4), w = x2 - x1 and h = y2 - y1, to (...).

    dx2 = -dx1 = dy h, dy2 = -dy1 = dy w.
    """
    are_boxes("box_area", boxes=boxes)
    sides = boxes[..., 2:] - boxes[..., :2]

    def backward(dy: Array) -> Array:
        dsides = dy[..., None] * sides[..., ::-1]
        return np.concatenate([-dsides, dsides], axis=-1)

    return sides[..., 0] * sides[..., 1], backward


@op
def box_iou(boxes1: Array, boxes2: Array) -> tuple[Array, Backward]:
    """Compute the intersection over union I / U of each pair of boxes, 0 where U = 0: (N, 4) and (M, 4) to (N, M).

    dI = dy / U - dU and dU = -dy I / U², since U = area1 + area2 - I; the gradients of I and of the areas are those of box_area.
    """
    return _of_pairs("box_iou", lambda *pairs: iou_and_union(*pairs)[::2], boxes1, boxes2)


@op
def generalized_box_iou(boxes1: Array, boxes2: Array) -> tuple[Array, Backward]:
    """Compute giou = I / U - (C - U) / C for each pair of boxes, where C is the area of the smallest box that holds both.

    (N, 4) and (M, 4) to (N, M). It is 1 for two equal boxes and near -1 for boxes that are far apart (Rezatofighi et al. 2019,
    algorithm 1). dU = -dy I / U² + dy / C, dI = dy / U - dU, dC = -dy U / C².
    """
    return _of_pairs("generalized_box_iou", giou, boxes1, boxes2)


def iou_and_union(boxes1: Array, boxes2: Array) -> tuple[Array, Array, Backward]:
    """Return intersection over union, union, and a backward that takes the gradients of both, for boxes (..., 4) that broadcast."""
    shared, shared_backward = _area_between(np.maximum, np.minimum, boxes1, boxes2)
    (area1, area1_backward), (area2, area2_backward) = box_area(boxes1), box_area(boxes2)
    union = area1 + area2 - shared
    covered = union + (union == 0)
    iou = shared / covered

    def backward(diou: Array, dunion: Array | float = 0.0) -> tuple[Array, Array]:
        through_union: Array = dunion - diou * iou / covered
        dboxes1, dboxes2 = shared_backward(diou / covered - through_union)
        dboxes1 += area1_backward(sum_to_shape(through_union, area1.shape))
        dboxes2 += area2_backward(sum_to_shape(through_union, area2.shape))
        return dboxes1, dboxes2

    return iou, union, backward


def giou(boxes1: Array, boxes2: Array) -> tuple[Array, Backward]:
    """Compute generalized_box_iou of boxes (..., 4) that broadcast."""
    iou, union, iou_backward = iou_and_union(boxes1, boxes2)
    around, around_backward = _area_between(np.minimum, np.maximum, boxes1, boxes2)
    around = around + (around == 0)

    def backward(dy: Array) -> tuple[Array, Array]:
        gradients = zip(iou_backward(dy, dy / around), around_backward(-dy * union / (around * around)), strict=True)
        dboxes1, dboxes2 = (of_iou + of_around for of_iou, of_around in gradients)  # both terms
        return dboxes1, dboxes2

    return iou - (around - union) / around, backward


def are_boxes(op: str, format: str = "xyxy", **arrays: Array) -> None:
    """Raise ValueError unless the arrays are boxes (..., 4) of one dtype without negative sides."""
    one_float_dtype(op, **arrays)
    for name, boxes in arrays.items():
        if boxes.ndim < 1 or boxes.shape[-1] != 4:
            raise ValueError(f"{op}: expected {name} (..., 4), got {boxes.shape}")
        sides = boxes[..., 2:] - boxes[..., :2] if format == "xyxy" else boxes[..., 2:]
        if (sides < 0).any():
            wrong = boxes[(sides < 0).any(axis=-1)][0].tolist()
            raise ValueError(f"{op}: {name} hold {wrong}, a box of negative size in {format}; box_convert changes formats")


def _of_pairs(op: str, measure: Callable[..., tuple[Array, Backward]], boxes1: Array, boxes2: Array) -> tuple[Array, Backward]:
    """Compute a measure of each of boxes1 (N, 4) with each of boxes2 (M, 4): (N, M)."""
    if boxes1.ndim != 2 or boxes2.ndim != 2:
        raise ValueError(f"{op}: expected boxes1 (N, 4) and boxes2 (M, 4), got {boxes1.shape} and {boxes2.shape}")
    are_boxes(op, boxes1=boxes1, boxes2=boxes2)
    y, measure_backward = measure(boxes1[:, None], boxes2[None])

    def backward(dy: Array) -> tuple[Array, Array]:
        dboxes1, dboxes2 = measure_backward(dy)
        return dboxes1[:, 0], dboxes2[0]

    return y, backward


def _area_between(lower: np.ufunc, upper: np.ufunc, boxes1: Array, boxes2: Array) -> tuple[Array, Backward]:
    """Compute the area between the `lower` of the first corners and the `upper` of the second corners, 0 where they cross.

    Boxes are (..., 4). Where both boxes have the same coordinate, they share its gradient, as in torch.
    """
    one, two = (np.ascontiguousarray(np.moveaxis(boxes, -1, 0)) for boxes in (boxes1, boxes2))  # (4, ...), each corner in a row
    corners = np.concatenate([lower(one[:2], two[:2]), upper(one[2:], two[2:])])
    sides = np.maximum(corners[2:] - corners[:2], 0)

    def backward(darea: Array) -> tuple[Array, Array]:
        dsides = darea * sides[::-1] * (corners[2:] >= corners[:2])
        dcorners = np.concatenate([-dsides, dsides])
        of_one = np.where(one == corners, np.where(two == corners, dcorners / 2, dcorners), 0)
        gradients = sum_to_shape(of_one, one.shape), sum_to_shape(dcorners - of_one, two.shape)
        dboxes1, dboxes2 = (np.ascontiguousarray(np.moveaxis(gradient, 0, -1)) for gradient in gradients)
        return dboxes1, dboxes2

    return sides[0] * sides[1], backward
