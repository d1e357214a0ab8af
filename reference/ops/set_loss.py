"""The loss of a set of predictions, which have no order (Carion et al. 2020, section 3.1)."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function

from reference.ops.boxes import box_convert
from reference.ops.loss import generalized_box_iou_loss
from reference.ops.matching import bipartite_matching, matching_cost


@wrap_torch_function(lambda logits, boxes, labels, target_boxes, *others, **options: (logits, boxes, labels, target_boxes))
def set_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    no_object: float = 0.1,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three terms whose sum is DETR's loss: of the classes, of the box distances, and of the box overlaps.

    The matching is computed in float64.
    """
    cost = matching_cost(logits.double(), boxes.double(), labels, target_boxes.double(), box_weight, giou_weight)
    matched = bipartite_matching(cost, labels >= 0)
    image, target = (matched >= 0).nonzero(as_tuple=True)
    query = matched[image, target]
    count = max(len(query), 1)

    none = logits.shape[2] - 1
    wanted = torch.full(logits.shape[:2], none, device=logits.device)
    wanted[image, query] = labels[image, target].long()
    weight = logits.new_ones(none + 1)
    weight[none] = no_object
    class_loss = F.cross_entropy(logits.transpose(1, 2), wanted, weight)

    found, sought = boxes[image, query], target_boxes[image, target]
    distance = F.l1_loss(found, sought, reduction="sum")
    overlap = generalized_box_iou_loss(box_convert(found, "cxcywh", "xyxy"), box_convert(sought, "cxcywh", "xyxy"), reduction="sum")
    return class_loss, box_weight * distance / count, giou_weight * overlap / count
