"""The match of a set of predictions with objects: the assignment of the least cost (Carion et al. 2020, section 3.1).

Objects are labels (B, N), -1 where an image has fewer than N objects, and boxes (B, N, 4): x centre, y centre, width and
height as fractions of the image. There is no gradient.
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
    """Compute the cost (B, Q, N) of matching each of Q queries with each object; logits are (B, Q, K + 1), boxes (B, Q, 4).

    cost = box_weight |box - target|₁ - p(label) - giou_weight giou(box, target), or 0 where there is no object. There is no
    gradient.
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
    """Return the query (B, N) of each object that is `present` (B, N), at the least total cost (B, Q, N); -1 for the others.

    No query is matched twice in an image. Of assignments with equal cost, SciPy's is taken: equal queries get the objects in
    their order. There is no gradient.
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
                f"bipartite_matching: image {image} has {there.sum()} objects for {Q} queries, expected at most one for each; "
                "use more queries"
            )
        _, matched[image, there] = linear_sum_assignment(costs[:, there].T)
    return matched, lambda dmatched: (None, None)


def check_set(op: str, logits: Array, boxes: Array, labels: Array, target_boxes: Array) -> None:
    """Raise ValueError unless predictions and objects fit each other."""
    one_float_dtype(op, logits=logits, boxes=boxes, target_boxes=target_boxes)
    if logits.ndim != 3 or labels.ndim != 2 or labels.dtype.kind != "i":
        raise ValueError(
            f"{op}: expected logits (B, Q, K + 1) and labels (B, N), whole numbers, got {logits.shape} and {labels.dtype} "
            f"{labels.shape}"
        )
    (B, Q, classes), (_, N) = logits.shape, labels.shape
    if classes < 1:
        raise ValueError(f"{op}: expected logits (B, Q, K + 1) of at least one class, that of no object, got {logits.shape}")
    has_shape(op, "boxes", boxes, (B, Q, 4))
    has_shape(op, "labels", labels, (B, N))
    has_shape(op, "target_boxes", target_boxes, (B, N, 4))
    if labels.size and (labels.min() < -1 or labels.max() >= classes - 1):
        wrong = labels.min() if labels.min() < -1 else labels.max()
        raise ValueError(f"{op}: labels hold {wrong}, expected 0 to {classes - 2}, or -1 where there is no object")
