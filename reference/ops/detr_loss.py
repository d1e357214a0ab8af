"""The loss of all layers of DETR's decoder (Carion et al. 2020, section 3.2)."""

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function

from reference.ops.set_loss import set_loss


@wrap_torch_function(lambda logits, boxes, labels, target_boxes, *others, **options: (logits, boxes, labels, target_boxes))
def detr_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    no_object: float = 0.1,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
    auxiliary: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the terms of set_loss, each summed over the decoder's layers, or those of the last layer alone."""
    layers = list(zip(logits, boxes, strict=True))[0 if auxiliary else -1 :]
    losses = [set_loss(*layer, labels, target_boxes, no_object, box_weight, giou_weight) for layer in layers]
    class_loss, distance, overlap = (torch.stack(parts).sum(dim=0) for parts in zip(*losses, strict=True))
    return class_loss, distance, overlap
