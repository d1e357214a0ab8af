"""Non-maximum suppression: one box for each object, out of many that overlap."""

import numpy as np

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.boxes import are_boxes, iou_and_union


@op
def nms(boxes: Array, scores: Array, iou_threshold: float) -> tuple[Array, Backward]:
    """Return the indices (K,) of the boxes (N, 4) that are kept, the one with the highest of the scores (N,) first.

    Boxes are visited from the highest score to the lowest; of equal scores, the first comes first. Each box that is still
    there removes all later boxes whose intersection over union with it is above the threshold (Girshick et al. 2014,
    section 2.2). There is no gradient.
    """
    one_float_dtype("nms", boxes=boxes, scores=scores)
    are_boxes("nms", boxes=boxes)
    if boxes.ndim != 2:
        raise ValueError(f"nms: expected boxes (N, 4), got {boxes.shape}")
    has_shape("nms", "scores", scores, boxes.shape[:1])
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"nms: iou_threshold is {iou_threshold}, expected 0 to 1")
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        iou, *_ = iou_and_union(boxes[best, None], boxes[left])
        left = left[iou <= iou_threshold]
    return np.array(kept, np.int64), lambda dkept: (None, None)
