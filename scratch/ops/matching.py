"""Which prediction of a set is for which object: the assignment that costs least (Carion et al. 2020, section 3.1).

Objects come as labels (B, N), -1 where an image has fewer than N, and boxes (B, N, 4), (x centre, y centre, width, height)
each as a share of the image. There is no gradient.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from scratch.checks import are_weights, has_shape, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.boxes import box_convert, giou
from scratch.ops.softmax import softmax


@op
def matching_cost(
    logits: Array, boxes: Array, labels: Array, target_boxes: Array, box_weight: float = 5.0, giou_weight: float = 2.0
) -> tuple[Array, Backward]:
    """What it costs to give each object to each of Q queries, (B, Q, N): logits (B, Q, K + 1), the last class no object.

    -p(label) + box_weight |box - target|₁ - giou_weight giou(box, target), where there is an object, else 0.
    """
    check_set("matching_cost", logits, boxes, labels, target_boxes)
    are_weights("matching_cost", box_weight=box_weight, giou_weight=giou_weight)
    probabilities, _ = softmax(logits)
    of_label = np.take_along_axis(probabilities, np.maximum(labels, 0)[:, None], axis=2)  # (B, Q, N)
    distance = np.abs(boxes[:, :, None] - target_boxes[:, None]).sum(axis=3)
    (corners, _), (target_corners, _) = (box_convert(each, "cxcywh", "xyxy") for each in (boxes, target_boxes))
    overlap, _ = giou(corners[:, :, None], target_corners[:, None])
    cost = box_weight * distance - of_label - giou_weight * overlap
    return np.where(labels[:, None] < 0, 0, cost), lambda dcost: (None, None, None, None)


@op
def bipartite_matching(cost: Array, present: Array) -> tuple[Array, Backward]:
    """The query of each object that is `present` (B, N), none twice in an image, at the least cost (B, Q, N); -1 for others.

    Of assignments that cost the same it is SciPy's: queries all alike get the objects in their order.
    """
    one_float_dtype("bipartite_matching", cost=cost)
    if cost.ndim != 3 or present.dtype != bool:
        raise ValueError(f"bipartite_matching: expected cost (B, Q, N) and present, bool, got {cost.shape} and {present.dtype}")
    B, Q, N = cost.shape
    has_shape("bipartite_matching", "present", present, (B, N))
    if not np.isfinite(np.where(present[:, None], cost, 0)).all():
        raise ValueError("bipartite_matching: cost holds NaN or infinity where there is an object, expected finite numbers")
    matched = np.full((B, N), -1)
    for image, (costs, there) in enumerate(zip(cost, present, strict=True)):
        if there.sum() > Q:
            raise ValueError(
                f"bipartite_matching: image {image} has {there.sum()} objects for {Q} queries, of which each takes one"
            )
        _, matched[image, there] = linear_sum_assignment(costs[:, there].T)
    return matched, lambda dmatched: (None, None)


def check_set(op: str, logits: Array, boxes: Array, labels: Array, target_boxes: Array) -> None:
    """Raise ValueError unless the predictions and the objects fit each other."""
    one_float_dtype(op, logits=logits, boxes=boxes, target_boxes=target_boxes)
    if logits.ndim != 3 or labels.ndim != 2 or labels.dtype.kind != "i":
        raise ValueError(
            f"{op}: expected logits (B, Q, K + 1) and labels (B, N), whole numbers, got {logits.shape} and {labels.dtype} "
            f"{labels.shape}"
        )
    (B, Q, classes), (_, N) = logits.shape, labels.shape
    has_shape(op, "boxes", boxes, (B, Q, 4))
    has_shape(op, "labels", labels, (B, N))
    has_shape(op, "target_boxes", target_boxes, (B, N, 4))
    if labels.size and (labels.min() < -1 or labels.max() >= classes - 1):
        wrong = labels.min() if labels.min() < -1 else labels.max()
        raise ValueError(f"{op}: labels hold {wrong}, expected 0 to {classes - 2}, or -1 where there is no object")
