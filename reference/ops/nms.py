"""Non-maximum suppression."""

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function

from reference.ops.boxes import box_iou


@wrap_torch_function(lambda boxes, scores, iou_threshold: (boxes, scores))
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Return the indices (K,) of the boxes (N, 4) to keep, in descending order of their scores (N,).

    A box is dropped where its IoU with a kept box of a higher score is above the threshold. Equal scores keep their order.
    """
    order = scores.argsort(descending=True, stable=True)
    repeats = box_iou(boxes[order], boxes[order]) > iou_threshold
    kept = torch.ones_like(order, dtype=torch.bool)
    for i in range(len(order)):
        if kept[i]:
            kept[i + 1 :] &= ~repeats[i, i + 1 :]
    return order[kept]
