"""Sets of predictions: which is for which object, and their loss (Carion et al. 2020, section 3.1).

Objects come as labels (B, N), -1 where an image has fewer than N, and boxes (B, N, 4), (x centre, y centre, width, height)
each as a share of the image. The functions are open to torch's overrides as its own are.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function

from reference.boxes import box_convert, generalized_box_iou, generalized_box_iou_loss


@wrap_torch_function(lambda logits, boxes, labels, target_boxes, *others, **options: (logits, boxes, labels, target_boxes))
@torch.no_grad()
def matching_cost(
    logits: Tensor, boxes: Tensor, labels: Tensor, target_boxes: Tensor, box_weight: float = 5.0, giou_weight: float = 2.0
) -> Tensor:
    """What it costs to give each object to each of Q queries, (B, Q, N), and 0 where there is none."""
    probabilities = logits.softmax(dim=2).gather(2, labels.long().clamp(min=0)[:, None].expand(-1, logits.shape[1], -1))
    distance = torch.cdist(boxes, target_boxes, p=1)
    corners, target_corners = (box_convert(each, "cxcywh", "xyxy") for each in (boxes, target_boxes))
    overlap = torch.stack([generalized_box_iou(*image) for image in zip(corners, target_corners, strict=True)])
    cost = box_weight * distance - probabilities - giou_weight * overlap
    return cost.masked_fill(labels[:, None] < 0, 0)


@wrap_torch_function(lambda cost, present: (cost, present))
def bipartite_matching(cost: Tensor, present: Tensor) -> Tensor:
    """The query of each object that is `present` (B, N), none twice in an image, at the least cost (B, Q, N); -1 for others."""
    matched = torch.full_like(present, -1, dtype=torch.int64)
    for image, (costs, there) in enumerate(zip(cost.detach().cpu(), present, strict=True)):
        _, queries = linear_sum_assignment(costs[:, there.cpu()].T)
        matched[image, there] = torch.from_numpy(queries).to(matched.device)
    return matched


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
    """The parts (of classes, of distances, of overlaps) whose sum DETR is trained by, matched in float64."""
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
    """The parts of the set loss, each summed over the decoder's layers, or those of the last layer alone."""
    layers = list(zip(logits, boxes, strict=True))[0 if auxiliary else -1 :]
    losses = [set_loss(*layer, labels, target_boxes, no_object, box_weight, giou_weight) for layer in layers]
    class_loss, distance, overlap = (torch.stack(parts).sum(dim=0) for parts in zip(*losses, strict=True))
    return class_loss, distance, overlap


@wrap_torch_function(lambda logits, boxes: (logits, boxes))
@torch.no_grad()
def detections(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The score and the label of what each query has found, the likeliest class but "no object", and its box by the corners."""
    scores, labels = logits.softmax(dim=2)[:, :, :-1].max(dim=2)
    return scores, labels, box_convert(boxes, "cxcywh", "xyxy")
