"""Boxes: formats, areas, overlaps, non-maximum suppression, and the losses of detectors."""

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, binary_without_weights
from parity.inputs import Draw, float32_representable
from scratch.module import Array

SAME = np.array([[0, 0, 2, 1], [0, 0, 1, 1], [2, 0, 3, 1], [0, 0, 2, 1], [5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 0, 1]], dtype=float)


def random_boxes(draw: Draw, *shape: int) -> Array:
    """Draw boxes of random places and sizes, some of which overlap."""
    corner = draw.normal(*shape, 2)
    return float32_representable(np.concatenate([corner, corner + draw.positive(*shape, 2)], axis=-1))


def integer_boxes(draw: Draw, n: int) -> Array:
    """Draw boxes with integer corners: some are equal, touch, share an edge, are empty, or overlap by exactly a half."""
    corner = draw.integers(0, 5, n, 2)
    return np.concatenate([SAME, np.concatenate([corner, corner + draw.integers(0, 4, n, 2)], axis=1)])


def two_sets(draw: Draw) -> dict[str, Array]:
    """Draw two sets of boxes, of different sizes."""
    return {"boxes1": random_boxes(draw, 11), "boxes2": random_boxes(draw, 7)}


def two_integer_sets(draw: Draw) -> dict[str, Array]:
    """Draw two sets of boxes with ties."""
    return {"boxes1": integer_boxes(draw, 9), "boxes2": integer_boxes(draw, 5)}


def pairs(draw: Draw) -> dict[str, Array]:
    """Draw two sets of boxes, each box of one set with a box at the same index of the other."""
    return {"boxes1": random_boxes(draw, 5, 13), "boxes2": random_boxes(draw, 5, 13)}


def integer_pairs(draw: Draw) -> dict[str, Array]:
    """Draw pairs of boxes with ties; the first pairs are equal."""
    return {"boxes1": integer_boxes(draw, 23), "boxes2": integer_boxes(draw, 23)}


def scored(draw: Draw) -> dict[str, Array]:
    """Draw boxes with scores, several of which are equal."""
    boxes = integer_boxes(draw, 40)
    return {"boxes": boxes, "scores": draw.grid(len(boxes))}


def in_format(name: str) -> Inputs:
    """Return a draw of boxes in a format; coordinates may be negative, sizes may not."""
    return lambda draw: {"boxes": random_boxes(draw, 5, 7) if name == "xyxy" else sized(draw, 5, 7)}


def sized(draw: Draw, *shape: int) -> Array:
    """Draw boxes as a place and a size."""
    return np.concatenate([draw.normal(*shape, 2), draw.positive(*shape, 2)], axis=-1)


FORMATS = ("xyxy", "xywh", "cxcywh")

CASES = [
    *(
        ParityCase(f"box_convert-{a}-{b}", "ops.box_convert", in_format(a), {"in_fmt": a, "out_fmt": b})
        for a in FORMATS
        for b in FORMATS
    ),
    ParityCase("box_area", "ops.box_area", lambda draw: {"boxes": random_boxes(draw, 5, 7)}),
    *(
        ParityCase(f"{name}{suffix}", f"ops.{name}", inputs)
        for name in ("box_iou", "generalized_box_iou")
        for suffix, inputs in (("", two_sets), ("-aligned", two_integer_sets))
    ),
    *ParityCase("generalized_box_iou_loss", "ops.generalized_box_iou_loss", pairs).with_each_reduction(),
    ParityCase(
        "generalized_box_iou_loss-aligned",
        "ops.generalized_box_iou_loss",
        integer_pairs,
        {"reduction": "none"},
    ),
    *(ParityCase(f"nms-{threshold}", "ops.nms", scored, {"iou_threshold": threshold}) for threshold in (0.0, 0.3, 0.5, 1.0)),
    *(
        case
        for suffix, config in (("", {}), ("-unbalanced", {"alpha": None, "gamma": 3.0}), ("-even", {"alpha": 0.6, "gamma": 0.0}))
        for case in ParityCase(
            f"sigmoid_focal_loss{suffix}", "ops.sigmoid_focal_loss", binary_without_weights, config
        ).with_each_reduction()
    ),
]


def box_in_format(name: str, *shape: int) -> Inputs:
    """Return a draw of boxes (*shape, 4) in a format."""
    return lambda draw: {"boxes": random_boxes(draw, *shape) if name == "xyxy" else sized(draw, *shape)}


def so_many(*shape: int, others: tuple[int, ...] = ()) -> Inputs:
    """Return a draw of two sets of boxes, (*shape, 4) and (*others, 4), of one shape if no other is given."""
    return lambda draw: {"boxes1": random_boxes(draw, *shape), "boxes2": random_boxes(draw, *(others or shape))}


def scored_boxes(n: int) -> Inputs:
    """Return a draw of n boxes with integer corners, and of their scores."""
    return lambda draw: {"boxes": integer_boxes(draw, n)[-n:], "scores": draw.normal(n)}


def soft_targets(*shape: int) -> Inputs:
    """Return a draw of logits, and of targets between 0 and 1."""
    return lambda draw: {"input": draw.normal(*shape, scale=3), "target": draw.fractions(*shape)}


CASES += [
    case
    for size, shape in (("batch-of-one", (1,)), ("four-axes", (4, 1, 5)), ("large", (67, 67)))
    for case in (
        *(
            ParityCase(f"box_convert-{a}-{b}-{size}", "ops.box_convert", box_in_format(a, *shape), {"in_fmt": a, "out_fmt": b})
            for a in FORMATS
            for b in FORMATS
            if a != b
        ),
        ParityCase(f"box_area-{size}", "ops.box_area", box_in_format("xyxy", *shape)),
        ParityCase(f"generalized_box_iou_loss-{size}", "ops.generalized_box_iou_loss", so_many(*shape), {"reduction": "none"}),
    )
]
CASES += [
    case
    for size, n, m in (("batch-of-one", 1, 17), ("square", 4, 4), ("large", 1029, 5))
    for case in (
        ParityCase(f"box_iou-{size}", "ops.box_iou", so_many(n, others=(m,))),
        ParityCase(f"generalized_box_iou-{size}", "ops.generalized_box_iou", so_many(n, others=(m,))),
        ParityCase(f"nms-{size}", "ops.nms", scored_boxes(n), {"iou_threshold": 0.1}),
    )
]
CASES += [
    ParityCase(f"sigmoid_focal_loss-{size}", "ops.sigmoid_focal_loss", soft_targets(*shape), {"reduction": "none"})
    for size, shape in (("one-row", (6,)), ("three-axes", (3, 5, 7)), ("batch-of-one", (1, 2, 3, 5)), ("square", (67, 67)))
]
