"""Detections from a set of predictions."""

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function

from reference.ops.boxes import box_convert


@wrap_torch_function(lambda logits, boxes: (logits, boxes))
@torch.no_grad()
def detections(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the score, label and box (x1, y1, x2, y2) that each query predicts.

    The label is the most likely class other than "no object".
    """
    scores, labels = logits.softmax(dim=2)[:, :, :-1].max(dim=2)
    return scores, labels, box_convert(boxes, "cxcywh", "xyxy")
