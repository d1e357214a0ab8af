"""The loss of predictions on grids of anchors."""

from collections.abc import Sequence

import numpy as np

from scratch.checks import are_weights, has_shape, is_probability, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.anchor_matching import anchor_matching, check_objects
from scratch.ops.boxes import box_convert, iou_and_union
from scratch.ops.loss import binary_cross_entropy_with_logits, generalized_box_iou_loss
from scratch.ops.yolo_boxes import Grid, check_predictions, yolo_boxes


@op
def yolo_loss(
    predictions: Array,
    labels: Array,
    boxes: Array,
    grids: Sequence[Grid],
    ignore_above: float = 0.5,
    no_object: float = 0.5,
    box_weight: float = 5.0,
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Compute the three terms (class, objectness, box) whose sum YOLO minimises (Redmon & Farhadi 2018, section 2).

    predictions (B, P, 5 + K) are matched with the objects, labels (B, N) and boxes (B, N, 4), as in anchor_matching.

        class        binary cross-entropy of each class at matched predictions (section 2.2)
        objectness   binary cross-entropy; the target is 1 at matched predictions, else 0 with weight `no_object` (Redmon et al.
                     2016, equation 3). Unmatched predictions whose box overlaps an object by more than `ignore_above` have
                     weight 0 (2018, section 2.1)
        box          box_weight (1 - giou) at matched predictions. The paper's squared errors weigh large boxes more; giou does
                     not, and detections are evaluated by it (Rezatofighi et al. 2019, section 4.1)

    Each term is a sum over the predictions of an image and a mean over images, so that images without objects count too.
    Targets, the match and the weights are constants. The match is made in float64, so that rounding does not change it. For a
    prediction t (5 + K,) of one of B images, with dclass, dobjectness and dbox the upstream gradients:

        dt_5: = dclass (sigmoid(t_5:) - target) / B    dt_4 = dobjectness weight (sigmoid(t_4) - target) / B
        dt_0:4 = dbox box_weight / B times the gradient of 1 - giou, through yolo_boxes
    """
    _check("yolo_loss", predictions, labels, boxes, grids)
    are_weights("yolo_loss", no_object=no_object, box_weight=box_weight)
    is_probability("yolo_loss", "ignore_above", ignore_above)
    (B, P, numbers), dtype = predictions.shape, predictions.dtype
    matched, _ = anchor_matching(labels, boxes, grids)
    image, target = np.nonzero(matched >= 0)
    chosen = image, matched[image, target]
    scale, box_scale = dtype.type(1 / B), dtype.type(box_weight / B)

    wanted = np.eye(numbers - 5, dtype=dtype)[labels[image, target]]
    class_loss, class_backward = binary_cross_entropy_with_logits(predictions[chosen][:, 5:], wanted, reduction="sum")

    there = np.zeros((B, P), dtype)
    there[chosen] = 1
    weight = np.full((B, P), no_object, dtype)
    weight[_overlaps(predictions, labels, boxes, grids, ignore_above)] = 0
    weight[chosen] = 1
    objectness, objectness_backward = binary_cross_entropy_with_logits(predictions[..., 4], there, weight, reduction="sum")

    decoded, decoded_backward = yolo_boxes(predictions, grids)
    corners, corners_backward = box_convert(decoded[chosen], "cxcywh", "xyxy")
    sought, _ = box_convert(boxes[image, target], "cxcywh", "xyxy")
    overlap, overlap_backward = generalized_box_iou_loss(corners, sought, "sum")

    def backward(dclass: Array, dobjectness: Array, doverlap: Array) -> tuple[Array, None, None]:
        dcorners, _ = overlap_backward(doverlap * box_scale)
        ddecoded = np.zeros_like(decoded)
        ddecoded[chosen] = corners_backward(dcorners)
        dpredictions = decoded_backward(ddecoded)
        dpredictions[..., 4] = objectness_backward(dobjectness * scale)[0]
        dpredictions[..., 5:][chosen] = class_backward(dclass * scale)[0]
        return dpredictions, None, None

    return (class_loss * scale, objectness * scale, overlap * box_scale), backward


def _overlaps(predictions: Array, labels: Array, boxes: Array, grids: Sequence[Grid], above: float) -> Array:
    """Return a mask (B, P) of the predictions whose box has an intersection over union above a number with an object."""
    found, _ = yolo_boxes(predictions.astype(np.float64), grids)
    sought = np.where(labels[:, :, None] < 0, 0, boxes.astype(np.float64))
    (corners, _), (objects, _) = (box_convert(each, "cxcywh", "xyxy") for each in (found, sought))
    iou, *_ = iou_and_union(corners[:, :, None], objects[:, None])  # (B, P, N)
    overlaps: Array = iou.max(axis=2, initial=0) > above
    return overlaps


def _check(op: str, predictions: Array, labels: Array, boxes: Array, grids: Sequence[Grid]) -> None:
    """Raise ValueError unless predictions, objects and grids fit each other."""
    one_float_dtype(op, predictions=predictions, boxes=boxes)
    check_predictions(op, predictions, grids)
    if not len(predictions):
        raise ValueError(f"{op}: expected the predictions of at least one image, got {predictions.shape}")
    check_objects(op, labels, boxes)
    has_shape(op, "labels", labels, (len(predictions), labels.shape[1]))
    classes = predictions.shape[2] - 5
    if labels.size and labels.max() >= classes:
        raise ValueError(f"{op}: labels hold {labels.max()}, expected 0 to {classes - 1}, or -1 where there is no object")
