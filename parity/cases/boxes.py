"""Boxes: formats, areas, overlaps, suppression, and the losses of detectors."""

import numpy as np

from parity.case import ParityCase
from parity.cases.losses import Inputs, binary, reductions
from parity.inputs import Draw, float32_representable
from scratch.module import Array

SAME = np.array([[0, 0, 2, 1], [0, 0, 1, 1], [2, 0, 3, 1], [0, 0, 2, 1], [5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 0, 1]], dtype=float)


def anywhere(draw: Draw, *shape: int) -> Array:
    """Boxes of any place and size, some of which overlap."""
    corner = draw.normal(*shape, 2)
    return float32_representable(np.concatenate([corner, corner + draw.positive(*shape, 2)], axis=-1))


def aligned(draw: Draw, n: int) -> Array:
    """Boxes with whole corners: the same ones, ones that share an edge or touch, empty ones, and overlaps of exactly a half."""
    corner = draw.integers(0, 5, n, 2)
    return np.concatenate([SAME, np.concatenate([corner, corner + draw.integers(0, 4, n, 2)], axis=1)])


def two_sets(draw: Draw) -> dict[str, Array]:
    """Each box of one set is to be compared with each of the other."""
    return {"boxes1": anywhere(draw, 11), "boxes2": anywhere(draw, 7)}


def two_aligned_sets(draw: Draw) -> dict[str, Array]:
    """The same for boxes between which there are ties."""
    return {"boxes1": aligned(draw, 9), "boxes2": aligned(draw, 5)}


def partners(draw: Draw) -> dict[str, Array]:
    """Each box is to be compared with the one in its place."""
    return {"boxes1": anywhere(draw, 5, 13), "boxes2": anywhere(draw, 5, 13)}


def aligned_partners(draw: Draw) -> dict[str, Array]:
    """The same for boxes between which there are ties, the first of each kind with its like."""
    return {"boxes1": aligned(draw, 23), "boxes2": aligned(draw, 23)}


def scored(draw: Draw) -> dict[str, Array]:
    """Boxes with scores, several of which are equal."""
    boxes = aligned(draw, 40)
    return {"boxes": boxes, "scores": draw.grid(len(boxes))}


def in_format(name: str) -> Inputs:
    """Boxes in a format: what would be negative sizes in one are places in another."""
    return lambda draw: {"boxes": anywhere(draw, 5, 7) if name == "xyxy" else sized(draw, 5, 7)}


def sized(draw: Draw, *shape: int) -> Array:
    """Boxes as a place and a size."""
    return np.concatenate([draw.normal(*shape, 2), draw.positive(*shape, 2)], axis=-1)


def logits(draw: Draw) -> dict[str, Array]:
    """Logits, some far out, with targets from 0 to 1."""
    inputs = binary()(draw)
    return {"input": inputs["input"], "target": inputs["target"]}


FORMATS = ("xyxy", "xywh", "cxcywh")

CASES = [
    *(
        ParityCase(f"box_convert-{a}-{b}", "ops.box_convert", "boxes.box_convert", in_format(a), {"in_fmt": a, "out_fmt": b})
        for a in FORMATS
        for b in FORMATS
    ),
    ParityCase("box_area", "ops.box_area", "boxes.box_area", lambda draw: {"boxes": anywhere(draw, 5, 7)}),
    *(
        ParityCase(f"{name}{suffix}", f"ops.{name}", f"boxes.{name}", inputs)
        for name in ("box_iou", "generalized_box_iou")
        for suffix, inputs in (("", two_sets), ("-aligned", two_aligned_sets))
    ),
    *reductions("generalized_box_iou_loss", "ops.generalized_box_iou_loss", "boxes.generalized_box_iou_loss", partners),
    ParityCase(
        "generalized_box_iou_loss-aligned",
        "ops.generalized_box_iou_loss",
        "boxes.generalized_box_iou_loss",
        aligned_partners,
        {"reduction": "none"},
    ),
    *(
        ParityCase(f"nms-{threshold}", "ops.nms", "boxes.nms", scored, {"iou_threshold": threshold})
        for threshold in (0.0, 0.3, 0.5, 1.0)
    ),
    *(
        case
        for suffix, config in (("", {}), ("-unbalanced", {"alpha": None, "gamma": 3.0}), ("-even", {"alpha": 0.6, "gamma": 0.0}))
        for case in reductions(f"sigmoid_focal_loss{suffix}", "ops.sigmoid_focal_loss", "boxes.sigmoid_focal_loss", logits, config)
    ),
]
