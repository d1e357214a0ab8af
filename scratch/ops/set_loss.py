"""The loss of a set of predictions without an order."""

import numpy as np

from scratch.checks import are_weights
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.boxes import box_convert
from scratch.ops.cross_entropy import cross_entropy
from scratch.ops.loss import generalized_box_iou_loss, l1_loss
from scratch.ops.matching import bipartite_matching, check_set, matching_cost


@op
def set_loss(
    logits: Array,
    boxes: Array,
    labels: Array,
    target_boxes: Array,
    no_object: float = 0.1,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Compute the three terms (class, distance, overlap) whose sum DETR minimises (Carion et al. 2020, section 3.1).

    logits (B, Q, K + 1) and boxes (B, Q, 4) are matched with the objects as in matching.py, in float64, so that rounding does
    not change the match. The target class of a matched query is that of its object; that of the others is the last class, "no
    object", with weight `no_object`. Over the M matched queries:

        class = cross_entropy(logits, target class)    distance = box_weight Σ |box - target|₁ / M
        overlap = giou_weight Σ (1 - giou(box, target)) / M

    The backward is that of cross_entropy for logits; dboxes is the sum of those of l1_loss and generalized_box_iou_loss at
    matched queries, else 0. Targets and the match are constants.
    """
    check_set("set_loss", logits, boxes, labels, target_boxes)
    are_weights("set_loss", no_object=no_object, box_weight=box_weight, giou_weight=giou_weight)
    B, Q, classes = logits.shape
    exact_logits, exact_boxes, exact_targets = (a.astype(np.float64) for a in (logits, boxes, target_boxes))
    cost, _ = matching_cost(exact_logits, exact_boxes, labels, exact_targets, box_weight, giou_weight)
    matched, _ = bipartite_matching(cost, labels >= 0)
    image, target = np.nonzero(matched >= 0)
    query = matched[image, target]
    box_scale, giou_scale = (boxes.dtype.type(weight / max(len(query), 1)) for weight in (box_weight, giou_weight))

    wanted = np.full((B, Q), classes - 1)
    wanted[image, query] = labels[image, target]
    weight = np.ones(classes, logits.dtype)
    weight[-1] = no_object
    class_loss, class_backward = cross_entropy(logits.reshape(B * Q, classes), wanted.reshape(B * Q), weight)

    found, sought = boxes[image, query], target_boxes[image, target]
    distance, distance_backward = l1_loss(found, sought, "sum")
    corners, corners_backward = box_convert(found, "cxcywh", "xyxy")
    overlap, overlap_backward = generalized_box_iou_loss(corners, box_convert(sought, "cxcywh", "xyxy")[0], "sum")

    def backward(dclass: Array, ddistance: Array, doverlap: Array) -> tuple[Array, Array, None, None]:
        dlogits, *_ = class_backward(dclass)
        dfound, _ = distance_backward(ddistance * box_scale)
        dcorners, _ = overlap_backward(doverlap * giou_scale)
        dboxes = np.zeros_like(boxes)
        dboxes[image, query] = dfound + corners_backward(dcorners)  # both losses
        return dlogits.reshape(logits.shape), dboxes, None, None

    return (class_loss, distance * box_scale, overlap * giou_scale), backward
