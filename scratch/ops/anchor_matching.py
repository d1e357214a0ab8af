"""The match of a grid detector's predictions with objects (Redmon & Farhadi 2018, section 2.1).

Objects are labels (B, N), -1 where an image has fewer than N objects, and boxes (B, N, 4): x centre, y centre, width and
height as fractions of the image, as in matching.py.
"""

from collections.abc import Sequence

import numpy as np

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.boxes import iou_and_union
from scratch.ops.yolo_boxes import Grid, are_grids


@op
def anchor_matching(labels: Array, boxes: Array, grids: Sequence[Grid]) -> tuple[Array, Backward]:
    """Return the prediction (B, N) that is matched with each object: a number below P, or -1 where there is no object.

    The candidates are the anchors of the cells that hold the object's centre. The object gets the anchor whose shape is most
    like its own: its intersection over union with the object is the highest when both have the same centre. Of equal anchors
    the first wins. A cell owns its upper and left borders; the last cells also own the image's edges.

    No prediction is matched twice in an image. The objects choose in their order: if an earlier object has taken a prediction,
    a later one gets its next choice, or -1 if none is left. There is no gradient.
    """
    are_grids("anchor_matching", grids)
    check_objects("anchor_matching", labels, boxes)
    exact = np.where(labels[:, :, None] < 0, 0, boxes.astype(np.float64))  # so that rounding does not change the match
    choices, shapes, P = [], [], 0
    for (H, W), anchors in grids:
        column, row = (np.minimum((exact[..., axis] * n).astype(int), n - 1) for axis, n in enumerate((W, H)))
        choices.append(P + (row * W + column)[..., None] * len(anchors) + np.arange(len(anchors)))
        shapes.append(np.array(anchors) / (W, H))
        P += H * W * len(anchors)
    choice = np.concatenate(choices, axis=2)  # (B, N, anchors of all grids)
    likeness, *_ = iou_and_union(_in_one_place(exact[:, :, None, 2:]), _in_one_place(np.concatenate(shapes)[None, None]))

    image, matched = np.arange(len(labels)), np.full(labels.shape, -1)
    taken = np.zeros((len(labels), P), bool)
    for n in range(labels.shape[1]):
        free = ~taken[image[:, None], choice[:, n]] & (labels[:, n, None] >= 0)
        best = np.where(free, likeness[:, n], -1).argmax(axis=1)
        there = np.flatnonzero(free.any(axis=1))
        matched[there, n] = choice[there, n, best[there]]
        taken[there, matched[there, n]] = True
    return matched, lambda dmatched: (None, None)


def check_objects(op: str, labels: Array, boxes: Array) -> None:
    """Raise ValueError unless each object has a label, a box without a negative side, and its centre in the image."""
    one_float_dtype(op, boxes=boxes)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(f"{op}: expected labels (B, N), whole numbers, got {labels.dtype} {labels.shape}")
    has_shape(op, "boxes", boxes, (*labels.shape, 4))
    if (labels < -1).any():
        raise ValueError(f"{op}: labels hold {labels.min()}, expected 0 or more, or -1 where there is no object")
    sound = ((boxes >= 0) & np.isfinite(boxes)).all(axis=2) & (boxes[..., :2] <= 1).all(axis=2)
    if (wrong := (labels >= 0) & ~sound).any():
        raise ValueError(
            f"{op}: boxes hold {boxes[wrong][0].tolist()}, expected (x centre, y centre, width, height) as shares of the image, "
            "the centre in it and no side negative"
        )


def _in_one_place(sides: Array) -> Array:
    """Return boxes (..., 4) with these sides; their first corner is the origin."""
    return np.concatenate([np.zeros_like(sides), sides], axis=-1)
