"""The objects that a set of predictions stands for."""

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.boxes import box_convert
from scratch.ops.softmax import softmax


@op
def detections(logits: Array, boxes: Array) -> tuple[tuple[Array, Array, Array], Backward]:
    """Return the detection of each query: scores (B, Q), labels (B, Q) and boxes (B, Q, 4) as corners x1, y1, x2, y2.

    logits (B, Q, K + 1) and boxes (B, Q, 4), as x centre, y centre, width and height, are those of DETR's last layer. The label
    is the most probable class without the last one, "no object"; the score is its probability (Carion et al. 2020, appendix
    A.4). The corners are fractions of the image. There is no gradient.
    """
    one_float_dtype("detections", logits=logits, boxes=boxes)
    if logits.ndim != 3 or logits.shape[2] < 2:
        raise ValueError(f"detections: expected logits (B, Q, K + 1) of at least one class, got {logits.shape}; take one layer's")
    has_shape("detections", "boxes", boxes, (*logits.shape[:2], 4))
    probabilities = softmax(logits)[0][:, :, :-1]
    corners, _ = box_convert(boxes, "cxcywh", "xyxy")
    return (probabilities.max(axis=2), probabilities.argmax(axis=2), corners), lambda *dy: (None, None)
