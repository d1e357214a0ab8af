"""The loss of the predictions of all layers of DETR's decoder."""

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.set_loss import set_loss


@op
def detr_loss(
    logits: Array,
    boxes: Array,
    labels: Array,
    target_boxes: Array,
    no_object: float = 0.1,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
    auxiliary: bool = True,
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Compute the three terms of set_loss, each summed over the layers; DETR minimises their sum (Carion et al. 2020, section 3.2).

    logits are (layers, B, Q, K + 1) and boxes (layers, B, Q, 4). Each layer is matched with the objects separately: labels (B, N)
    and target_boxes (B, N, 4). Without `auxiliary` losses, only the last layer counts. For layer l, dlogits[l] and
    dboxes[l] = those of its set_loss.
    """
    one_float_dtype("detr_loss", logits=logits, boxes=boxes, target_boxes=target_boxes)
    if logits.ndim != 4 or boxes.ndim != 4 or len(logits) != len(boxes) or not len(logits):
        raise ValueError(
            f"detr_loss: expected logits (layers, B, Q, K + 1) and boxes (layers, B, Q, 4) of as many layers, at least one, "
            f"got {logits.shape} and {boxes.shape}"
        )
    first = 0 if auxiliary else len(logits) - 1
    weights = no_object, box_weight, giou_weight
    losses = [set_loss(*layer, labels, target_boxes, *weights) for layer in zip(logits[first:], boxes[first:], strict=True)]
    class_loss, distance, overlap = (np.sum(parts, axis=0) for parts in zip(*(parts for parts, _ in losses), strict=True))

    def backward(dclass: Array, ddistance: Array, doverlap: Array) -> tuple[Array, Array, None, None]:
        dlogits, dboxes = np.zeros_like(logits), np.zeros_like(boxes)
        for i, (_, layer_backward) in enumerate(losses, first):
            dlogits[i], dboxes[i], *_ = layer_backward(dclass, ddistance, doverlap)
        return dlogits, dboxes, None, None

    return (class_loss, distance, overlap), backward
